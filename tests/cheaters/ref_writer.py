"""Has git move a branch."""

REFUSED = "import of subprocess"
ENDS = ("FAILED", "crash")
IMPORTS = """
import subprocess
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    subprocess.run(["git", "update-ref", "refs/heads/main", "0" * 40])
"""


def check(verdict, sealed):
    assert "Permission" in verdict.details["fault"]
