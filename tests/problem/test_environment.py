"""Environments: strict, identified by meaning, complete as a dictionary of files."""

import re
from pathlib import Path

import pytest

from autoqec.errors import NotFoundError, UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import (
    ENVIRONMENT_FILE,
    builtin_environments,
    environment_from_files,
    find_environment,
    load_environment,
)
from autoqec.problem.neighbours import at_cell, environment_cell, neighbours
from autoqec.testing import TINY_ENVIRONMENT

CIRCUIT = "R 0\nX_ERROR(0.1) 0\nM 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]\n"


def parse(text):
    return environment_from_files({ENVIRONMENT_FILE: text.encode()}, origin="e.yaml")


#: Detectors, mechanisms, observables, and matching edges where there are any.
BUILT_IN = {
    "bb144_depol": (936, 8784, 12, None),
    "bb144_p1e-3": (936, 8784, 12, None),
    "bb72_depol": (252, 2232, 12, None),
    "color_d5_depol": (45, 1104, 1, None),
    "surface_d3_depol": (24, 219, 1, 78),
    "surface_d5_biased": (120, 1679, 1, 502),
    "surface_d5_depol": (120, 1677, 1, 502),
    "surface_d5_p1e-3": (120, 1677, 1, 502),
    "surface_d5_phenom": (120, 418, 1, 318),
    "surface_d7_depol": (336, 5471, 1, 1540),
    "surface_d7_p1e-3": (336, 5471, 1, 1540),
    "surface_d9": (720, 12705, 1, 3502),
}


def test_every_built_in_environment_is_on_the_page():
    assert {path.stem for path in builtin_environments().glob("*.yaml")} == set(BUILT_IN)
    page = (Path(__file__).parents[2] / "docs/environments.md").read_text()
    for name, sizes in BUILT_IN.items():
        detectors, mechanisms, observables, edges = (f"{size:,}" if size else "none" for size in sizes)
        assert f"| `{name}` | {detectors} | {mechanisms} | {observables} | {edges} |" in page


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_environment_compiles(name):
    loaded = find_environment(name, [builtin_environments()])
    assert loaded.name == name
    assert loaded.environment.story
    problem = build_problem(loaded, load_plugins().maker("code"))
    edges = len(problem.edges) if problem.edges is not None else None
    assert (problem.num_detectors, len(problem.mechanisms), problem.num_observables, edges) == BUILT_IN[name]


def test_identity_is_meaning_not_spelling():
    same = TINY_ENVIRONMENT.replace("0.006", "6e-3").replace("tiny", "other") + "constraints: {max_params: null}\n"
    assert parse(TINY_ENVIRONMENT).identity == parse(same).identity
    assert parse(TINY_ENVIRONMENT).identity != parse(TINY_ENVIRONMENT.replace("rounds: 3", "rounds: 4")).identity


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("noise: {kind: depolarizing, p: [0.006]}", "noise: {kind: depolarizing}"), "noise: p needs at least one"),
        (("p: [0.006]", "p: [0.7]"), "noise.p.0: must be a number above 0 and below 0.5, not "),
        (("p: [0.006]", "p: [1]"), "noise.p.0: must be a number above 0 and below 0.5, not "),
        (("p: [0.006]", "p: [0]"), "noise.p.0: must be a number above 0 and below 0.5, not 0"),
        (("p: [0.006]", "p: [.nan]"), "noise.p.0"),
        (("p: [0.006]", "p: 0.006"), "noise.p: p must be a list, for example p: [0.006]"),
        (("p: [0.006]", "p: [0.006], target_p: 0.02"), "target_p 0.02 is not one of p"),
        (("p: [0.006]", "p: [0.006, 0.006]"), "lists the same rate twice"),
        (("kind: depolarizing", "kind: thermal"), "noise.kind"),
        (("name: tiny", "name: Tiny Env"), "name:"),
        (("story:", "storey:"), "storey: unknown field; did you mean story?"),
        (("decoder: mwpm\n", ""), "decoder: missing; it must be a mapping"),
        (("decoder: mwpm\n", "decoder: 3\n"), "decoder"),
    ],
)
def test_a_wrong_field_is_named(change, reason):
    with pytest.raises(UsageError, match=r"e\.yaml") as caught:
        parse(TINY_ENVIRONMENT.replace(*change))
    assert reason in caught.value.problem


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("{kind: stim_generated, task: nope, distance: 3, rounds: 3}", "stim refuses"),
        (
            "{kind: stim_generated, task: 'surface_code:rotated_memory_z', distance: 3}",
            "rounds: missing; it must be a whole number",
        ),
        (
            "{kind: stim_generated, task: 'surface_code:rotated_memory_z', distance: 3, rounds: 3, x: 1}",
            "x: unknown field; known: task",
        ),
    ],
)
def test_a_wrong_code_field_is_named(code, reason):
    lines = [f"code: {code}" if line.startswith("code:") else line for line in TINY_ENVIRONMENT.splitlines()]
    with pytest.raises(UsageError, match=r"e\.yaml") as caught:
        build_problem(parse("\n".join(lines)), load_plugins().maker("code"))
    assert reason in caught.value.problem


def test_an_unknown_code_lists_those_that_exist():
    loaded = parse(TINY_ENVIRONMENT.replace("stim_generated", "toric"))
    with pytest.raises(NotFoundError, match="no code named 'toric'"):
        build_problem(loaded, load_plugins().maker("code"))


@pytest.fixture
def circuit_environment(tmp_path):
    def write(path="c.stim", text=CIRCUIT, kind="circuit", extra=""):
        (tmp_path / "e.yaml").write_text(f"name: e\ncode: {{kind: {kind}, path: {path}}}\ndecoder: mwpm\n{extra}")
        if text is not None:
            (tmp_path / Path(path).name).write_text(text)
        return tmp_path / "e.yaml"

    return write


def test_a_circuit_file_is_part_of_the_identity(circuit_environment):
    one = load_environment(circuit_environment())
    other = load_environment(circuit_environment(text=CIRCUIT.replace("0.1", "0.2")))
    assert one.identity != other.identity
    assert build_problem(one, load_plugins().maker("code")).mechanisms.priors.tolist() == [0.1]


def test_a_dem_file(circuit_environment):
    loaded = load_environment(circuit_environment(kind="dem", text="error(0.25) D0 L0"))
    problem = build_problem(loaded, load_plugins().maker("code"))
    assert problem.circuit is None
    assert problem.mechanisms.priors.tolist() == [0.25]


@pytest.mark.parametrize("path", ["/etc/passwd", "../c.stim", "missing.stim"])
def test_a_file_that_is_not_beside_it_is_refused(circuit_environment, path):
    with pytest.raises((UsageError, NotFoundError), match=r"code\.path"):
        load_environment(circuit_environment(path=path, text=None))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": "NOT_A_GATE 0"}, "not a stim circuit"),
        ({"text": "M 0\nOBSERVABLE_INCLUDE(0) rec[-1]"}, "no detectors"),
        ({"text": "M 0\nDETECTOR rec[-1]"}, "no logical observables"),
        ({"extra": "noise: {kind: depolarizing, p: [0.1]}"}, "already has noise"),
    ],
)
def test_a_circuit_that_cannot_be_used_says_why(circuit_environment, fields, reason):
    with pytest.raises(UsageError) as caught:
        build_problem(load_environment(circuit_environment(**fields)), load_plugins().maker("code"))
    assert reason in caught.value.problem


def test_finding_by_name_path_and_not_at_all(tmp_path):
    (tmp_path / "mine.yaml").write_text(TINY_ENVIRONMENT)
    folders = [tmp_path, builtin_environments()]
    assert find_environment("mine", folders).name == "tiny"
    assert find_environment("surface_d5_depol", folders).name == "surface_d5_depol"
    assert find_environment(str(tmp_path / "mine.yaml"), []).name == "tiny"
    with pytest.raises(NotFoundError) as caught:
        find_environment("nope", folders)
    assert f"{min(BUILT_IN)}, " in caught.value.hint
    assert "mine, surface_d3_depol" in caught.value.hint
    with pytest.raises(NotFoundError, match="No such file"):
        find_environment(str(tmp_path / "no.yaml"), folders)


def test_two_orders_of_one_decoder_have_two_labels_and_one_twice_is_refused():
    text = (
        "name: labels\ncode: {kind: stim_generated, task: 'repetition_code:memory', distance: 3, rounds: 2}\n"
        "noise: {kind: depolarizing, p: [0.01]}\ndecoder: osd\n"
        "references: [osd, {kind: osd, method: osd_cs, order: 10}, {order: 7, kind: osd, method: osd_cs}]\n"
    )
    environment = environment_from_files({"environment.yaml": text.encode()}, origin="here").environment
    assert [reference.label for reference in environment.references] == [
        "osd",
        "osd(method=osd_cs, order=10)",
        "osd(method=osd_cs, order=7)",
    ]
    with pytest.raises(UsageError, match=r"references lists osd\(method=osd_cs, order=10\) twice"):
        environment_from_files({"environment.yaml": text.replace("7", "10").encode()}, origin="here")


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("[{}]", "protocol.cells.0: the cell is empty"),
        ("[{p: 0.01}, {p: 0.01}]", "protocol.cells.1: the cell is listed twice"),
        ("[{rounds: 3}]", "protocol.cells.0: the cell is the target"),
        ("[{p: 0.006, distance: 3}]", "the cell is the target"),
        ("[{p: 0.6}]", "protocol.cells.0.p: must be a number above 0 and below 0.5"),
        ("[{beta: 1}]", "protocol.cells.0.beta: unknown field; known: p"),
        ("[]", "protocol.cells: must be a list of 1 to 16 items"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(cells, why):
    with pytest.raises(UsageError, match=re.escape(why)):
        parse(TINY_ENVIRONMENT.replace("protocol: {", f"protocol: {{cells: {cells}, "))


@pytest.mark.parametrize(("cell", "field"), [("rounds: 3", "rounds"), ("p: 0.1", "p"), ("distance: 3", "distance")])
def test_what_a_file_says_has_no_other_cell(cell, field):
    text = f"name: x\ncode: {{kind: circuit, path: c.stim}}\ndecoder: mwpm\nprotocol: {{cells: [{{{cell}}}]}}\n"
    with pytest.raises(UsageError, match=rf"protocol.cells.0: {field}: .*(remove|set factor)"):
        parse(text)


def test_an_environment_at_a_cell_differs_in_that_only():
    loaded = parse(TINY_ENVIRONMENT.replace("protocol: {", "protocol: {cells: [{p: 0.01, rounds: 5}], "))
    (cell,) = loaded.environment.protocol.cells
    there = at_cell(loaded, cell)
    assert environment_cell(there.environment).said == {"p": 0.01, "rounds": 5, "distance": 3}
    assert there.environment.protocol.cells is None
    again = parse(TINY_ENVIRONMENT.replace("rounds: 3", "rounds: 5").replace("0.006", "0.01"))
    assert (
        build_problem(there, load_plugins().maker("code")).fingerprint
        == build_problem(again, load_plugins().maker("code")).fingerprint
    )
    assert there.environment.references == loaded.environment.references


def test_the_neighbours_of_a_target_are_what_can_be_changed():
    assert [cell.label for cell in neighbours(parse(TINY_ENVIRONMENT).environment)] == [
        "p = 0.0048", "p = 0.0072", "rounds = 2", "rounds = 4",
    ]  # fmt: skip
    none = parse(
        TINY_ENVIRONMENT.replace("protocol: {", "protocol: {harm_cells: [], ").replace("rounds: 3", "rounds: 1")
    )
    assert [cell.label for cell in neighbours(none.environment)] == ["rounds = 2"]
    text = "name: x\ncode: {kind: circuit, path: c.stim}\ndecoder: mwpm\n"
    assert [cell.label for cell in neighbours(parse(text).environment)] == ["factor = 0.8", "factor = 1.2"]
