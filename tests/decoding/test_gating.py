"""Gates: which shots are sent on, and the answers of those that are not, against a slow reference, shot by shot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.decoder_contract import Decoded
from autoqec.decoding.gate_file import Gate, read_gate
from autoqec.decoding.gating import open_gate
from autoqec.decoding.short_bp import MEMORY, SCALE, ShortBP
from autoqec.errors import AutoQECError, UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.environment import Choice
from autoqec.problem.sampling import sample_chunk
from autoqec.testing import surface_problem, tiny_problem

PROBLEM = tiny_problem()
PLAIN = compile_decoder(Choice(kind="mwpm"), PROBLEM, load_plugins())
SHOTS = sample_chunk(PROBLEM, 7).syndromes[:600]


class Confident:
    """A decoder with a confidence of its own making: a function of the syndrome between 0 and 10, infinite for some."""

    confidence_kind = "own_word"

    def __init__(self, plain, problem):
        self._plain = plain
        self._weights = np.random.default_rng(1).uniform(0, 10, 8 * problem.syndrome_bytes)

    def decode(self, syndromes, beliefs=None):
        return self._plain.decode(syndromes, beliefs)

    def confidence(self, syndromes, at_most=np.inf):
        bits = np.unpackbits(syndromes, axis=1)
        found = (bits @ self._weights % 10).astype(np.float32)
        found[bits.sum(axis=1) == 1] = np.inf
        return np.where(found > at_most, found + np.float32(1.0), found)

    def decode_with_confidence(self, syndromes, at_most=np.inf):
        return self.decode(syndromes), self.confidence(syndromes, at_most)


DECODER = Confident(PLAIN, PROBLEM)


def explanation(problem, syndrome, iterations):
    """Belief propagation in double precision on one shot, message by message: the flips of its explanation, if it finds one."""
    mechanisms, priors = problem.mechanisms, problem.priors_llr.astype(float)
    members = [mechanisms.detector[a:b] for a, b in zip(mechanisms.start, mechanisms.start[1:], strict=False)]
    touching = [[m for m, inside in enumerate(members) if d in inside] for d in range(problem.num_detectors)]
    fired = np.unpackbits(syndrome, count=problem.num_detectors, bitorder="little")
    message = {(m, d): 0.0 for m, inside in enumerate(members) for d in inside}
    total = priors.copy()
    for _ in range(iterations):
        updated = {}
        for d, inside in enumerate(touching):
            tanh = {m: np.tanh((total[m] - message[m, d]) / 2) for m in inside}
            for m in inside:
                product = (-1.0 if fired[d] else 1.0) * np.prod([tanh[other] for other in inside if other != m])
                updated[m, d] = SCALE * 2 * np.arctanh(product)
        message = updated
        bias = priors + MEMORY * (total - priors)
        total = bias + [sum(message[m, d] for d in inside) for m, inside in enumerate(members)]
        guess = total < 0
        if all(sum(guess[m] for m in touching[d]) % 2 == fired[d] for d in range(problem.num_detectors)):
            return np.bitwise_xor.reduce(mechanisms.observables[guess], axis=0, initial=0)
    return None


def reference(gate, decoder, problem, syndromes):
    """What a gate does, one shot after another: None for a shot that is sent on."""
    answers = []
    for syndrome in syndromes:
        events = int(np.unpackbits(syndrome).sum())
        sure = gate.kind != "none" and decoder.confidence(syndrome[None])[0] > np.float32(gate.threshold)
        if events < gate.events or sure:
            answers.append(decoder.decode(syndrome[None]).observables[0])
        else:
            answers.append(explanation(problem, syndrome, gate.short_bp) if gate.short_bp else None)
    return answers


class Asked:
    """The decoder of these tests; it counts the shots that it is asked about."""

    confidence_kind, shots = DECODER.confidence_kind, 0

    def decode(self, syndromes, beliefs=None):
        self.shots += len(syndromes)
        return DECODER.decode(syndromes, beliefs)

    def confidence(self, syndromes, at_most=np.inf):
        return self.decode_with_confidence(syndromes, at_most)[1]

    def decode_with_confidence(self, syndromes, at_most=np.inf):
        return self.decode(syndromes), DECODER.confidence(syndromes, at_most)


GATES = [
    Gate(),
    Gate(kind="own_word", threshold=4.0),
    Gate(kind="own_word", threshold=4.0, events=3),
    Gate(events=3),
    Gate(kind="own_word", threshold=4.0, events=2, short_bp=3),
    Gate(short_bp=5),
    Gate(kind="own_word", threshold=0.0, events=1),
    Gate(kind="own_word", threshold=1e6),
]


@pytest.mark.parametrize("gate", GATES, ids=str)
def test_it_equals_the_slow_reference_shot_for_shot(gate):
    syndromes = SHOTS[:150]
    split = open_gate(gate, DECODER, PROBLEM).split(syndromes)
    expected = reference(gate, DECODER, PROBLEM, syndromes)
    assert split.sent.tolist() == [answer is None for answer in expected]
    for shot in np.flatnonzero(~split.sent):
        assert split.answer.observables[shot].tolist() == expected[shot].tolist()
    assert not split.answer.invalid[~split.sent].any()
    sure = reference(gate.model_copy(update={"short_bp": 0}), DECODER, PROBLEM, syndromes)
    assert split.tried == (sum(answer is None for answer in sure) if gate.short_bp else 0)
    asked = Asked()
    open_gate(gate, asked, PROBLEM).split(syndromes)
    assert open_gate(gate, DECODER, PROBLEM).plainly(split) == asked.shots


def test_the_gates_of_these_tests_send_some_and_keep_some():
    shares = [open_gate(gate, DECODER, PROBLEM).split(SHOTS).sent.mean() for gate in GATES]
    assert [0 < share < 1 for share in shares] == [False, True, True, True, True, True, False, True]
    assert shares[0] == 1
    assert shares[-2] == 0


@given(st.integers(1, 600), st.randoms(use_true_random=False), st.sampled_from(GATES))
@settings(max_examples=30, deadline=None)
def test_a_shot_does_not_depend_on_its_batch(size, random, gate):
    chosen = np.array(random.choices(range(len(SHOTS)), k=size))
    gating = open_gate(gate, DECODER, PROBLEM)
    whole, some = gating.split(SHOTS), gating.split(np.ascontiguousarray(SHOTS[chosen]))
    assert np.array_equal(whole.sent[chosen], some.sent)
    kept = ~some.sent
    assert np.array_equal(whole.answer.observables[chosen][kept], some.answer.observables[kept])


def test_the_order_of_events_and_confidence_changes_nothing():
    """Events are looked at first because that is cheap; a gate that asked the decoder first would send the same shots."""
    both = open_gate(Gate(kind="own_word", threshold=4.0, events=3), DECODER, PROBLEM).split(SHOTS)
    one, other = (
        open_gate(gate, DECODER, PROBLEM).split(SHOTS)
        for gate in (Gate(events=3), Gate(kind="own_word", threshold=4.0))
    )
    assert np.array_equal(both.sent, one.sent & other.sent)
    plain = PLAIN.decode(SHOTS)
    assert np.array_equal(both.answer.observables[~both.sent], plain.observables[~both.sent])


def test_no_shots_are_no_problem():
    for gate in GATES:
        split = open_gate(gate, DECODER, PROBLEM).split(SHOTS[:0])
        assert len(split.sent) == len(split.answer.observables) == split.tried == 0


def test_answers_of_the_sent_shots_are_filled_in():
    split = open_gate(Gate(events=3), DECODER, PROBLEM).split(SHOTS)
    count = int(split.sent.sum())
    told = Decoded(np.full((count, 1), 1, np.uint8), np.arange(count) % 2 == 0)
    filled = split.filled(told)
    assert (filled.observables[split.sent] == 1).all()
    assert np.array_equal(filled.invalid[split.sent], told.invalid)
    plain = PLAIN.decode(SHOTS)
    assert np.array_equal(filled.observables[~split.sent], plain.observables[~split.sent])
    assert not filled.invalid[~split.sent].any()


@pytest.mark.parametrize("iterations", [1, 4])
def test_the_short_belief_propagation_explains_what_it_says_it_explains(iterations):
    problem = surface_problem(5, 0.005)
    syndromes = sample_chunk(problem, 3).syndromes[:1000]
    found = ShortBP(problem, iterations).explain(syndromes)
    assert 0 < found.shots.sum() < len(syndromes)
    assert not found.observables[~found.shots].any()
    fewer = ShortBP(problem, iterations - 1).explain(syndromes) if iterations > 1 else None
    assert fewer is None or (found.shots | ~fewer.shots).all(), (
        "more iterations explain what fewer did, in the same way"
    )
    assert fewer is None or np.array_equal(found.observables[fewer.shots], fewer.observables[fewer.shots])


def test_its_flops_follow_from_the_graph():
    incidences, mechanisms = len(PROBLEM.mechanisms.detector), len(PROBLEM.mechanisms)
    assert ShortBP(PROBLEM, 3).flops_per_shot == 3 * (54 * incidences + 5 * mechanisms)
    assert open_gate(Gate(short_bp=3), PLAIN, PROBLEM).short_bp_flops == ShortBP(PROBLEM, 3).flops_per_shot
    assert open_gate(Gate(), PLAIN, PROBLEM).short_bp_flops == 0


@pytest.mark.parametrize(
    ("decoder", "kind", "said", "hint"),
    [
        (DECODER, "gap", "offers the confidence 'own_word', not 'gap'", "set kind: own_word"),
        (type("Bare", (), {"decode": PLAIN.decode})(), "gap", "offers no confidence, not 'gap'", "set kind: none"),
    ],
    ids=["another", "none"],
)
def test_a_kind_that_the_decoder_does_not_offer_is_refused(decoder, kind, said, hint):
    with pytest.raises(UsageError, match=said) as caught:
        open_gate(Gate(kind=kind, threshold=1.0), decoder, PROBLEM, name="mine")
    assert caught.value.problem.startswith("gate.yaml: kind: decoder 'mine'")
    assert caught.value.code == "gate_not_offered"
    assert hint in str(caught.value.hint)
    assert caught.value.about["file"] == "gate.yaml"
    assert caught.value.about["field"] == "kind"
    with pytest.raises(UsageError, match="gate.yaml: kind: the environment's decoder offers"):
        open_gate(Gate(kind=kind, threshold=1.0), decoder, PROBLEM)


@pytest.mark.parametrize("wrong", [np.float32([np.nan] * 600), np.zeros(3, np.float32)], ids=["nan", "too few"])
def test_a_confidence_that_is_no_number_for_each_shot_is_an_error(wrong, monkeypatch):
    monkeypatch.setattr(DECODER, "confidence", lambda syndromes, at_most: wrong, raising=False)
    with pytest.raises(AutoQECError, match="not one number for each of 600 shots"):
        open_gate(Gate(kind="own_word", threshold=1.0), DECODER, PROBLEM).split(SHOTS)


@pytest.mark.parametrize(
    "text",
    [
        "threshold: -0.1\n",
        "threshold: nan\n",
        "threshold: .nan\n",
        "threshold: inf\n",
        "threshold: 1e400\n",
        "kind: Gap\n",
        "kind: 3\n",
        "events: -1\n",
        "events: 1.5\n",
        "short_bp: 101\n",
        "width: 3\n",
        "- 1\n",
    ],
)
def test_a_mistake_in_the_file_is_named(text):
    with pytest.raises(UsageError) as caught:
        read_gate({"gate.yaml": text.encode()})
    assert caught.value.problem.startswith("gate.yaml")
    assert caught.value.about["file"] == "gate.yaml"


def test_a_candidate_without_the_file_has_no_gate():
    assert read_gate({"output.yaml": b"mode: hard_flip\n"}) is None
    assert read_gate({"gate.yaml": b"kind: gap\nthreshold: 4.4\n"}) == Gate(kind="gap", threshold=4.4)
