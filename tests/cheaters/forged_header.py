"""Announces four billion gigabytes."""

REFUSED = "import of os"
ENDS = ("FAILED", "crash")
IMPORTS = """
import os
import struct
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    head = b'{"blobs": [["beliefs", 4611686018427387904]]}'
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, struct.pack("<4sI", b"AQF1", len(head)) + head)
        except OSError:
            continue
"""
