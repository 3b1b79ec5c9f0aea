"""`autoqec env check` and `autoqec env new`: what is said, with which line, and what is left behind."""

import io
import json

import pytest

from autoqec.cli.main import run as run_command
from autoqec.problem.environment import load_environment
from autoqec.testing import TINY_ENVIRONMENT

CIRCUIT = "R 0 1\nX_ERROR(0.1) 0\nM 0 1\nDETECTOR rec[-2]\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-2]\n"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*args):
        code = run_command(["env", *args])
        return code, *capsys.readouterr()

    return call


def write(folder, text, **files):
    (folder / "e.yaml").write_text(text)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)


FILE = "name: e\ncode:\n  kind: {kind}\n  path: {path}\ndecoder: mwpm\n"


def test_check_says_what_a_problem_is(run, tmp_path):
    write(tmp_path, FILE.format(kind="circuit", path="c.stim"), c_stim=CIRCUIT)
    code, out, _ = run("check", "./e.yaml", "--shots", "4096", "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["detectors"], facts["mechanisms"], facts["matchable"], facts["components"]) == (2, 1, True, 1)
    assert facts["mechanism_degree"] == {"least": 1, "mean": 1.0, "largest": 1}
    assert facts["detector_degree"] == {"least": 0, "mean": 0.5, "largest": 1}
    low, high = facts["decoders"]["mwpm"]["ler_ci"]
    assert low == 0 < high < 0.001
    silent, quiet = facts["findings"]
    assert silent == {"field": "code", "line": 2, "finding": "detectors that nothing flips: 1, the first is D1"}
    assert quiet["line"] is None  # there is no noise section to point at
    assert "line 2, code: detectors that nothing flips: 1" in run("check", "./e.yaml", "--shots", "4096")[1]


def test_check_refuses_strata_where_there_are_none_and_says_which_sampling_pays(run, tmp_path):
    dem = "error(0.01) D0\nerror(0.02) D0 L0\nerror(0.02) L0\nerror(0.01) D1"
    write(tmp_path, FILE.format(kind="dem", path="m.dem"), m_dem=dem)
    code, out, _ = run("check", "./e.yaml", "--shots", "4096")
    assert code == 0
    assert "sampling that pays" in out
    write(tmp_path, FILE.format(kind="dem", path="m.dem") + "protocol:\n  sampling: stratified\n", m_dem=dem)
    code, _, err = run("check", "./e.yaml", "--shots", "4096")
    assert code == 2
    assert "line 7: protocol.sampling: stratified does not fit: an error flips an observable" in " ".join(err.split())
    assert "leave out protocol.sampling" in " ".join(err.split())


def test_check_finds_what_no_decoder_can_mend(run, tmp_path):
    dem = "error(0.4) D0\nerror(0.2) D0 L0\nerror(0.25) L0\nerror(0.1) D1"
    write(tmp_path, FILE.format(kind="dem", path="m.dem"), m_dem=dem)
    facts = json.loads(run("check", "./e.yaml", "--shots", "4096", "--json")[1])
    said = " ".join(found["finding"] for found in facts["findings"])
    for words in (
        "probability 0.25 flips an observable",
        "errors with the syndrome of another error but other observables: 1",
        "above threshold",
    ):
        assert words in said
    assert facts["components"] == 2


@pytest.mark.parametrize(
    ("text", "files", "code", "reason"),
    [
        (FILE.format(kind="circuit", path="c.stim"), {}, 3, "e.yaml, line 4: code.path names c.stim"),
        (FILE.format(kind="circuit", path="c.stim"), {"c_stim": ""}, 2, "line 2: code: environment e has no detectors"),
        (
            FILE.format(kind="circuit", path="c.stim"),
            {"c_stim": "NOPE 0"},
            2,
            "line 4: code.path: c.stim is not a stim",
        ),
        (FILE.format(kind="circuit", path="c.stim"), {"c_stim": "\0"}, 2, "line 4: code.path: c.stim is not a stim"),
        (
            FILE.format(kind="circuit", path="c.stim"),
            {"c_stim": CIRCUIT.replace("R 0 1", "RX 0 1")},
            2,
            "line 2: code: environment e: stim cannot build an error model",
        ),
        (
            FILE.format(kind="dem", path="m.dem"),
            {"m_dem": "error(1) D0 L0"},
            2,
            "line 2: code: the error model has an error",
        ),
        (FILE.format(kind="dem", path="m.dem"), {"m_dem": "error(0) D0 L0"}, 2, "line 2: code: the error model has no"),
        (FILE.format(kind="dem", path="m.dem"), {"m_dem": "error(0.1) D0 D1 D2 L0"}, 2, "line 5: decoder: "),
        (FILE.format(kind="dem", path="m.dem") + "decoder: mwpm\n", {}, 2, "line 6: key 'decoder' is written twice"),
        (FILE.format(kind="hexagon", path="m.dem"), {"m_dem": ""}, 3, "line 3: code.kind: there is no code"),
        (
            FILE.format(kind="dem", path="m.dem") + "noise:\n  kind: si1000\n  p:\n  - 0.1\n  - 0\n",
            {},
            2,
            "line 10: noise.p.1",
        ),
        (
            FILE.format(kind="dem", path="m.dem") + "references: [nonesuch]\n",
            {"m_dem": "error(0.1) D0 L0"},
            3,
            "line 6: references.0: there is no decoder",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(run, tmp_path, text, files, code, reason):
    write(tmp_path, text, **files)
    found, out, err = run("check", "./e.yaml")
    assert (found, out) == (code, "")
    assert reason in " ".join(err.split())
    assert "Traceback" not in err


def test_duplicated_errors_are_one_mechanism(run, tmp_path):
    write(tmp_path, FILE.format(kind="dem", path="m.dem"), m_dem="error(0.1) D0 L0\n" * 3 + "error(0) D1 D0")
    facts = json.loads(run("check", "./e.yaml", "--shots", "4096", "--json")[1])
    assert (facts["detectors"], facts["mechanisms"]) == (2, 1)


def test_new_writes_what_was_asked_and_no_more(run, tmp_path):
    changes = ["code.distance=3", "code.rounds=2", "noise.kind=si1000", "noise.p=[1e-3, 0.002]", "references=[]"]
    flags = [word for change in changes for word in ("--set", change)]
    code, out, err = run("new", "mine", "--story", "Small, and quiet.", *flags, "--json")
    assert code == 0, err
    facts = json.loads(out)
    made = load_environment(tmp_path / "envs/mine.yaml").environment
    assert facts == {"schema": "autoqec.env/1", "name": "mine", "where": "envs/mine.yaml", "story": "Small, and quiet."}
    assert made.code.fields == {"task": "surface_code:rotated_memory_z", "distance": 3, "rounds": 2}
    assert (made.noise.kind, made.noise.p, made.noise.target) == ("si1000", (0.001, 0.002), 0.002)
    assert (tmp_path / "envs/mine.yaml").read_text().startswith('name: mine\nstory: "Small, and quiet."\ncode: {kind: ')
    again = run("new", "mine", *flags)
    assert (again[0], "exists" in again[2]) == (2, True)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["mine", "--set", "code.distance"], "write FIELD=VALUE"),
        (["mine", "--set", "code.distance=60"], "code.distance: must be a whole number from 2 to 51, not 60"),
        (["mine", "--set", "noise.kind=biased"], "needs eta"),
        (["mine", "--set", "name.x=1"], "name has no field 'x'"),
        (["Mine"], "is not an environment name"),
        (["mine", "--set", "decoder.kind=nonesuch"], "no decoder named 'nonesuch'"),
        (["mine", "--set", "code.kind=dem", "--set", "code.path=m.dem"], "no such file beside the environment"),
    ],
)
def test_new_leaves_nothing_that_cannot_be_used(run, tmp_path, args, reason):
    code, _, err = run("new", *args)
    assert code in (2, 3)
    assert reason in " ".join(err.split())
    assert not list(tmp_path.rglob("*.yaml"))


def test_new_asks_for_what_the_kind_of_code_needs(run, tmp_path, monkeypatch):
    answers = [
        "A rep code",
        "stim_generated",
        "repetition_code:memory",
        "3",
        "2",
        "biased",
        "[0.01]",
        "20",
        "mwpm",
        "[]",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(answers) + "\n"))
    code, _, err = run("new", "asked", "--ask")
    assert code == 0, err
    made = load_environment(tmp_path / "envs/asked.yaml").environment
    assert made.story == "A rep code"
    assert made.code.fields == {"task": "repetition_code:memory", "distance": 3, "rounds": 2}
    assert (made.noise.kind, made.noise.eta, made.noise.p) == ("biased", 20, (0.01,))
    assert made.references == ()


def test_new_asks_with_the_fields_of_decoder_and_references_as_defaults(run, tmp_path, monkeypatch):
    text = TINY_ENVIRONMENT.replace("decoder: mwpm", "decoder: {kind: osd, bp_iterations: 10}").replace(
        "[mwpm_correlated]", "[mwpm_correlated, {kind: osd, method: osd_cs, order: 4}]"
    )
    (tmp_path / "like.yaml").write_text(text)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n" * 20))  # whatever is offered
    code, _, err = run("new", "asked", "--like", "./like.yaml", "--ask")
    assert code == 0, err
    like, made = (load_environment(tmp_path / name).environment for name in ("like.yaml", "envs/asked.yaml"))
    assert made.model_copy(update={"name": like.name, "story": like.story}) == like
    assert "references: [mwpm_correlated, {kind: osd," in (tmp_path / "envs/asked.yaml").read_text()
