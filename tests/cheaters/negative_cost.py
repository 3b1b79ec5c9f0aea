"""Has recorded a table of less than nothing."""

REFUSED = "import of sys"
ENDS = ("FAILED", "bad_output")
IMPORTS = """
import sys
"""
INIT = """
from types import SimpleNamespace
header = b'{"steps": [], "constants": [[2, "float32", [-5], 0, -20]], "weights": [], "result": 2}'
program = SimpleNamespace(to_bytes=lambda: len(header).to_bytes(8, "little") + header)
sys.modules["autoqec.runner.worker"].record_stages = lambda *arguments: {"own": program}
"""
