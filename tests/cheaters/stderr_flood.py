"""Writes to its log without end."""

REFUSED = "import of os"
ENDS = ("FAILED", "crash")
IMPORTS = """
import os
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    while True:
        os.write(2, b"VERIFIED" * 1000)
"""
