"""Has recorded, in the place of its operations, none at all."""

REFUSED = "import of sys"
ENDS = ("SUSPICIOUS", "cost_mismatch")
IMPORTS = """
import sys
"""
INIT = """
from autoqec.candidate.recorded_program import Program
sys.modules["autoqec.runner.worker"].record_stages = lambda *arguments: {"own": Program((), {}, {}, 1)}
"""
FORWARD = """
beliefs = beliefs * (1 + 0.1 * torch.sin(torch.arange(beliefs.shape[1])))
"""


def check(verdict, sealed):
    assert verdict.details["recorded"]["differing"] == verdict.details["recorded"]["chunks"]
