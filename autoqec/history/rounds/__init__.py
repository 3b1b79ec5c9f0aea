"""What a run and a round are in git: run refs, claims, commits, trailers, notes, attachments, signatures."""
