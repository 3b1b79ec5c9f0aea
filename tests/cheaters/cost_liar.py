"""Replaces the counter of its operations by one that says one."""

REFUSED = "import of sys"
ENDS = ("SUSPICIOUS", "cost_mismatch")
IMPORTS = """
import sys
"""
INIT = """
from autoqec.candidate.cost import Cost
sys.modules["autoqec.runner.worker"].measure_cost = lambda *arguments: Cost(1, 1)
"""
