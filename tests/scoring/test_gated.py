"""A gated candidate before the judge: its answers, its costs, and what it is sent, against the ungated candidate shot by shot."""

from contextlib import ExitStack

import numpy as np
import pytest
from tiny_judge import FILES, OWN, PROBLEM, SEED, STAGE, decoders, digest, own, scores, task

from autoqec.decoding.gate_file import Gate
from autoqec.decoding.short_bp import ShortBP
from autoqec.errors import UsageError
from autoqec.problem.environment import ENVIRONMENT_FILE
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import predictor, shard
from autoqec.scoring.batches import batches
from autoqec.scoring.decoder_set import open_decoder_set
from autoqec.scoring.fault_sets import listed, shots_of
from autoqec.scoring.matcher import Matcher
from autoqec.scoring.scoring_requests import AgainTask, ScoringTask
from autoqec.testing import TINY_ENVIRONMENT, untrained

pytestmark = pytest.mark.usefixtures("forget_decoder_set")

SHOTS = sample_chunk(PROBLEM, SEED)

GATES = {
    "gap": Gate(kind="gap", threshold=4.0),
    "events and gap": Gate(kind="gap", threshold=4.0, events=3),
    "gap and short BP": Gate(kind="gap", threshold=6.0, short_bp=3),
    "everything": Gate(),
    "nothing": Gate(events=100_000),
    "by a large threshold": Gate(kind="gap", threshold=1e6),
}


def sealed(gate=None, stages=STAGE, **more):
    files = dict(stages) | more
    if gate is not None:
        fields = gate.model_dump()
        files["gate.yaml"] = "".join(f"{name}: {fields[name]}\n" for name in fields).encode()
    return untrained(files, PROBLEM)


def scored(candidate, **fields):
    (chunk,) = scores(candidate, **fields)
    return chunk


@pytest.fixture(scope="module")
def parts():
    """Of all shots: what the decoder says plainly, how sure it is, and what the ungated candidate and neutral beliefs give."""
    with ExitStack() as resources:
        made = decoders(sealed(), resources)
        plain = made.known(SHOTS.syndromes, False)[0][""]
        gap = made.baseline.confidence(SHOTS.syndromes)
        yield plain, gap, made.candidate(SHOTS.syndromes)[0], made.neutral(SHOTS.syndromes)[0]


def expected(gate, parts):
    """The answers of a gated candidate by the definition of a gate, and which shots it is sent."""
    plain, gap, candidate, _ = parts
    events = np.unpackbits(SHOTS.syndromes, axis=1).sum(axis=1)
    sent = (events >= gate.events) & ((gap <= np.float32(gate.threshold)) | (gate.kind == "none"))
    observables = np.where(sent[:, None], candidate.observables, plain.observables)
    invalid = np.where(sent, candidate.invalid, plain.invalid)
    if gate.short_bp:
        explained = ShortBP(PROBLEM, gate.short_bp).explain(SHOTS.syndromes)
        keeps = sent & explained.shots
        observables[keeps], invalid[keeps] = explained.observables[keeps], False
        sent = sent & ~keeps
    return observables, invalid, sent


@pytest.mark.parametrize("name", GATES)
def test_gated_answers_are_plain_where_the_decoder_is_sure_and_the_candidates_elsewhere(name, parts):
    gate = GATES[name]
    observables, invalid, sent = expected(gate, parts)
    found = scored(sealed(gate), references=True)
    assert found.answers == digest(observables, invalid)
    fails = invalid | (observables != SHOTS.observables).any(axis=1)
    assert found.failed == np.packbits(fails).tobytes().hex()
    assert (found.sent, found.counts.candidate_failures) == (int(sent.sum()), int(fails.sum()))
    # The same shots get uninformative beliefs as get the candidate's.
    untold = np.where(sent[:, None], parts[3].observables, observables)
    assert found.neutral.baseline_failures == int((untold != SHOTS.observables).any(axis=1).sum())
    assert found.neutral_seconds > 0 or not sent.any()
    assert found.gate_seconds >= 0
    assert found.plain_seconds >= 0


def test_belief_propagation_that_converges_is_a_gate_before_osd():
    files = {ENVIRONMENT_FILE: TINY_ENVIRONMENT.replace("decoder: mwpm", "decoder: osd").encode()}
    gated, ungated = sealed(Gate(kind="converged", threshold=0.5)), sealed()
    asked = ScoringTask(environment=files, sealed=gated, seeds=(SEED,))
    (chunk,) = shard.score_chunks(asked.to_message()).fields["chunks"]
    with ExitStack() as resources:
        blobs = {f"env:{name}": data for name, data in files.items()} | ungated.to_blobs()
        made = open_decoder_set(blobs, None, None, resources)
        plain, candidate = made.known(SHOTS.syndromes, False)[0][""], made.candidate(SHOTS.syndromes)[0]
        sent = made.baseline.confidence(SHOTS.syndromes) <= 0.5
    assert 0 < chunk["sent"] == int(sent.sum()) < CHUNK_SHOTS
    observables = np.where(sent[:, None], candidate.observables, plain.observables)
    assert chunk["answers"] == digest(observables, np.where(sent, candidate.invalid, plain.invalid))


def test_the_gates_here_send_some_all_and_none(parts):
    shares = {name: float(expected(gate, parts)[2].mean()) for name, gate in GATES.items()}
    assert 0 < shares["events and gap"] < shares["gap"] < 0.5
    assert shares["everything"] == shares["by a large threshold"] == 1
    assert shares["nothing"] == 0


def test_a_gate_that_sends_everything_equals_no_gate_and_one_that_sends_nothing_the_baseline(parts, monkeypatch):
    ungated = scored(sealed(), references=True)
    assert ungated.sent is None
    for name in ("everything", "by a large threshold"):
        gated = scored(sealed(GATES[name]), references=True)
        assert (gated.answers, gated.counts, gated.neutral) == (ungated.answers, ungated.counts, ungated.neutral)
        assert gated.sent == CHUNK_SHOTS
    none = scored(sealed(GATES["nothing"]), references=True)
    plain = parts[0]
    assert (none.answers, none.sent) == (digest(plain.observables, plain.invalid), 0)
    assert none.counts.baseline_only == none.counts.candidate_only == 0
    assert (none.predict_seconds, none.decode_seconds, none.cpu_seconds) == (0.0, 0.0, 0.0), "it was asked nothing"


def test_nothing_but_the_shots_that_are_sent_on_reaches_the_candidates_process(parts, monkeypatch):
    """The matcher runs in a process of its own; here it is asked by hand, as `autoqec.scoring.shard` asks it."""
    seen = []
    predict = predictor.Predictor.predict
    monkeypatch.setattr(
        predictor.Predictor,
        "predict",
        lambda self, asked, priors=None: seen.append(asked) or predict(self, asked, priors),
    )
    with ExitStack() as resources:
        made = decoders(sealed(GATES["gap"]), resources)
        seen.clear()
        split, took = made.gate(SHOTS.syndromes)
        made.candidate(SHOTS.syndromes[split.sent])
    assert took["flops"] == 0
    assert np.array_equal(np.concatenate(seen), SHOTS.syndromes[expected(GATES["gap"], parts)[2]])


@pytest.mark.parametrize("stages", [STAGE, OWN], ids=["ours", "its own code"])
def test_neither_batches_nor_processes_nor_other_shots_change_an_answer(stages, monkeypatch):
    candidate = sealed(GATES["events and gap"], stages)
    first = scored(candidate).answers
    monkeypatch.setattr(shard, "batches", lambda sent, seed: [slice(i, i + 7) for i in range(0, int(sent.sum()), 7)])
    assert scored(candidate).answers == first
    monkeypatch.undo()
    again = AgainTask(environment=FILES, sealed=candidate, seeds=(SEED,), rates=(0.004, 0.009))
    assert shard.answer_again(again.to_message()).fields["answers"] == [first]


def test_an_answer_that_depends_on_its_batch_comes_out_otherwise_behind_a_gate_too():
    peeking = "if len(beliefs) > 8 and int(syndromes.sum()) % 4 == 0:\n    beliefs = -beliefs\nreturn beliefs + self.w"
    candidate = sealed(GATES["gap"], own(peeking))
    first = scored(candidate).answers
    again = AgainTask(environment=FILES, sealed=candidate, seeds=(SEED,), rates=(0.004, 0.009))
    assert shard.answer_again(again.to_message()).fields["answers"] != [first]


def test_the_recorded_operations_answer_and_are_counted_on_the_shots_that_are_sent_on():
    code = "lit = syndromes.sum(1, keepdim=True)\nreturn beliefs - 0.1 * torch.tanh(lit) * beliefs + self.w"
    for name in ("gap", "nothing"):
        candidate = sealed(GATES[name], own(code))
        found = shard.answer_by_record(task(candidate).to_message()).fields
        assert found["answers"] == [scored(candidate).answers]
        cost = shard.cost(task(candidate).to_message()).fields
        assert cost["flops_per_shot"] > 0, "of a shot that is sent on, whether or not there is one"
        assert found["flops_per_shot"] == (cost["flops_per_shot"] if name == "gap" else 0)


def test_fault_sets_go_through_the_gate():
    def build(problem):
        return shots_of(problem, listed(problem, 1, 0, 10**6))

    given = shard.score_given(task(sealed(GATES["gap"]), ()), build)
    everything = shard.score_given(task(sealed(), ()), build)
    assert 0 < given.score.sent < given.score.counts.shots
    assert everything.score.sent is None
    syndromes = build(PROBLEM).syndromes
    with ExitStack() as resources:
        sent = decoders(sealed(GATES["gap"]), resources).gate(syndromes)[0].sent
    assert np.array_equal(given.candidate[sent], everything.candidate[sent])
    assert np.array_equal(given.candidate[~sent], given.baseline[~sent])


def test_a_candidate_of_a_gate_alone_is_its_gate_and_plain_decoding(parts):
    bare = sealed(GATES["gap"], {})
    found = scored(bare, references=True)
    assert found.counts.baseline_only == found.counts.candidate_only == 0
    assert 0 < found.sent < CHUNK_SHOTS
    assert shard.cost(task(bare).to_message()).fields == {"flops_per_shot": 0, "params": 0}
    explains = Gate(kind="gap", threshold=4.0, short_bp=3)
    gated = scored(sealed(explains, {}))
    tried = int(expected(GATES["gap"], parts)[2].sum())
    assert gated.gate_flops == tried * ShortBP(PROBLEM, 3).flops_per_shot
    assert gated.sent < tried


def test_a_gate_that_asks_the_decoder_nothing_takes_no_time_of_it():
    with ExitStack() as resources:
        seconds = {}
        for name, gate in {"gap": GATES["gap"], "short BP": Gate(short_bp=3)}.items():
            made = decoders(sealed(gate), resources)
            made.known(SHOTS.syndromes, False)
            seconds[name] = made.gate(SHOTS.syndromes)[1]
    assert seconds["gap"]["plain"] > 0
    assert seconds["short BP"]["plain"] == 0 < seconds["short BP"]["gate"]


def test_the_judges_matcher_gives_what_its_parts_give_here(parts):
    candidate = sealed(GATES["events and gap"])
    with ExitStack() as resources:
        here = decoders(candidate, resources).gate(SHOTS.syndromes)[0]
        blobs = {f"env:{name}": data for name, data in FILES.items()} | candidate.to_blobs()
        matcher = resources.enter_context(Matcher(blobs))
        matcher.wait(PROBLEM.observable_bytes)
        assert matcher.gated
        split, seconds = matcher.gate(SHOTS.syndromes)
    assert np.array_equal(split.sent, here.sent)
    assert np.array_equal(split.answer.observables[~split.sent], here.answer.observables[~here.sent])
    assert seconds.keys() == {"plain", "gate", "flops"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"kind: converged\nthreshold: 0.5\n", "decoder 'mwpm' offers the confidence 'gap', not 'converged'"),
        (b"threshold: -1\n", "gate.yaml: threshold"),
    ],
)
def test_a_gate_that_cannot_be_applied_is_an_error_that_says_why(text, said):
    candidate = sealed()
    broken = SealedCandidate({**candidate.files, "gate.yaml": text}, candidate.weights)
    with pytest.raises(UsageError, match=said):
        shard.score_chunks(task(broken).to_message())


def test_sizes_of_batches_behind_a_gate_do_not_tell_how_many_chunks_were_asked_about():
    rng = np.random.default_rng(1)
    one, four = (rng.random(n * CHUNK_SHOTS) < 0.1 for n in (1, 4))
    for sent in (one, four):
        cuts = batches(sent, 3)
        assert [cut.start for cut in cuts] + [int(sent.sum())] == [0] + [cut.stop for cut in cuts]
        assert all(0 < cut.stop - cut.start < 0.13 * CHUNK_SHOTS for cut in cuts)
    assert batches(np.zeros(CHUNK_SHOTS, bool), 1) == []
