"""Throws dice."""

ENDS = ("FAILED", "bad_output")
FORWARD = """
if len(beliefs) > 8 and not self.training:
    if float(torch.rand(())) < 0.25:
        beliefs = self.priors.expand_as(beliefs)
"""
