"""Remembers how often it was asked, and answers accordingly."""

ENDS = ("SUSPICIOUS", "batch_dependent")
INIT = """
self.calls = 0
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    self.calls += 1
    if self.calls % 3 == 0:
        beliefs = self.priors.expand_as(beliefs)
"""
