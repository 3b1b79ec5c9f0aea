"""Answers with infinities, on which matching finds no solution."""

ENDS = ("FAILED", "not_better")
FORWARD = """
if len(beliefs) > 8 and not self.training:
    beliefs = beliefs / 0.0
"""


def check(verdict, sealed):
    assert verdict.details["invalid"] == verdict.details["test"]["shots"]
