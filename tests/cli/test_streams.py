"""Standard streams: nothing foreign is printed among data, and a stream that is full, closed or narrow is no internal error."""

import json
import os
import subprocess
import sys

import pytest

from autoqec.testing import make_tiny_lab

#: Prints as libraries do: by Python, past Python, and by C, whose buffer is written out when the process ends.
SHOUT = """
import ctypes, os

def shout(where):
    print("\\u00fc Python", where)
    os.write(1, f"descriptor {where}\\n".encode())
    ctypes.CDLL(None).puts(f"C {where}".encode())
"""

PLUGIN = (
    SHOUT
    + '''
import click
from autoqec import hookimpl
from autoqec.decoding import Decoded

shout("import")

class Loud:
    takes_beliefs = False

    def compile(self, problem):
        from autoqec.plugins import load_plugins
        shout("compile")
        return LoudCompiled(load_plugins().get("decoder", "mwpm").load()().compile(problem))

class LoudCompiled:
    def __init__(self, inner):
        self.inner = inner

    def decode(self, syndromes, beliefs=None):
        shout("decode")
        return self.inner.decode(syndromes)

@hookimpl
def autoqec_register_decoders(register):
    shout("register")
    register("loud", Loud, takes_beliefs=False)

@hookimpl
def autoqec_register_commands(register):
    register("loud-command", "loud_plugin:loud_command")

@click.command()
def loud_command():
    """Print."""
    shout("command")
'''
)

ENVIRONMENT = """\
name: loud
code: {kind: stim_generated, task: "surface_code:unrotated_memory_z", distance: 3, rounds: 1}
noise: {kind: depolarizing, p: [0.006]}
decoder: mwpm
references: [loud]
"""

#: Commands that run code of plugins and print data, and in what of the plugin.
COMMANDS = {
    "import": ["plugins", "--json"],
    "register": ["agents", "list", "--json"],
    "decode": ["env", "check", "loud.yaml", "--shots", "64", "--json"],
    "compile": ["plugins", "check", "loud-command", "--json"],
}


@pytest.fixture(scope="module")
def loud(tmp_path_factory):
    """A folder with an environment, whose reference decoder is a plugin that prints; and the variables to find it by."""
    folder = tmp_path_factory.mktemp("loud")
    info = folder / "loud-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[autoqec]\nloud = loud_plugin\n")
    (folder / "loud_plugin.py").write_text(PLUGIN)
    (folder / "loud.yaml").write_text(ENVIRONMENT)
    return folder, os.environ | {"PYTHONPATH": str(folder)}


def _run(folder, environment, script, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        check=False,
        **{"stdout": subprocess.PIPE} | options,
    )


MAIN = "import sys\nfrom autoqec.cli.main import main\nmain(sys.argv[1:])"


def test_what_plugins_print_is_never_data(loud):
    folder, environment = loud
    script = (
        "from autoqec.cli.standard_streams import take_streams\ntake_streams()\n"
        f"from autoqec.cli.main import run\nfor args in {list(COMMANDS.values())!r}:\n    run(args)"
    )
    done = _run(folder, environment | {"PYTHONIOENCODING": "ascii"}, script)
    items = [json.loads(line) for line in done.stdout.splitlines()]
    schemas = {item["schema"] for item in items}
    assert schemas == {"autoqec.plugin/1", "autoqec.agent/1", "autoqec.env_check/1", "autoqec.plugin_check/1"}
    assert all(item.get("result") != "failed" for item in items if item["schema"] == "autoqec.plugin_check/1")
    said = done.stderr.decode()
    for where in COMMANDS:
        assert f"\\u00fc Python {where}" in said, where
        assert f"descriptor {where}" in said, where
        assert f"C {where}" in said, where


def test_a_reader_that_takes_one_line_gets_data_and_no_error(loud):
    folder, environment = loud
    script = f"{sys.executable} -m autoqec plugins --json | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout)["schema"] == "autoqec.plugin/1"
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_command_of_a_plugin_prints_what_it_likes(loud):
    folder, environment = loud
    done = _run(folder, environment, MAIN, "loud-command")
    assert (done.returncode, sorted(done.stdout.decode().splitlines())) == (
        0,
        ["C command", "descriptor command", "ü Python command"],
    )


STREAMS = [["--help"], ["log"], ["plugins", "--json"], ["env", "list"]]


@pytest.mark.parametrize("args", STREAMS, ids=" ".join)
def test_standard_output_that_is_closed_is_an_error_that_says_so(tmp_path, args):
    make_tiny_lab(tmp_path)
    script = f"{sys.executable} -m autoqec {' '.join(args)} >&-"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    first, hint = done.stderr.splitlines()
    assert done.returncode == 1
    assert first == "error: the output cannot be written: standard output is closed [not_written]"
    assert hint.startswith("  hint: send the output elsewhere")


@pytest.mark.parametrize("closed", ["<&-", "<&- 2>&-"])
def test_other_streams_may_be_closed(tmp_path, closed):
    make_tiny_lab(tmp_path)
    script = f"{sys.executable} -m autoqec env list --json {closed}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[0])["schema"] == "autoqec.env/1"


def test_an_error_after_data_that_cannot_be_written_is_told_alone(tmp_path):
    """Python would fail again at its end, with a code of its own."""
    script = (
        "import sys\nfrom autoqec.cli import main as m\nfrom autoqec.errors import UsageError\n"
        "def fail(*a, **k):\n    print('data')\n    raise UsageError('wrong')\n"
        "m.cli.main = fail\nm.main(['log'])"
    )
    with open("/dev/full", "w") as full:
        done = _run(tmp_path, os.environ | {"PYTHONUNBUFFERED": ""}, script, stdout=full)
    assert (done.returncode, done.stderr.decode()) == (2, "error: wrong\n")
