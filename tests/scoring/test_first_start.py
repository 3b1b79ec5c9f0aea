"""A first start compiles the environment's decoder beside the training."""

from contextlib import suppress
from dataclasses import replace

from autoqec.decoding.gate_file import Gate
from autoqec.problem.environment import ENVIRONMENT_FILE
from autoqec.sandbox.channel import Message
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import first_start
from autoqec.scoring.first_start import FirstStart
from autoqec.scoring.scoring_requests import ScoringTask
from autoqec.testing import TINY_ENVIRONMENT

TASK = ScoringTask(environment={ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}, sealed=SealedCandidate({}, b""))


class Pipe:
    """A channel, or a child, that gives messages in order and keeps those it gets."""

    def __init__(self, *messages):
        self.waiting, self.sent, self.killed = list(messages), [], False

    def receive(self, seconds=None):
        return self.waiting.pop(0)

    def send(self, message):
        self.sent.append(message)

    tell = send

    def kill(self):
        self.killed = True


def test_it_makes_every_first_call_of_the_environments_decoder(monkeypatch):
    calls = []

    class Decoder:
        confidence_kind = "gap"

        def decode(self, syndromes, beliefs=None):
            calls.append("plain" if beliefs is None else "beliefs")

        def logical_gap_loss(self, syndromes, beliefs, observables):
            calls.append("loss")

        def confidence(self, syndromes, at_most):
            raise NotImplementedError

        def decode_with_confidence(self, syndromes, at_most):
            raise NotImplementedError

    class Gating:
        def split(self, syndromes):
            calls.append("gate")

    monkeypatch.setattr(first_start, "compile_decoder", lambda *of: Decoder())
    monkeypatch.setattr(first_start, "open_gate", lambda gate, *of, name: Gating())
    monkeypatch.setattr(first_start, "read_gate", lambda files: Gate(kind="gap", threshold=4.0))
    pipe = Pipe(TASK.to_message())
    first_start.serve(pipe)
    assert calls == ["plain", "beliefs", "gate"]
    assert [message.fields for message in pipe.sent] == [{"done": True}]
    teaching = replace(TASK, sealed=SealedCandidate({"training.yaml": b"loss: logical_gap\n"}, b""))
    first_start.serve(Pipe(teaching.to_message()))
    assert calls[3:] == ["loss", "plain", "beliefs", "gate"]


def test_it_starts_once_when_it_is_begun_and_is_waited_for(monkeypatch):
    made = []
    monkeypatch.setattr(
        first_start,
        "Child",
        lambda target, compiling: made.append(Pipe(Message({"done": True}))) or made[-1],
    )
    with FirstStart(TASK):
        pass
    assert made == []
    with FirstStart(TASK) as first:
        first.begin()
        first.begin()
    (child,) = made
    assert (len(child.sent), child.waiting, child.killed) == (1, [], True)
    with suppress(KeyError), FirstStart(TASK) as first:
        first.begin()
        raise KeyError
    assert made[-1].waiting, "a training that failed waits for nothing"
    assert made[-1].killed
