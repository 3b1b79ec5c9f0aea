"""Runs untrusted code in child processes: framed pipes, limits, locks, and kills of whole process groups."""
