"""Calls every error likely, so that the decoder has as much to do as it can have."""

ENDS = ("FAILED", "not_better")
FORWARD = """
if len(beliefs) > 8 and not self.training:
    beliefs = torch.full_like(beliefs, -12.0)
"""
