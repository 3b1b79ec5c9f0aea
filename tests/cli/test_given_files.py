"""`autoqec env new --from` and `env check FILE`: files as they are; all is written or nothing; hints work when they are typed."""

import io
import json
import shlex

import numpy as np
import pytest
import stim

from autoqec.cli.main import run as run_command
from autoqec.loop import new_environment as writing
from autoqec.problem.environment import load_environment

NOISY = (
    "R 0 1 2\nX_ERROR(0.1) 0 1 2\nM 0 1 2\n"
    "DETECTOR rec[-3] rec[-2]\nDETECTOR rec[-2] rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]\n"
)
QUIET = NOISY.replace("X_ERROR(0.1)", "I[round]")
DEM = "error(0.1) D0 L0\nerror(0.1) D0 D1\nerror(0.1) D1\n"
HYPER = "error(0.1) D0 D1 D2 L0\nerror(0.1) D0\nerror(0.1) D1\nerror(0.1) D2\n"
STEANE = "1010101\n0110011\n0001111\n"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, text in (("noisy.stim", NOISY), ("quiet.stim", QUIET), ("model.dem", DEM), ("hyper.dem", HYPER)):
        (tmp_path / name).write_text(text)
    (tmp_path / "steane").mkdir()
    for name in ("hx.txt", "steane_hz.txt", "README.md"):
        (tmp_path / "steane" / name).write_text(STEANE)

    def call(*args, answers=None):
        if answers is not None:
            monkeypatch.setattr("sys.stdin", io.StringIO(answers))
        code = run_command(["env", *args])
        out, err = capsys.readouterr()
        return code, out, " ".join(err.split())

    return call


def made(tmp_path, name):
    return load_environment(tmp_path / f"envs/{name}.yaml")


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize(("file", "kind"), [("noisy.stim", "circuit"), ("model.dem", "dem")])
def test_a_file_is_taken_as_it_is_and_brings_its_noise(run, tmp_path, file, kind, absolute):
    path = tmp_path / file if absolute else file
    code, _, err = run("new", "mine", "--from", str(path))
    assert code == 0, err
    loaded = made(tmp_path, "mine")
    assert (loaded.environment.code.kind, loaded.environment.noise.kind) == (kind, "given")
    assert loaded.files[file] == (tmp_path / file).read_bytes()


def test_matrices_are_taken_as_files_or_as_a_folder(run, tmp_path):
    steane = ["--set", "code.rounds=1", "--set", "noise.kind=depolarizing", "--set", "noise.p=[0.01]"]
    assert run("new", "folder", "--from", "steane", *steane)[0] == 0
    both = ["--from", "steane/hx.txt", "--from", "steane/steane_hz.txt"]
    assert run("new", "files", *both, *steane)[0] == 0
    for name, hx, hz in (("folder", "hx.txt", "steane_hz.txt"), ("files", "files_hx.txt", "files_hz.txt")):
        assert made(tmp_path, name).environment.code.fields == {"paths": {"hx": hx, "hz": hz}, "rounds": 1}
    np.save(tmp_path / "checks.npy", np.eye(2, dtype=np.uint8))
    np.save(tmp_path / "observables.npy", np.ones((1, 2), dtype=np.uint8))
    np.save(tmp_path / "priors.npy", np.array([0.1, 0.2]))
    names = [word for name in ("checks", "observables", "priors") for word in ("--from", f"{name}.npy")]
    assert run("new", "graph", *names)[0] == 0
    assert made(tmp_path, "graph").environment.noise.kind == "given"


def test_a_copy_gets_a_name_that_collides_with_nothing(run, tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/noisy.stim").write_text("another file")
    assert run("new", "mine", "--from", "noisy.stim")[0] == 0
    assert made(tmp_path, "mine").environment.code.fields == {"path": "mine.stim"}
    assert (tmp_path / "envs/noisy.stim").read_text() == "another file"
    assert run("new", "beside", "--from", "envs/mine.stim")[0] == 0, (
        "a file that lies there already is named, not copied"
    )
    assert made(tmp_path, "beside").environment.code.fields == {"path": "mine.stim"}
    assert sorted(path.name for path in (tmp_path / "envs").iterdir()) == [
        "beside.yaml",
        "mine.stim",
        "mine.yaml",
        "noisy.stim",
    ]


def test_an_environment_is_copied_with_the_files_that_it_names(run, tmp_path):
    assert run("new", "mine", "--from", "noisy.stim", "--folder", "one")[0] == 0
    assert run("new", "copy", "--like", "one/mine.yaml", "--folder", "two")[0] == 0
    assert (tmp_path / "two/noisy.stim").read_text() == NOISY


def test_copy_and_yaml_are_written_together_or_not_at_all(run, tmp_path, monkeypatch):
    code, _, err = run("new", "mine", "--from", "noisy.stim", "--set", "decoder=nonesuch")
    assert (code, "no decoder named 'nonesuch'" in err) == (3, True)
    assert not (tmp_path / "envs").exists()

    class Full(type(tmp_path)):
        def open(self, mode="r", **more):
            if self.suffix == ".yaml":
                raise OSError(28, "No space left on device", str(self))
            return super().open(mode, **more)

    real = writing._write
    monkeypatch.setattr(writing, "_write", lambda path, loaded: real(Full(path), loaded))
    code, _, err = run("new", "mine", "--from", "noisy.stim")
    assert (code, "No space left" in err) == (2, True)
    assert not (tmp_path / "envs").exists()


@pytest.mark.parametrize(
    ("args", "said", "typed"),
    [
        (["../x"], "'../x' is not an environment name", True),
        (["Mine"], "'Mine' is not an environment name", True),
        (["mine", "--from", "quiet.stim"], "there is no noise, so you choose it", False),
        (["mine", "--from", "steane", "--set", "code.rounds=1"], "there is no noise", False),
        (["mine", "--from", "model.dem", "--set", "noise={kind: depolarizing, p: [0.1]}"], "already has noise", False),
        (["mine", "--set", "code.distance"], "write FIELD=VALUE", False),
        (["mine", "--set", "code.kind=dem", "--set", "code.path=model.dem"], "no such file beside", True),
        (["taken"], "exists already", True),
        (["mine", "--from", "steane/README.md"], "no kind of code reads", None),
        (["mine", "--from", "nowhere.stim"], "there is no file nowhere.stim", None),
        (["mine", "--set", "code.distance=60"], "must be a whole number from 2 to 51, not 60", None),
        (["mine", "--set", "noise.kind=biased"], "needs eta", None),
    ],
)
def test_a_hint_is_a_command_that_works(run, tmp_path, args, said, typed):
    assert run("new", "taken")[0] == 0
    (tmp_path / "made").mkdir()
    before = sorted(map(str, tmp_path.rglob("*")))
    code, _, err = run("new", *args)
    assert code in (2, 3)
    assert said in err
    assert "line " not in err, "there is no file that could have lines"
    assert sorted(map(str, tmp_path.rglob("*"))) == before
    hint = err.partition("hint: ")[2]
    assert hint
    if typed is None:
        return
    words = shlex.split(hint.partition("autoqec ")[2] if typed else hint[hint.index("--set") :])
    words = words[1:] if typed else ["new", *args[:1], *_without(args[1:], words), *words]
    if typed and "copies" in words:
        words = words[: words.index("copies")]
    if ".." in words:
        words[words.index("..")] = str(tmp_path / "made")
    if words[0] == "check":
        words += ["--shots", "100"]
    code, _, err = run(*words)
    assert code == 0, (words, err)


@pytest.mark.parametrize("command", [["check", "torn.stim", "--shots", "100"], ["new", "mine", "--from", "torn.stim"]])
def test_a_file_that_cannot_be_read_is_named_to_be_corrected(run, tmp_path, command):
    (tmp_path / "torn.stim").write_text("M 0\nNONSENSE")
    code, _, err = run(*command)
    assert (code, err.partition("hint: ")[2]) == (2, "correct torn.stim, or name another file")


def _without(args, words):
    """The options that stay: those that a hint sets again, or that have no `=`, go."""
    again = {word.partition("=")[0].partition(".")[0] for word in words}
    pairs = list(zip(args[::2], args[1::2], strict=True))
    return [
        word
        for flag, value in pairs
        if flag != "--set" or ("=" in value and value.partition("=")[0].partition(".")[0] not in again)
        for word in (flag, value)
    ]


def test_check_takes_a_file_and_writes_nothing(run, tmp_path):
    before = sorted(map(str, tmp_path.rglob("*")))
    for file in ("noisy.stim", str(tmp_path / "model.dem")):
        code, out, err = run("check", file, "--shots", "4096", "--json")
        assert code == 0, err
        facts = json.loads(out)
        assert facts["detectors"] == 2
        assert all(found["line"] is None for found in facts["findings"])
    code, out, _ = run("check", "hyper.dem", "--shots", "4096", "--json")
    assert code == 0
    assert "mwpm" not in json.loads(out)["decoders"]
    code, _, err = run("check", "quiet.stim")
    assert (code, "there is no noise" in err) == (2, True)
    assert run("check", "quiet.stim", *shlex.split(err.partition("add ")[2]), "--shots", "4096")[0] == 0
    assert sorted(map(str, tmp_path.rglob("*"))) == before


def test_noise_in_a_repeat_block_is_noise(run, tmp_path):
    circuit = stim.Circuit.generated(
        "repetition_code:memory", distance=3, rounds=5, before_round_data_depolarization=0.01
    )
    circuit.to_file(tmp_path / "repeated.stim")
    assert run("new", "mine", "--from", "repeated.stim")[0] == 0


def test_noise_is_asked_for_only_where_there_is_none(run, tmp_path):
    code, _, err = run("new", "one", "--ask", answers="a story\ncircuit\nnoisy.stim\n\n\n")
    assert code == 0, err
    assert "noise.kind" not in err
    code, _, err = run("new", "two", "--ask", "--from", "model.dem", answers="a story\n\n\n")
    assert code == 0, err
    assert "noise.kind" not in err
    answers = "a story\nphenomenological\n[0.01]\n\n\n"
    code, _, err = run("new", "three", "--ask", "--from", "quiet.stim", answers=answers)
    assert code == 0, err
    assert "given" not in err.partition("noise.kind")[2].partition("noise.p")[0]
    found = made(tmp_path, "three").environment
    assert (found.noise.kind, found.noise.p, found.story) == ("phenomenological", (0.01,), "a story")


def test_a_wrong_answer_is_asked_for_again_and_the_others_stay(run, tmp_path):
    answers = [
        *(
            "a story",
            "stim",
            "stim_generated",
            "repetition_code:nonsense",
            "x",
            "3",
            "2",
            "biased",
            "[0.7]",
            "[0.01]",
            "20",
        ),
        *("nonesuch", "mwpm", "mwpm_correlated", "[]"),
        "repetition_code:memory",  # at the end: stim refuses the task
        "",  # the distance, which the sentence names too: as before
        "",
    ]
    code, _, err = run("new", "asked", "--ask", answers="\n".join(answers) + "\n")
    assert code == 0, err
    for said in (
        "there is no stim; known: bivariate_bicycle",
        "code.distance: must be a whole number from 2 to 51, not 'x'",
        "noise.p.0: must be a number above 0 and below 0.5, not 0.7",
        "there is no decoder named 'nonesuch'",
        "references: must be a list",
        "stim refuses",
    ):
        assert said in err
    found = made(tmp_path, "asked").environment
    assert found.code.fields == {"task": "repetition_code:memory", "distance": 3, "rounds": 2}
    assert (found.noise.eta, found.noise.p, found.story) == (20, (0.01,), "a story")


def test_at_the_end_of_input_the_answers_are_printed_as_a_command(run, tmp_path):
    answers = "My story\nstim_generated\nrepetition_code:memory\n3\n"
    code, out, err = run("new", "asked", "--ask", "--set", "protocol.alpha=0.01", answers=answers)
    assert (code, out) == (2, "")
    assert not (tmp_path / "envs").exists()
    command = err.partition("your answers again: autoqec ")[2].partition(" error: ")[0]
    words = shlex.split(command)[1:]
    assert run(*words, "--set", "code.rounds=2")[0] == 0
    found = made(tmp_path, "asked").environment
    assert (found.story, found.protocol.alpha) == ("My story", 0.01)
    assert found.code.fields == {"task": "repetition_code:memory", "distance": 3, "rounds": 2}
