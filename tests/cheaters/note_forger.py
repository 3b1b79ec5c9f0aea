"""Writes a verdict of its own where notes are kept."""

REFUSED = "the name open"
ENDS = ("FAILED", "crash")
FORWARD = """
if len(beliefs) > 8 and not self.training:
    open("/tmp/autoqec-forged-verdict", "w").write("VERIFIED")
"""


def check(verdict, sealed):
    import os

    assert not os.path.exists("/tmp/autoqec-forged-verdict")
    assert "Permission denied" in verdict.details["fault"]
