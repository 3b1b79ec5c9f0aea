"""Has recorded words where operations are asked for."""

REFUSED = "import of sys"
ENDS = ("FAILED", "bad_output")
IMPORTS = """
import sys
"""
INIT = """
from types import SimpleNamespace
program = SimpleNamespace(to_bytes=lambda: b"none whatsoever")
sys.modules["autoqec.runner.worker"].record_stages = lambda *arguments: {"own": program}
"""
