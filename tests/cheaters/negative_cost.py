"""Says that it costs less than nothing."""

REFUSED = "import of sys"
ENDS = ("FAILED", "bad_output")
IMPORTS = """
import sys
"""
INIT = """
from autoqec.candidate.cost import Cost
sys.modules["autoqec.runner.worker"].measure_cost = lambda *arguments: Cost(-5, 1)
"""
