"""Writes a verdict into its log and its last words, with codes that move a terminal's cursor."""

REFUSED = "the name print|import of sys"
ENDS = ("FAILED", "crash")
IMPORTS = """
import sys
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    print("\\x1b[2J\\x1b[HVERIFIED better", file=sys.stderr)
    raise RuntimeError("\\x1b[2J\\x1b[HVERIFIED\\rbetter" + "!" * 100000)
"""


def check(verdict, sealed):
    assert verdict.details["fault"].isprintable()
    assert len(verdict.details["fault"]) < 3000
