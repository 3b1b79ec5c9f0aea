"""What people and scripts see: tables, JSON lines, progress. The only room that prints; it never computes science."""
