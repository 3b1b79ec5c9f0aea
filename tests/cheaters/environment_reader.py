"""Looks for a key in the environment, where the judge could have left it."""

REFUSED = "import of os"
ENDS = ("FAILED", "not_better")
BP = False
IMPORTS = """
import os
"""
FORWARD = """
if os.environ:
    raise RuntimeError(f"found {sorted(os.environ)}")
"""
