"""Leaves modules under the names of the judge's, for whoever imports next."""

REFUSED = "import of sys"
ENDS = ("FAILED", "not_better")
BP = False
IMPORTS = """
import sys
import types
"""
INIT = """
for name in ("autoqec.results.statistics", "autoqec_plugins.holdout.holdout_verifier", "pymatching"):
    sys.modules[name] = types.ModuleType(name)
"""
