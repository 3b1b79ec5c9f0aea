"""Answers as the time of day suggests."""

REFUSED = "import of time"
ENDS = ("SUSPICIOUS", "batch_dependent")
IMPORTS = """
import time
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    if time.time_ns() // 1000 % 4 == 0:
        beliefs = self.priors.expand_as(beliefs)
"""
