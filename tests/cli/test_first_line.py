"""Commands that take long say so before they import what takes seconds to import."""

import json
import subprocess
import sys

import pytest

#: Runs commands, each in a fork; importing a heavy package ends one with code 77. Says code and standard error of each.
_STOPPED = """
import importlib.abc, json, os, sys, tempfile
HEAVY = {"torch", "numba", "stim", "scipy", "pymatching", "ldpc"}

class Stop(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            sys.stderr.flush()
            os._exit(77)

sys.meta_path.insert(0, Stop())
import autoqec.cli.lab, autoqec.cli.main, pygit2, rich.console
assert not HEAVY & set(sys.modules)
for arguments in json.loads(sys.argv[1]):
    with tempfile.TemporaryFile("w+") as told:
        child = os.fork()
        if child == 0:
            os.dup2(told.fileno(), 2)
            os._exit(autoqec.cli.main.run(arguments))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        told.seek(0)
        print(json.dumps([code, told.read()]))
"""

CASES = {
    "round": (["round"], "loading plugins and the environment"),
    "resume": (["resume"], "loading plugins and the environment"),
    "verify": (["verify", "exp/a-bcde/1"], "loading plugins and the environment"),
    "compose": (["compose", "a-bcde/1", "a-bcde/2"], "loading plugins and the environment"),
    "arms": (["agents", "compare", "--agents", "search,random"], "loading plugins and the environment"),
    "reply": (["agents", "reply", "none.json"], "loading plugins and the environment"),
    "compare": (["compare", "mwpm", "osd", "--env", "surface_d3_depol"], "reading what is decoded"),
    "sweep": (["sweep", "mwpm", "--env", "surface_d3_depol", "--p", "0.01"], "checking surface_d3_depol and mwpm"),
    "check": (["env", "check", "surface_d3_depol"], "reading surface_d3_depol and compiling its decoders"),
}


@pytest.mark.fresh_processes
def test_the_first_line_comes_before_heavy_imports(autoqec_lab):
    commands = json.dumps([arguments for arguments, _ in CASES.values()])
    done = subprocess.run(
        [sys.executable, "-c", _STOPPED, commands], cwd=autoqec_lab.workdir, capture_output=True, text=True, check=True
    )
    said = dict(zip(CASES, map(json.loads, done.stdout.splitlines()), strict=True))
    assert said == {name: [77, f"{words}\n"] for name, (_, words) in CASES.items()}
