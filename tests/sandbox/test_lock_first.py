"""No code of others sees a field, a weight or a file of a candidate before its process is locked."""

import ast
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = Path(__file__).parent / "peeking_plugin"


def metadata(site, name, entries, folder=None):
    made = site / f"{folder or name}-9.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9\n")
    (made / "entry_points.txt").write_text(f"[autoqec]\n{entries}\n")
    return made


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment that has what this one has, and the peeking plugin; its interpreter and its site-packages."""
    folder = tmp_path_factory.mktemp("scratch")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    (site / "borrowed.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n{PLUGIN}\n")
    metadata(site, "autoqec evil", "peeking = autoqec_peeking", folder="autoqec_evil")
    return folder / "venv/bin/python", site


def run(python, home, *arguments, cwd=None):
    done = subprocess.run(
        [str(python), *arguments],
        env=os.environ | {"HOME": str(home)},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def work(environment, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return run(environment[0], home, str(PLUGIN / "work.py")), {path.name for path in home.glob("saw *")}


def test_what_others_see_before_the_lock_is_the_kind_alone(work):
    found, seen = work
    assert found["needs_lock"], "a distribution is not ours because of its name"
    assert [json.loads(stage)["kind"] for stage in found["stages"]] == ["mlp", "peeking"]
    assert "secret" not in str(found["stages"])
    # The warm-up is with the default fields; it shows that the plugin could have left a file.
    assert {name.rsplit(" ", 1)[1] for name in seen} == {"default"}
    assert found["training"] >= 1
    assert found["scoring"] >= 1


def test_their_validators_do_their_work_behind_the_lock(work):
    found, _ = work
    assert found["canonical"]["stages/peek/stage.yaml"] == "kind: peeking\n\nposition: 2\n\nword: secret\n"
    assert "hidden: 32\n" in found["canonical"]["stages/own/stage.yaml"], "the canonical form has every field"
    assert set(found["canonical"]) == {
        "output.yaml",
        "training.yaml",
        "stages/own/stage.yaml",
        "stages/peek/stage.yaml",
    }
    path = "stages/peek/stage.yaml"
    assert [(kind, code, about["file"]) for kind, _, code, about in found["refused"]] == [
        ("UsageError", "bad_value", path),
        ("UsageError", "unknown_field", path),
        ("UsageError", "bad_value", path),
    ]
    assert "no such word" in found["refused"][0][1]


def test_candidates_are_read_only_where_that_is_looked_after():
    """`read_candidate` runs validators, so whoever calls it knows that the process is locked or that all kinds are ours."""
    allowed = {
        "autoqec/candidate/__init__.py",
        "autoqec/candidate/schema.py",
        "autoqec/runner/reading.py",  # asks a locked process
        "autoqec/runner/worker.py",  # is that process
        "autoqec/runner/warm_up.py",  # reads what it has written itself
        "autoqec/exchange/deploy.py",  # runs the candidate in the program of a user who asks for that
        "autoqec/testing/candidates.py",
    }
    found = set()
    for path in (ROOT / "autoqec").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.ImportFrom) and str(node.module).startswith("autoqec.candidate")
            if named and any(alias.name == "read_candidate" for alias in node.names):
                found.add(str(path.relative_to(ROOT)))
    assert found <= allowed


OURS = """
import json
from autoqec.plugins import load_plugins
registry = load_plugins()
rows = {entry.name: [entry.is_own, entry.plugin] for entry in registry.all("stage")}
print(json.dumps([rows, [each.plugin for each in registry.broken]]))
"""


def test_everything_that_ships_with_autoqec_is_ours(environment, tmp_path):
    rows, _ = run(environment[0], tmp_path, "-I", "-c", OURS)
    assert [name for name, (own, _) in rows.items() if not own] == ["peeking"]
    assert rows.keys() >= {"mlp", "gnn", "custom", "neural_bp"}


@pytest.mark.parametrize("record", [None, "autoqec/own_files.py,,\n"])
def test_another_distribution_of_our_name_owns_nothing(environment, tmp_path, record):
    python, site = environment
    made = metadata(site, "autoqec", "zz_twin = autoqec_twin", folder="autoqec")
    (site / "autoqec_twin.py").write_text(
        "import autoqec\nclass Twin:\n    pass\n@autoqec.hookimpl\ndef autoqec_register_stages(register):\n"
        "    register('twin', 'autoqec_twin:Twin')\n    register('lent', 'autoqec_plugins.mlp.mlp_stage:Mlp')\n"
    )
    if record is not None:
        (made / "RECORD").write_text(record + "autoqec_twin.py,,\n")
    try:
        rows, _ = run(python, tmp_path, "-I", "-c", OURS)
    finally:
        for file in [*made.iterdir(), site / "autoqec_twin.py"]:
            file.unlink()
        made.rmdir()
    assert not rows["twin"][0]
    assert not rows["lent"][0], "who registers it is not us, so what is done before it is registered is not ours"


def test_a_plugin_cannot_take_the_name_of_one_of_ours(environment, tmp_path):
    python, site = environment
    made = metadata(site, "early", "mlp = aaa_early", folder="early")
    (site / "aaa_early.py").write_text(
        "import autoqec\nclass Early:\n    pass\n@autoqec.hookimpl\ndef autoqec_register_stages(register):\n"
        "    register('early', 'aaa_early:Early')\n"
    )
    try:
        rows, broken = run(python, tmp_path, "-I", "-c", OURS)
    finally:
        for file in [*made.iterdir(), site / "aaa_early.py"]:
            file.unlink()
        made.rmdir()
    assert rows["mlp"] == [True, "mlp"]
    assert "early" not in rows
    assert broken == ["mlp"]


def installed(site, names, changed=()):
    """Put copies of our packages into site-packages, as a wheel does, with a RECORD of them."""
    import base64
    import hashlib

    lines = []
    for folder, source in (("autoqec", "autoqec"), ("autoqec_plugins", "plugins")):
        ignore = shutil.ignore_patterns("__pycache__", "envs")
        shutil.copytree(ROOT / source, site / folder, ignore=ignore)
        for file in sorted((site / folder).rglob("*.py")):
            name = base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).decode().rstrip("=")
            lines.append(f"{file.relative_to(site)},sha256={name},{file.stat().st_size}")
    entries = "\n".join(f"{name} = autoqec_plugins.{name}" for name in names)
    made = metadata(site, "autoqec", entries, folder="autoqec")
    (made / "RECORD").write_text("\n".join(lines) + "\n")


def test_in_an_installed_package_ours_is_what_its_record_lists(tmp_path):
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")}))
    others = [path for path in sys.path if path.endswith("site-packages") and "autoqec" not in path]
    found = [path for path in others if not (Path(path) / "__editable___autoqec_0_1_0_finder.py").exists()]
    (site / "others.pth").write_text("\n".join(found) + "\n")
    installed(site, ["mlp", "gnn", "custom", "added"])
    # Another wheel changed a file of ours, and added a package to ours.
    with (site / "autoqec_plugins/gnn/wiring.py").open("a") as file:
        file.write("# changed\n")
    added = site / "autoqec_plugins/added"
    added.mkdir()
    (added / "__init__.py").write_text(
        "import autoqec\nclass Added:\n    pass\n@autoqec.hookimpl\ndef autoqec_register_stages(register):\n"
        "    register('added', 'autoqec_plugins.added:Added')\n"
    )
    python, expected = tmp_path / "venv/bin/python", {"mlp": True, "custom": True, "gnn": False, "added": False}
    rows, broken = run(python, tmp_path, "-I", "-c", OURS)
    assert broken == []
    assert {name: own for name, (own, _) in rows.items()} == expected
    # A source tree beside it, from which the package is run: what was installed is ours if the tree has the same.
    tree = tmp_path / "tree"
    for folder in ("autoqec", "plugins"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    where = "import autoqec, autoqec_plugins; print(autoqec.__file__, autoqec_plugins.__file__)"
    done = subprocess.run([python, "-c", where], cwd=tree, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tree / "autoqec/__init__.py"), str(site / "autoqec_plugins/__init__.py")]
    rows, broken = run(python, tmp_path, "-c", OURS, cwd=tree)
    assert {name: own for name, (own, _) in rows.items()} == expected
    (tree / "pyproject.toml").unlink()
    rows, _ = run(python, tmp_path, "-c", OURS, cwd=tree)
    assert [name for name, (own, _) in rows.items() if own] == [], (
        "files that nothing installed and that are no source tree"
    )
