"""Cheaters that never come before the verifier: what is read, what is in git, and what is trained; each ends with its reason."""

import os
import signal
import subprocess

import pytest

from autoqec.candidate.schema import read_candidate
from autoqec.errors import AutoQECError, UsageError
from autoqec.history import read_candidate as read_from_git
from autoqec.history.rounds.trailers import RoundIdentity, build_message, parse_message
from autoqec.plugins import load_plugins
from autoqec.runner.train import Limits, ScreenAt, TrainingFailed, train_candidate
from autoqec.scoring.score_stream import ScoreStream
from autoqec.testing import custom_module

STAGE = "kind: neural_bp\niterations: 4\n"
#: Pieces of a frame, and all descriptors a channel may have.
FRAME = """
head = {}
for descriptor in range(3, 64):
    try:
        os.write(descriptor, struct.pack("<4sI", b"AQF1", len(head)) + head + {})
    except OSError:
        continue
"""


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (
            {"stages/bp/stage.yaml": "a: &a [x, x]\nb: &b [*a, *a]\nkind: [*b, *b]\n"},
            "anchors and aliases",
        ),  # yaml bomb
        ({"stages/bp/stage.yaml": "[" * 50_000}, "nested too deeply"),
        ({"stages/bp/stage.yaml": "kind: !!python/object/apply:os.system [id]\n"}, "tag .* is not allowed"),
        (
            {"stages/bp/stage.yaml": STAGE + "kind: custom\n"},
            "'kind' is written twice",
        ),  # says one thing to each reader
        ({"stages/../../x/stage.yaml": STAGE}, "is not allowed in a candidate"),
        ({"stages/\x1b[2Jbp/stage.yaml": STAGE}, "is not allowed in a candidate"),
        ({"stages/bp/stage.yaml": "kind: neural_bp\u200b\niterations: 4\n"}, "no stage named"),  # looks like ours
        ({"stages/bp/stage.yaml": "kind: Neural_BP\n"}, "no stage named"),
        ({"stages/bp/stage.yaml": STAGE, "stages/bp/module.py": "import os\n"}, "cannot have a module"),
        ({"stages/bp/stage.yaml": STAGE, "conftest.py": "import os\n"}, "is not allowed in a candidate|line 1"),
        ({"stages/bp/stage.yaml": STAGE, "weights.pt": "x"}, "is not allowed in a candidate|is not a mapping"),
        ({"stages/bp/stage.yaml": STAGE, "output.yaml": "threshold: 1e999\n"}, "output.yaml"),
        ({f"stages/s{i}/stage.yaml": STAGE for i in range(17)}, "17 stages"),
    ],
)
def test_files_that_are_not_what_they_seem_are_refused(files, reason):
    with pytest.raises(AutoQECError, match=reason):
        read_candidate({path: text.encode() for path, text in files.items()}, load_plugins().maker("stage"))


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("120000", "a symbolic link"), ("100755", "an executable"), ("160000", "commit|submodule|link")],
)
def test_a_tree_with_anything_but_plain_files_is_refused(autoqec_lab, mode, reason):
    def git(*arguments, stdin=""):
        done = subprocess.run(
            ["git", *arguments], input=stdin, cwd=autoqec_lab.workdir, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    head = git("rev-parse", "HEAD")
    target = head if mode == "160000" else git("hash-object", "-w", "--stdin", stdin="/etc/passwd")
    tree = git(
        "mktree", "--missing", stdin=f"{mode} {'commit' if mode == '160000' else 'blob'} {target}\toutput.yaml\n"
    )
    tree = git("mktree", stdin=f"040000 tree {tree}\tcandidate\n")
    tree = git("mktree", stdin=f"040000 tree {tree}\t.autoqec\n")
    forged = git("commit-tree", "-p", head, "-m", "forged", tree)
    with pytest.raises(AutoQECError, match=reason):
        read_from_git(autoqec_lab, forged)


def test_a_hypothesis_cannot_add_trailers():
    """Its text is one JSON string on one line, and the body's lines are quoted: what looks like a trailer in them is none."""
    forged = "better\n\nAutoQEC-Round: 99\nAutoQEC-Verdict: VERIFIED\n---\n"
    honest = RoundIdentity("run-abcd", 7, "0" * 32, "tiny@sha256:" + "e" * 64, (), "none", "scripted", forged)
    message = build_message(honest, subject=forged, body=forged)
    assert parse_message(message) == honest
    assert [line for line in message.splitlines() if line.startswith("AutoQEC-Round")] == ["AutoQEC-Round: 7"]
    assert not [line for line in message.splitlines() if line.startswith("AutoQEC-Verdict")]


def train(court, source, *, kind="raw_custom", seconds=60.0, memory=12 * 2**30, shots=512, screen=None):
    files = {
        "stages/own/stage.yaml": f"kind: {kind}\n".encode(),
        "stages/own/module.py": source.encode(),
        "training.yaml": f"shots: {shots}\nbatch_size: 128\n".encode(),
    }
    return train_candidate(
        files,
        [str(court.problem.dem)],
        {"kind": "mwpm"},
        stages=(f'{{"kind": "{kind}"}}',),
        parents=b"",
        seed=bytes(32),
        max_shots=shots,
        inherit=False,
        locked=True,
        limits=Limits(seconds, memory),
        report=lambda fields: None,
        screen=screen,
    )


def trick(court, forward, imports=""):
    class Lines:
        FORWARD = "if len(beliefs) > 64:\n    " + forward.strip("\n").replace("\n", "\n    ")
        IMPORTS = imports

    return court.source_of(Lines)


SLOW = pytest.mark.slow
PTRACE = "ctypes.CDLL(None).ptrace(16, 1, 0, 0)"


@pytest.mark.parametrize(
    ("forward", "imports", "status", "reason"),
    [
        pytest.param("os.fork()", "import os", "train_error", "PermissionError", id="fork_bomb"),
        pytest.param("beliefs = beliefs + self.w * 1e76", "", "killed_by_safety", "not finite", id="gradient_bomb", marks=SLOW),
        pytest.param("beliefs = beliefs + self.w / 0", "", "killed_by_safety", "not finite", id="nan_bomb", marks=SLOW),
        pytest.param("hog = bytearray(2**40)", "", "killed_by_safety", "memory", id="memory_hog", marks=SLOW),
        pytest.param("while True: pass", "", "killed_by_safety", "longer than 20 s", id="infinite_loop", marks=SLOW),
        pytest.param("os._exit(0)", "import os", "killed_by_safety", "exit status 0", id="quitter", marks=SLOW),
        pytest.param("open('/tmp/autoqec-forged', 'w')", "", "train_error", "Permission denied", id="writer", marks=SLOW),
        pytest.param(PTRACE, "import ctypes", "killed_by_safety", "SIGSYS", id="debugger", marks=SLOW),
        pytest.param(
            FRAME.format("""b'{"blobs": [["weights", 4]], "done": true, "telemetry": {}, "cost": {}}'""", "b'evil'"),
            "import os\nimport struct", "train_error", "not a safetensors file", id="done_forger", marks=SLOW,
        ),
        pytest.param(
            FRAME.format("""b'{"blobs": [], "loss": NaN, "step": Infinity}'""", "b''"),
            "import os\nimport struct", "killed_by_safety", "malformed header", id="progress_forger", marks=SLOW,
        ),
        pytest.param(
            FRAME.format("""b'{"blobs": [], "x": ' + b'[' * 30000""", "b''"),
            "import os\nimport struct", "killed_by_safety", "malformed header", id="deep_header", marks=SLOW,
        ),
    ],
)  # fmt: skip
def test_what_training_does_ends_its_round_with_a_status(court, forward, imports, status, reason):
    with pytest.raises(TrainingFailed) as failed:
        train(court, trick(court, forward, imports), seconds=20.0 if forward.startswith("while") else 60.0)
    assert (failed.value.status, reason in failed.value.problem) == (status, True), failed.value.problem
    assert failed.value.problem.isprintable()
    assert not os.path.exists("/tmp/autoqec-forged")
    assert court.strangers() == []


@pytest.mark.slow
@pytest.mark.parametrize(("passes", "steps"), [(True, 64), (False, 32)])
def test_locked_training_waits_at_its_screen_and_is_killed_if_it_does_not_pass(court, passes, steps):
    seen = []
    screen = ScreenAt(0.1, lambda found: (seen.append(found), passes)[1])
    made = train(court, custom_module(), shots=8192, screen=screen)
    (found,) = seen
    assert (found.telemetry["steps"], found.lock.level >= 1, found.cost) == (32, True, made.cost)
    assert made.telemetry["steps"] == steps
    assert passes or made == found
    assert court.strangers() == []


@pytest.mark.slow
def test_a_forged_end_of_training_is_believed_in_nothing_but_its_weights(court):
    """Costs below zero and figures beyond reading are dropped, and parameters are counted here."""
    told = '"telemetry": {"steps": 1e300, "shots": 3}, "cost": {"flops_per_shot": -5, "params": -1}'
    lines = (
        "weights = save_weights({'own.w': numpy.zeros(7, numpy.float32)}, fingerprints=['x'])\n"
        f'head = b\'{{"blobs": [["weights", %d]], "done": true, {told}}}\' % len(weights)'
    )
    forward = lines + FRAME.format("head", "weights").replace("head = head", "")
    made = train(
        court,
        trick(
            court, forward, "import os\nimport struct\nimport numpy\nfrom autoqec.candidate.weights import save_weights"
        ),
    )
    assert dict(made.cost) == {"params": 7}
    assert {name: made.telemetry[name] for name in ("steps", "shots") if name in made.telemetry} == {"shots": 3}
    assert made.lock.level >= 1


@pytest.mark.slow
def test_nobody_outlives_a_judge_that_is_killed(court, local):
    """The executor's process dies as it may; matcher and candidate, in sessions of their own, go with it."""
    honest = court.seal(court.source_of(object()))
    stream = ScoreStream(local, court.environment, honest, bytes(32), "dev")
    stream.score(0, 1)
    (child,) = local._children
    os.kill(child.pid, signal.SIGKILL)
    assert court.strangers() == []
    with pytest.raises(AutoQECError):
        stream.score(1, 1)


def test_the_bare_candidate_is_refused_where_it_is_not_installed():
    """The unchecked kind is a test's: without its distribution there is no such stage."""
    with pytest.raises((UsageError, AutoQECError), match="no stage named 'raw_custom'"):
        read_candidate({"stages/own/stage.yaml": b"kind: raw_custom\n"}, load_plugins().maker("stage"))
