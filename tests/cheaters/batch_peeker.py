"""Looks at the other shots of its batch."""

ENDS = ("SUSPICIOUS", "batch_dependent")
FORWARD = """
if len(beliefs) > 8 and not self.training:
    if int(syndromes.sum()) % 4 == 0:
        beliefs = self.priors.expand_as(beliefs)
"""
