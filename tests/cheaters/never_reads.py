"""Answers by itself, and never reads what it is sent again."""

REFUSED = "import of time"
ENDS = ("FAILED", "timeout")
IMPORTS = """
import time
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    time.sleep(3600)
"""
HANGS = True
