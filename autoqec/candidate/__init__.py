"""Candidates: a candidate is a pipeline of stages as files; this room compiles it and counts its cost."""
