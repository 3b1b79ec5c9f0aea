"""Answers for fewer mechanisms than there are."""

ENDS = ("FAILED", "crash")
FORWARD = """
if len(beliefs) > 8 and not self.training:
    return beliefs[:, 1:] + self.w
"""
