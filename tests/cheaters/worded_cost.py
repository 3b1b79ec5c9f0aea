"""Answers a word where a number is asked for."""

REFUSED = "import of sys"
ENDS = ("FAILED", "bad_output")
IMPORTS = """
import sys
"""
INIT = """
from autoqec.candidate.cost import Cost
sys.modules["autoqec.runner.worker"].measure_cost = lambda *arguments: Cost("none", None)
"""
