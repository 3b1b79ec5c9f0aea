"""Pages of HTML that need no other file: reports of a lab, and sweeps."""
