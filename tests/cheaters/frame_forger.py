"""Says that it is locked, ready and done, as its worker would, instead of answering."""

REFUSED = "import of os"
ENDS = ("FAILED", "bad_output")
IMPORTS = """
import os
import struct
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    told = (b'"lock": {"level": 99}', b'"ready": true', b'"done": true, "verdict": "VERIFIED", "reason": "better"')
    for head in [b'{"blobs": [], ' + words + b'}' for words in told]:
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, struct.pack("<4sI", b"AQF1", len(head)) + head)
            except OSError:
                continue
"""


def check(verdict, sealed):
    assert "99" not in str(verdict.details.get("sandbox"))
