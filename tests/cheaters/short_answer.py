"""Answers for fewer shots than it was asked about."""

REFUSED = "import of os"
ENDS = ("FAILED", "bad_output")
IMPORTS = """
import os
import struct
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    head = b'{"blobs": [["beliefs", 8]]}'
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, struct.pack("<4sI", b"AQF1", len(head)) + head + bytes(8))
        except OSError:
            continue
"""
