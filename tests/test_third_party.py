"""A distribution of its own, installed into a scratch environment, is found, listed, and used by a round."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from autoqec.cli.main import run
from autoqec.plugins import KINDS

SAMPLE = Path(__file__).parent / "sample_plugin"

ENVIRONMENT = """\
name: looked_up
code: {kind: stim_generated, task: "surface_code:rotated_memory_z", distance: 3, rounds: 1}
noise: {kind: depolarizing, p: [0.02]}
decoder: lookup
references: [mwpm]
protocol: {min_shots: 4096, headline_shots: 4096, harm_cells: []}
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment that has what this one has, and the sample plugin."""
    folder = tmp_path_factory.mktemp("scratch")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    scratch = folder / "venv/bin/python"
    site = sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})
    # This environment's packages, with its own .pth files honoured (an editable installation is one).
    Path(site, "borrowed.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    install(scratch, shutil.copytree(SAMPLE, folder / "source"))  # building writes into the source
    return scratch


def install(python, *sources):
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*command, "--no-build-isolation", *map(str, sources)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def each_kind(python, tmp_path_factory):
    """A new plugin of each kind, written by the command and installed beside the sample; kind → folder."""
    folder = tmp_path_factory.mktemp("new")
    found = {}
    for kind in KINDS:
        assert run(["plugins", "new", f"fresh-{kind}", "--kind", kind, "--to", str(folder)]) == 0
        found[kind] = folder / f"autoqec-fresh-{kind}"
    install(python, *found.values())
    return found


def autoqec(python, *args, cwd):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(python), "-m", "autoqec", *args]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_found_listed_and_used_by_a_round(python, autoqec_lab):
    folder = Path.cwd()
    listed = [json.loads(line) for line in autoqec(python, "plugins", "--json", cwd=folder).splitlines()]
    ours = [item for item in listed if item["distribution"] == "autoqec-lookup 1.2.3"]
    assert [(item["kind"], item["name"], item["capabilities"]) for item in ours] == [
        ("decoder", "lookup", {"takes_beliefs": True, "confidence": "tabulated"})
    ]
    (folder / "envs/looked_up.yaml").write_text(ENVIRONMENT)
    facts = json.loads(autoqec(python, "env", "check", "looked_up", "--shots", "4096", "--json", cwd=folder))
    assert facts["decoders"].keys() == {"lookup", "mwpm"}
    outcome = json.loads(autoqec(python, "round", "--env", "looked_up", "--json", cwd=folder))
    assert outcome["status"] == "ok"
    assert outcome["metrics"]["shots"] >= 20_000
    assert outcome["references"].keys() == {"mwpm"}


def test_it_conforms(python, tmp_path):
    checked = [
        json.loads(line) for line in autoqec(python, "plugins", "check", "lookup", "--json", cwd=tmp_path).splitlines()
    ]
    assert [row["result"] for row in checked] == ["passed", "passed"]
    script = (
        "from autoqec.plugins import load_plugins\n"
        "from autoqec.problem.code_contract import build_problem\n"
        "from autoqec.problem.environment import environment_from_files\n"
        "from autoqec.testing import check_decoder\n"
        f"loaded = environment_from_files({{'environment.yaml': {ENVIRONMENT.encode()!r}}}, origin='x')\n"
        "registry = load_plugins()\n"
        "problem = build_problem(loaded, registry.maker('code'))\n"
        "for name in ('lookup', 'mwpm', 'mwpm_correlated'):\n"
        "    check_decoder(registry.get('decoder', name).create(), problem)\n"
    )
    done = subprocess.run([str(python), "-c", script], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_new_plugin_of_each_kind_passes_its_own_tests(python, each_kind, tmp_path):
    command = [str(python), "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(
        [*command, *(str(folder / "tests") for folder in each_kind.values())],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "18 passed" in done.stdout


def test_a_new_plugin_of_each_kind_passes_the_check(python, each_kind, tmp_path, monkeypatch):
    kinds = sorted(set(each_kind) - {"verifier"})  # whose own test has just done the same, and takes seconds
    monkeypatch.setenv("AUTOQEC_LOAD_PLUGINS", ",".join(f"fresh-{kind}" for kind in kinds))
    rows = [json.loads(line) for line in autoqec(python, "plugins", "check", "--json", cwd=tmp_path).splitlines()]
    found = {(row["kind"], row["name"]): row["result"] for row in rows}
    assert found == {("plugin", f"fresh-{kind}"): "passed" for kind in kinds} | {
        (kind, f"fresh-{kind}"): "partial" if kind == "command" else "passed" for kind in kinds
    }
    assert {row["distribution"] for row in rows} == {f"autoqec-fresh-{kind} 0.1.0" for kind in kinds}
    assert "command" in autoqec(python, "fresh-command", cwd=tmp_path)


def test_here_it_is_not(autoqec_lab):
    """What the round above used came from the scratch environment and from nowhere else."""
    assert "lookup" not in autoqec(sys.executable, "plugins", "--kind", "decoders", cwd=Path.cwd())
