"""Runs and rounds in git: run refs, claims, commits, trailers, notes, attachments, signatures."""
