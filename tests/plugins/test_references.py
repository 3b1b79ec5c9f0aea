"""Other people's decoders: they conform where they are installed, and say what to install where they are not."""

import json
import sys
from importlib.metadata import EntryPoint

import pytest
import stim

from autoqec.cli.main import run
from autoqec.errors import AutoQECError, UsageError
from autoqec.plugins import GROUP, Registration, load_plugins, missing_packages
from autoqec.problem.problem import problem_from_dem
from autoqec.testing import check_decoder, colour_problem, tiny_problem

MODULES = {
    "belief_matching": "beliefmatching",
    "mwpf": "mwpf",
    "relay_bp": "relay_bp",
    "tesseract": "tesseract_decoder",
}

#: Errors on three detectors, as a colour code has them.
HYPER = problem_from_dem(
    stim.DetectorErrorModel(
        "\n".join(f"error(0.02) D{i} D{i + 1} D{i + 2} L{i % 2}\nerror(0.01) D{i}" for i in range(12))
    ),
    name="hyper",
)


def made(kind, **fields):
    return (
        load_plugins([EntryPoint("references", "autoqec_plugins.references", GROUP)])
        .get("decoder", kind)
        .create(**fields)
    )


@pytest.mark.parametrize("kind", MODULES)
def test_they_conform(kind):
    pytest.importorskip(MODULES[kind])
    check_decoder(made(kind), tiny_problem())


@pytest.mark.parametrize("kind", ["mwpf", "relay_bp", "tesseract"])
def test_they_decode_hyperedges(kind):
    pytest.importorskip(MODULES[kind])
    check_decoder(made(kind), HYPER)


def test_belief_matching_refuses_hyperedges():
    with pytest.raises(UsageError, match="not graph-like"):
        made("belief_matching").compile(HYPER)


def test_chromobius_decodes_colours_and_refuses_what_has_none():
    pytest.importorskip("chromobius")
    check_decoder(made("chromobius"), colour_problem())
    with pytest.raises(UsageError, match="chromobius cannot decode surface_d3"):
        made("chromobius").compile(tiny_problem())


@pytest.mark.parametrize("kind", [*MODULES, "chromobius"])
def test_a_missing_package_is_named_with_its_pip_line(kind, monkeypatch):
    registry = load_plugins([EntryPoint("references", "autoqec_plugins.references", GROUP)])
    entry = registry.get("decoder", kind)
    module = MODULES.get(kind, kind)
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(AutoQECError) as caught:
        entry.create().compile(tiny_problem())
    options = "--no-deps " if kind == "belief_matching" else ""  # with its dependencies, pip would downgrade NumPy
    assert caught.value.hint == f"pip install {options}'{entry.capabilities['needs']}'"
    assert str(entry.capabilities["needs"]) in caught.value.problem


def test_what_is_missing_is_known_without_importing_it(monkeypatch, capsys):
    registry = load_plugins([EntryPoint("references", "autoqec_plugins.references", GROUP)])
    needs = {"takes_beliefs": False, "needs": "no-such-distribution[extra]", "pip_options": "--no-deps"}
    lost = Registration("decoder", "lost", "no_such_module:Lost", needs, "test", "test 0")
    registry.entries["decoder", "lost"] = lost
    line = "pip install --no-deps 'no-such-distribution[extra]'"
    assert missing_packages(registry)["lost"] == line
    monkeypatch.setattr("autoqec.plugins.load_plugins", lambda: registry)
    for command, words in [
        (["plugins", "--kind", "decoder"], f"not installed: {line}"),
        (["doctor"], f"not installed: {line}"),
    ]:
        assert run(command) == 0
        assert words in " ".join(capsys.readouterr().out.split())
    assert run(["plugins", "--json"]) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (found,) = (item for item in items if item["name"] == "lost")
    assert (found["missing"], found["install"]) == ("no-such-distribution[extra]", line)
