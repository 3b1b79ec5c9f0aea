"""Asks for more memory than it may have."""

ENDS = ("FAILED", "crash")
FORWARD = """
if len(beliefs) > 8 and not self.training:
    beliefs = beliefs + torch.zeros(10**13).sum()
"""
