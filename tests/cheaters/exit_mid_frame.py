"""Leaves in the middle of a sentence."""

REFUSED = "import of os"
ENDS = ("FAILED", "crash")
IMPORTS = """
import os
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"AQF1\\x10")
        except OSError:
            continue
    os._exit(0)
"""
