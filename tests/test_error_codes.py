"""Errors have codes: every one is explained, each crosses processes, and no diagnosis depends on a message's words."""

import ast
import pickle
import signal
import traceback
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from autoqec import errors
from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.asking import AgentError, ask
from autoqec.agents.diagnosis.all_rules import diagnose_round
from autoqec.agents.diagnosis.cases import Case
from autoqec.agents.diagnosis.causes_ended import ENDED
from autoqec.candidate import weights
from autoqec.candidate.compile import compile_inference
from autoqec.candidate.schema import read_candidate
from autoqec.decoding.ensemble_file import require_solutions
from autoqec.error_codes import CODES, GROUPS, page
from autoqec.errors import AutoQECError, NotFoundError, UsageError, code_of
from autoqec.loop.parents import ComposeConflict
from autoqec.loop.role_questions import check_beside
from autoqec.loop.round_steps import RoundEnded
from autoqec.plugins import load_plugins
from autoqec.runner import train as train_module
from autoqec.runner.train import Limits, TrainingFailed, train_candidate
from autoqec.runner.training import TrainingDiverged
from autoqec.runner.worker import _teacher
from autoqec.sandbox.channel import ChannelClosed, ChannelTimeout, Message
from autoqec.sandbox.child import ChildFailed, failure_from, report_of
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.predictor import CandidateFault, Predictor, fault_from
from autoqec.testing.tiny import tiny_problem

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "autoqec").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
BAD = {"stages/bp/stage.yaml": b"kind: neural_bp\n"}
OWN = {"stages/own/stage.yaml": b"kind: custom\n"}
MODULE = b"import os\n"


def written_codes():
    """Every code that the source names: of a class, or where an error is made."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                yield str(path), node.value.value
            if isinstance(node, ast.ClassDef):
                for line in node.body:
                    if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == "code":
                        yield str(path), line.value.value
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "CandidateFault" and node.args:
                yield from ((str(path), a.value) for a in node.args[:1] if isinstance(a, ast.Constant))


def test_a_traceback_shows_the_hint():
    error = pickle.loads(pickle.dumps(UsageError("it is wrong", hint="write it right").at("here")))
    assert traceback.format_exception_only(error)[-2:] == [
        "autoqec.errors.UsageError: here: it is wrong\n",
        "hint: write it right\n",
    ]
    assert len(traceback.format_exception_only(UsageError("without one"))) == 1


#: Those that a function chooses, and does not write as `code=`.
CHOSEN = {"out_of_memory", "raised", "unknown_field", "bad_value"}


def test_every_code_is_explained_and_every_explained_code_is_used():
    used = {code for _, code in written_codes() if code}
    assert used - set(CODES) == set()
    assert set(CODES) - used - CHOSEN - {"failed", "bad_weights"} == set()
    assert sum(map(len, GROUPS.values())) == len(CODES), "no code is in two groups"


def test_every_class_of_errors_has_a_code_of_its_own():
    def below(base):
        return [base, *(each for child in base.__subclasses__() for each in below(child))]

    ours = [each for each in below(AutoQECError) if each.__module__.startswith(("autoqec.", "autoqec_plugins."))]
    own = [each for each in ours if "code" in vars(each)]
    assert len({each.code for each in own}) == len(own)
    assert {each.__name__ for each in ours} - {each.__name__ for each in own} == {"CandidateFault", "ChildFailed"}, (
        "these two have the code of what they stand for"
    )


def test_the_page_of_errors_is_made_from_the_codes():
    """If this fails: python -m autoqec.error_codes > docs/errors.md."""
    assert (ROOT / "docs/errors.md").read_text() == page()


@pytest.mark.parametrize(
    "error",
    [
        UsageError("a", hint="b", code="bad_value", about={"file": "f", "least": 1, "choices": ["x"]}),
        NotFoundError("nothing"),
        CandidateFault("bad_weights", "of another shape", code="weights_do_not_fit"),
        ChannelClosed("it died", status=-signal.SIGSEGV),
        KeyError("x"),
        MemoryError("all of it"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_code_crosses_to_another_process(error):
    told = failure_from(Message(report_of(error)))
    assert (told.code, told.kind) == (code_of(error), type(error).__name__)
    assert (told.about, told.hint) == (getattr(error, "about", {}), getattr(error, "hint", None))
    assert str(error) in told.problem or isinstance(error, KeyError)


def test_what_another_process_says_an_error_is_about_is_kept_small_and_plain():
    forged = {"a": "\x1b[2J" + "x" * 10**5, "B c": 1, "many": ["y" * 10**4] * 1000, "map": {"deep": [1] * 10**5}}
    told = failure_from(Message({"error": "e", "code": "Not A Code\n", "about": forged}))
    assert told.code == "failed"
    assert set(told.about) == {"a", "many", "map"}
    assert len(str(told.about)) < 100_000
    assert "\x1b" not in str(told.about)
    assert failure_from(Message({"error": "e", "code": ["x"], "about": "x"})).about == {}


def test_a_place_put_before_a_message_keeps_the_rest():
    error = UsageError("no", hint="h", code="bad_value", about={"field": "x"}).at("noise.p")
    assert (error.problem, error.hint, error.code, error.about) == ("noise.p: no", "h", "bad_value", {"field": "x"})


# What follows makes real failures where they are made, once in the words they have and once in others.


def candidate_error(files):
    try:
        read_candidate(files, load_plugins().maker("stage"))
    except AutoQECError as error:
        return error
    raise AssertionError("nothing is wrong with it")


def by_the_coder(files):
    """How a round ends whose Coder writes such files twice."""

    class Agent:
        def reply(self, role, context, report):
            return {"files": {path: data.decode() for path, data in files.items()}, "message": "m", "tier": 2}

    def check(message):
        read_candidate(files, load_plugins().maker("stage"))

    try:
        ask(Agent(), "coder", Context({}, "r", 1, 1, {}, {}), check)
    except AgentError as error:
        return RoundEnded("agent_error", error)
    raise AssertionError("nothing is wrong with it")


def by_an_agent(role, error):
    class Agent:
        def reply(self, *arguments):
            raise error

    try:
        ask(Agent(), role, Context({}, "r", 1, 1, {}, {}))
    except AgentError as failed:
        return RoundEnded("agent_error", failed)
    raise AssertionError("it did not fail")


def saying_the_same(twin):
    def check(message):
        raise UsageError(f"this candidate is the same as {twin}", code="same_candidate", about={"round": twin})

    class Agent:
        def reply(self, *arguments):
            return {"files": {"stages/bp/stage.yaml": "kind: neural_bp\n"}, "message": "m", "tier": 1}

    try:
        ask(Agent(), "coder", Context({}, "r", 1, 1, {}, {}), check)
    except AgentError as failed:
        return RoundEnded("agent_error", failed)
    raise AssertionError("it was not refused")


def proposing_the_idea_of(other):
    class Agent:
        def reply(self, *arguments):
            return {"text": "an idea"}

    def check(message):
        check_beside(message, [PastRound(other, "open", hypothesis="An idea!")])

    try:
        ask(Agent(), "ideator", Context({}, "r", 1, 1, {}, {}), check)
    except AgentError as failed:
        return RoundEnded("agent_error", failed)
    raise AssertionError("it was not refused")


class Answers:
    """A child that answers as a real one would: with what its far end makes of an exception, or by ending."""

    def __init__(self, error):
        self.error, self.pid = error, 0

    def tell(self, message):
        pass

    def receive(self, *arguments):
        if isinstance(self.error, ChannelClosed | ChannelTimeout):
            raise self.error
        raise failure_from(Message(report_of(self.error)))

    answer = receive

    def kill(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


def in_training(error, monkeypatch):
    """How a round ends whose training process ends so."""
    monkeypatch.setattr(train_module, "Child", lambda *arguments, **more: Answers(error))
    try:
        train_candidate(
            BAD, [""], {}, stages=(), parents=b"", seed=b"", max_shots=1, inherit=False, locked=False, limits=Limits(1, 2**30),
            report=print,
        )  # fmt: skip
    except TrainingFailed as failed:
        return RoundEnded(failed.status, failed)
    raise AssertionError("it did not fail")


def in_scoring(error):
    """How a round ends whose candidate's process ends so while it is scored: from there to the judge by two processes."""
    workers = SimpleNamespace(take=lambda locked: Answers(error))
    try:
        Predictor(SealedCandidate({}, b""), tiny_problem(), workers=workers).wait()
    except CandidateFault as fault:
        fault = fault_from(failure_from(Message(report_of(fault))))
        return RoundEnded("killed_by_safety" if fault.reason == "timeout" else "train_error", fault)
    raise AssertionError("it did not fail")


def raised(work):
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("it did not raise")


def too_large():
    return raised(lambda: weights.save_weights({"w": np.zeros(2**24, np.float32)}, fingerprints=["x"]))


def of_another_problem():
    data = weights.save_weights({"w": np.zeros(1, np.float32)}, fingerprints=["x"])
    return raised(lambda: weights.load_weights(data, fingerprint="y"))


def unfit():
    problem = tiny_problem()
    candidate = read_candidate({"stages/m/stage.yaml": b"kind: mlp\n"}, load_plugins().maker("stage"))
    return raised(lambda: compile_inference(candidate, {}, problem))


def compiled_with(files):
    return lambda patch: in_training(candidate_error(files), patch)


#: A failure as it happens, and the cause that its record must show.
FAILURES = {
    "diverged": lambda patch: in_training(TrainingDiverged("3 of 12 steps"), patch),
    "untrained": (lambda patch: in_training(TrainingDiverged("the first", code="untrained_not_finite"), patch)),
    "no memory": lambda patch: in_training(MemoryError("all"), patch),
    "no memory for torch": lambda patch: in_training(RuntimeError("can't allocate memory: 12 bytes"), patch),
    "killed": lambda patch: in_training(ChannelClosed("it ended", status=-signal.SIGKILL), patch),
    "died": lambda patch: in_training(ChannelClosed("it ended", status=-signal.SIGSEGV), patch),
    "hostile in training": lambda patch: in_training(ChannelClosed("it ended", status=-signal.SIGSYS), patch),
    "slow": lambda patch: in_training(ChannelTimeout("no answer"), patch),
    "large": lambda patch: in_training(too_large(), patch),
    "shape": lambda patch: in_training(AutoQECError("another shape", code="wrong_shape"), patch),
    "raised": lambda patch: in_training(ZeroDivisionError("division by zero"), patch),
    "refused": lambda patch: in_training(AutoQECError("it would not"), patch),
    "no module": compiled_with(OWN),
    "module": compiled_with(OWN | {"stages/own/module.py": MODULE}),
    "a module too many": compiled_with(BAD | {"stages/bp/module.py": MODULE}),
    "field": compiled_with({"stages/bp/stage.yaml": b"kind: neural_bp\niteration: 3\n"}),
    "value": compiled_with({"training.yaml": b"batch_size: 0\n"}),
    "choice": compiled_with({"training.yaml": b"loss: bcd\n"}),
    "no kind": compiled_with({"stages/bp/stage.yaml": b"iterations: 3\n"}),
    "kind": compiled_with({"stages/bp/stage.yaml": b"kind: neural_pb\n"}),
    "yaml": compiled_with({"training.yaml": b"loss: [\n"}),
    "no mapping": compiled_with({"training.yaml": b"- 1\n"}),
    "no teacher": lambda patch: in_training(
        raised(lambda: _teacher({"kind": "osd"}, tiny_problem(), load_plugins())), patch
    ),
    "no solutions": lambda patch: RoundEnded("compile_error", raised(lambda: require_solutions(False, "plain"))),
    "no file of a candidate": compiled_with({"extra.yaml": b"{}\n"}),
    "coder's field": lambda patch: by_the_coder({"stages/bp/stage.yaml": b"kind: neural_bp\niteration: 3\n"}),
    "coder's value": lambda patch: by_the_coder({"training.yaml": b"batch_size: 0\n"}),
    "coder's kind": lambda patch: by_the_coder({"stages/bp/stage.yaml": b"kind: neural_pb\n"}),
    "coder's yaml": lambda patch: by_the_coder({"training.yaml": b"a: b: c\n"}),
    "coder's module": lambda patch: by_the_coder(OWN | {"stages/own/module.py": MODULE}),
    "the same again": lambda patch: saying_the_same("r/1"),
    "the same idea": lambda patch: proposing_the_idea_of("r/1"),
    "ideator": lambda patch: by_an_agent("ideator", OSError("no such host")),
    "analyst": lambda patch: by_an_agent("analyst", UsageError("no model")),
    "conflict": lambda patch: RoundEnded("compose_conflict", ComposeConflict([])),
    "crash": lambda patch: in_scoring(KeyError("x")),
    "silence": lambda patch: in_scoring(ChannelTimeout("no answer")),
    "hostile": lambda patch: in_scoring(ChannelClosed("it ended", status=-signal.SIGSYS)),
    "killed on shots": lambda patch: in_scoring(ChannelClosed("it ended", status=-signal.SIGKILL)),
    "no weights": lambda patch: in_scoring(raised(lambda: weights.load_weights(b"junk"))),
    "weights of another": lambda patch: in_scoring(of_another_problem()),
    "weights of another shape": lambda patch: in_scoring(unfit()),
}

CAUSES = {
    "diverged": "diverged", "untrained": "untrained_not_finite", "no memory": "out_of_memory",
    "no memory for torch": "out_of_memory", "killed": "out_of_memory", "died": "process_died",
    "hostile in training": "hostile_syscall", "slow": "training_time", "large": "too_large", "shape": "bad_output",
    "raised": "stage_crashed", "refused": "train_error", "no module": "custom_refused", "module": "custom_refused",
    "a module too many": "custom_refused", "field": "unknown_field", "value": "bad_value", "choice": "bad_value",
    "no kind": "bad_value", "kind": "unknown_kind", "yaml": "bad_yaml", "no mapping": "bad_yaml",
    "no teacher": "loss_needs_teacher", "no solutions": "ensemble_not_offered",
    "no file of a candidate": "compile_error", "coder's field": "unknown_field", "coder's value": "bad_value",
    "coder's kind": "unknown_kind", "coder's yaml": "bad_yaml", "coder's module": "custom_refused",
    "the same again": "same_candidate", "the same idea": "same_idea", "ideator": "agent_failed", "analyst": "agent_failed",
    "conflict": "compose_conflict", "crash": "crash", "silence": "timeout", "hostile": "hostile_syscall",
    "killed on shots": "crash", "no weights": "bad_weights", "weights of another": "weights_do_not_fit",
    "weights of another shape": "weights_do_not_fit",
}  # fmt: skip

FILES = {
    "training.yaml": "batch_size: 0\n\nloss: bcd\n",
    "stages/bp/stage.yaml": "iteration: 3\n\nkind: neural_bp\n",
    "stages/other/stage.yaml": "kind: neural_pb\n",
}
KNOWN = {"kind": ["gnn", "neural_bp"], "neural_bp": ["iterations", "kind"], "training.yaml": ["batch_size", "loss"]}


def diagnosed(ended):
    """What a diagnosis makes of a round that ended so, by its claim."""
    past = PastRound(
        "r/2", ended.status, ended.reason, files=FILES, code=ended.code, about=ended.about, fork_from=("r/1", "r/1")
    )
    return [(each.cause, each.changes, each.next_step) for each in diagnose_round(Case(past, known=KNOWN))]


def reworded(monkeypatch):
    """From here on every message of ours is gibberish."""
    made = AutoQECError.__init__

    def garble(self, problem, **more):
        made(self, "krz blff vrm", **more)

    monkeypatch.setattr(AutoQECError, "__init__", garble)


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_has_the_same_diagnosis_in_whatever_words(name, monkeypatch):
    plain = diagnosed(FAILURES[name](monkeypatch))
    assert [cause for cause, _, _ in plain] == [CAUSES[name]]
    with monkeypatch.context() as patched:
        reworded(patched)
        ended = FAILURES[name](monkeypatch)
        assert ended.reason == "krz blff vrm"
        assert diagnosed(ended) == plain


def test_every_cause_of_a_round_that_ended_is_among_them():
    """All causes of rounds that end before they are scored, or by a fault on scored shots, but for those below."""
    by_status = {"abandoned", "screened_out", "screen_only", "interrupted", "waiting", "at_work", "no_claim", "damaged"}
    elsewhere = {"custom_crashed", "reply_unusable"}
    assert set(ENDED) - by_status - elsewhere <= set(CAUSES.values())


def test_an_unknown_code_is_no_reason_to_fail():
    for status in ("train_error", "compile_error", "killed_by_safety", "agent_error"):
        for code, about in (("of_a_plugin", {"x": 1}), ("bad_value", {"file": 3}), ("process_ended", {"signal": None})):
            past = PastRound("r/1", status, "words", files={}, code=code, about=about)
            assert len(diagnose_round(Case(past))) == 1


def test_errors_is_the_only_module_that_reads_torchs_words():
    words = [path for path in SOURCES if '"allocate memory"' in path.read_text()]
    assert words == [Path(errors.__file__)]
    assert ChildFailed("x").code == "failed"
