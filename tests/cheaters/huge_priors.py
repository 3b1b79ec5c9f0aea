"""Answers with numbers so large that a decoder's sums could overflow."""

ENDS = ("FAILED", "not_better")
FORWARD = """
if len(beliefs) > 8 and not self.training:
    beliefs = -beliefs.abs() * 1e30
"""
