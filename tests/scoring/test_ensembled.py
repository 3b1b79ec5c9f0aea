"""A candidate with an ensemble before the judge: its answers, what its passes are counted as, and what it is sent."""

import json
from contextlib import ExitStack, suppress

import numpy as np
import pytest
from tiny_judge import FILES, OWN, PROBLEM, SEED, STAGE, decoders, digest, scores, task

from autoqec.candidate.weights import load_weights, save_weights
from autoqec.decoding.ensemble import open_ensemble
from autoqec.decoding.ensemble_file import Ensemble
from autoqec.errors import UsageError
from autoqec.problem.environment import ENVIRONMENT_FILE
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import predictor, shard
from autoqec.scoring.candidate_workers import Workers
from autoqec.scoring.matcher import Matcher
from autoqec.scoring.predictor import CandidateFault
from autoqec.scoring.scored import total
from autoqec.scoring.scoring_requests import AgainTask, ScoringTask
from autoqec.size_limits import WEIGHTS_HEADER_BYTES
from autoqec.testing import TINY_ENVIRONMENT, custom_module, untrained

pytestmark = pytest.mark.usefixtures("forget_decoder_set")

OTHER_SEED = 6
SHOTS = sample_chunk(PROBLEM, SEED)
GATE = {"gate.yaml": b"kind: gap\nthreshold: 4.0\n"}
ENSEMBLE = Ensemble(members=5, passes=3, agree=2, margin=3.0)


KINDS = pytest.mark.parametrize("stages", [STAGE, OWN], ids=["ours", "its own code"])
GATES = pytest.mark.parametrize("gate", [GATE, {}], ids=["behind a gate", "about every shot"])


def sealed(stages=STAGE, gate=GATE, ensemble=ENSEMBLE, **more):
    fields = ensemble.model_dump()
    text = "".join(f"{name}: {fields[name]}\n" for name in fields).encode()
    return untrained({**stages, **gate, "ensemble.yaml": text, **more}, PROBLEM)


@pytest.fixture(scope="module")
def opened():
    """Opens the decoders' part of a candidate without code of its own, with one process for all of them."""
    with Workers() as workers:

        def opened(candidate):
            with ExitStack() as resources:
                return decoders(candidate, resources, workers)

        yield opened


@GATES
def test_answers_are_those_of_the_ensemble_about_what_is_sent_on_and_its_passes_are_summed(gate):
    candidate = sealed(gate=gate)
    with ExitStack() as resources:
        made = decoders(candidate, resources)
        sent = made.gate(SHOTS.syndromes)[0].sent if gate else np.ones(len(SHOTS), dtype=bool)
        plain = made.known(SHOTS.syndromes, False)[0][""]
        ensembling = open_ensemble(ENSEMBLE, made.backend, PROBLEM)
        chosen = ensembling.decode(SHOTS.syndromes[sent], made.predictor.predict)
    observables, invalid = plain.observables.copy(), plain.invalid.copy()
    observables[sent], invalid[sent] = chosen.answer.observables, chosen.answer.invalid
    (found,) = scores(candidate)
    assert found.answers == digest(observables, invalid)
    assert (found.sent, found.passes) == (int(sent.sum()), int(chosen.passes.sum()))
    assert chosen.passes.min() == 2
    assert chosen.passes.max() == 3
    fails = invalid | (observables != SHOTS.observables).any(axis=1)
    assert found.counts.candidate_failures == int(fails.sum())


def test_passes_and_flops_of_chunks_add_up():
    candidate = sealed()
    first, second = scores(candidate, (SEED, OTHER_SEED))
    (alone,) = scores(candidate, (OTHER_SEED,))
    assert (alone.answers, alone.passes, alone.sent) == (second.answers, second.passes, second.sent)
    summed = total([first, second])
    assert (summed.passes, summed.sent) == (first.passes + second.passes, first.sent + second.sent)
    each = shard.cost(task(candidate).to_message()).fields["flops_per_shot"]
    plain = shard.cost(task(untrained({**STAGE, **GATE}, PROBLEM)).to_message()).fields["flops_per_shot"]
    assert each == plain, "the cost of one pass"
    assert summed.mean_flops(each) == -(-each * summed.passes // (2 * CHUNK_SHOTS))


@KINDS
@GATES
def test_neither_batches_nor_processes_nor_other_shots_change_an_answer(stages, gate, monkeypatch):
    candidate = sealed(stages, gate)
    (first,) = scores(candidate)
    cuts = [0, 3, 10, 11, 500, 1500]
    monkeypatch.setattr(
        shard,
        "batches",
        lambda sent, seed: [
            slice(a, min(b, int(sent.sum())))
            for a, b in zip(cuts, [*cuts[1:], int(sent.sum())], strict=True)
            if a < int(sent.sum())
        ],
    )
    (other,) = scores(candidate)
    assert (other.answers, other.passes, other.sent) == (first.answers, first.passes, first.sent)
    monkeypatch.undo()
    again = AgainTask(environment=FILES, sealed=candidate, seeds=(SEED,), rates=(0.004, 0.009))
    assert shard.answer_again(again.to_message()).fields["answers"] == [first.answers]


@KINDS
def test_the_recorded_operations_answer_as_the_code_does(stages):
    if stages is STAGE:
        stages = {**STAGE, **OWN}
    candidate = sealed(stages)
    found = shard.answer_by_record(task(candidate).to_message()).fields
    (first,) = scores(candidate)
    assert found["answers"] == [first.answers]
    assert found["flops_per_shot"] == shard.cost(task(candidate).to_message()).fields["flops_per_shot"]


def test_the_candidates_process_is_sent_syndromes_and_priors_and_nothing_else(monkeypatch):
    told = []
    request = predictor.Predictor._request
    monkeypatch.setattr(
        predictor.Predictor,
        "_request",
        lambda self, asked, *more: told.append(asked) or request(self, asked, *more),
    )
    candidate = sealed()
    with ExitStack() as resources:
        made = decoders(candidate, resources)
        told.clear()
        split = made.gate(SHOTS.syndromes)[0]
        assert told == [], "a gate asks it nothing"
        made.candidate(SHOTS.syndromes[split.sent])
        priors = [made._ensembling.priors(member).tobytes() for member in range(3)]
    assert {each.op for each in told} == {"predict"}
    assert [each.priors for each in told] == [b"", *priors[1:]]
    assert told[0].syndromes == SHOTS.syndromes[split.sent].tobytes()
    assert told[1].syndromes == told[0].syndromes
    row = PROBLEM.syndrome_bytes
    kept = [told[2].syndromes[first : first + row] for first in range(0, len(told[2].syndromes), row)]
    assert 0 < len(kept) < int(split.sent.sum()), "shots whose members agree are asked about no more"
    rest = iter(told[1].syndromes[first : first + row] for first in range(0, len(told[1].syndromes), row))
    assert all(each in rest for each in kept), "the others stay in their order"


def test_hard_flips_can_be_members():
    flips = {"output.yaml": b"mode: hard_flip\nthreshold: 0.6\n"}
    (found,) = scores(sealed(**flips))
    (soft,) = scores(sealed())
    assert found.sent == soft.sent
    assert found.sent < found.passes <= 3 * found.sent
    assert found.answers != soft.answers


def test_osd_answers_can_be_members():
    files = {ENVIRONMENT_FILE: TINY_ENVIRONMENT.replace("decoder: mwpm", "decoder: osd").encode()}
    candidate = sealed(gate={"gate.yaml": b"kind: converged\nthreshold: 0.5\n"})
    asked = ScoringTask(environment=files, sealed=candidate, seeds=(SEED,))
    (chunk,) = shard.score_chunks(asked.to_message()).fields["chunks"]
    again = AgainTask(environment=files, sealed=candidate, seeds=(SEED,))
    assert shard.answer_again(again.to_message()).fields["answers"] == [chunk["answers"]]
    assert 0 < chunk["sent"] < chunk["passes"] <= 3 * chunk["sent"]


def test_uninformative_beliefs_are_about_the_same_shots():
    (found,) = scores(sealed(), references=True)
    assert found.neutral.candidate_failures == found.counts.candidate_failures
    assert found.neutral.shots == CHUNK_SHOTS


def test_the_judges_matcher_says_that_there_is_an_ensemble_and_sums_its_passes():
    candidate = sealed(gate={})
    few = SHOTS.syndromes[:300]
    with ExitStack() as resources:
        here, took = decoders(candidate, resources).candidate(few)
        blobs = {f"env:{name}": data for name, data in FILES.items()} | candidate.to_blobs()
        matcher = resources.enter_context(Matcher(blobs))
        matcher.wait(PROBLEM.observable_bytes)
        assert (matcher.gated, matcher.ensembled) == (False, True)
        there, seconds = matcher.candidate(few)
    assert np.array_equal(there.observables, here.observables)
    assert seconds["passes"] == took["passes"] >= 600


# Candidates that want to gain by being asked several times.


def test_answers_that_depend_on_the_number_of_the_request_come_out_otherwise_in_other_company():
    init = "self.w = torch.nn.Parameter(torch.zeros(1))\nself.asked = 0"
    module = custom_module(
        "self.asked = self.asked + 1\nreturn beliefs * (0.5 if self.asked > 20 and self.asked % 3 == 1 else 1) + self.w",
        init,
    )
    counts = {"stages/own/stage.yaml": b"kind: custom\n", "stages/own/module.py": module.encode()}
    candidate = sealed(counts, gate={})
    (first,) = scores(candidate)
    again = AgainTask(environment=FILES, sealed=candidate, seeds=(SEED,), rates=(0.004, 0.009))
    assert shard.answer_again(again.to_message()).fields["answers"] != [first.answers]


def test_beliefs_that_are_not_finite_in_one_member_are_failures_of_their_shots_alone():
    with ExitStack() as resources:
        second = float(decoders(sealed(), resources)._ensembling.priors(1)[0])
    module = custom_module(
        f"second = (beliefs[:, :1] == {second!r}) & (syndromes[:, :1] > 0)\n"
        "return torch.where(second, beliefs * float('nan'), beliefs) + self.w"
    )
    spoils = {"stages/own/stage.yaml": b"kind: custom\n", "stages/own/module.py": module.encode()}
    (found,) = scores(sealed(spoils, gate={}))
    bits = np.unpackbits(SHOTS.syndromes, axis=1, bitorder="little")
    assert found.invalid == int((bits[:, 0] == 1).sum()) > 0
    assert found.counts.candidate_failures >= found.invalid


# The learned coefficients are in the weights, which are the candidate's; the judge reads them itself.


def with_choice(array, **how):
    candidate = sealed(**how)
    tensors = load_weights(candidate.weights) | {"ensemble/choice": np.asarray(array)}
    return SealedCandidate(candidate.files, save_weights(tensors, fingerprints=[PROBLEM.fingerprint]))


def test_learned_coefficients_decide_and_are_parameters():
    learned = with_choice(np.array([0, 0, 0, 1, 0], np.float32))
    (votes,), (sums,) = scores(learned), scores(sealed())
    (same,) = scores(with_choice(np.array([1, 0.25, 0, 0, 0], np.float32)))
    assert same.answers == sums.answers
    assert votes.answers != sums.answers
    with pytest.raises(CandidateFault) as caught:  # and the whole way back from the judge's matcher
        scores(with_choice(np.ones(4, np.float32)))
    assert (caught.value.reason, caught.value.code) == ("bad_weights", "weights_do_not_fit")
    params = [shard.cost(task(each).to_message()).fields["params"] for each in (learned, sealed())]
    assert params[0] == params[1] + 5


@pytest.mark.parametrize(
    "coefficients",
    [
        np.array([1, np.nan, 0, 0, 0], np.float32),
        np.array([np.inf, 0, 0, 0, 0], np.float32),
        np.array([1001, 0, 0, 0, 0], np.float32),
        np.ones(4, np.float32),
        np.ones(6, np.float32),
        np.ones(0, np.float32),
        np.ones(5, np.float64),
        np.ones(5, np.int32),
        np.ones(5, np.float16),
    ],
    ids=["NaN", "infinite", "too large", "too few", "too many", "none", "of 64 bits", "whole numbers", "of 16 bits"],
)
def test_coefficients_that_cannot_be_used_are_bad_weights(coefficients, opened):
    with pytest.raises(CandidateFault) as caught:
        opened(with_choice(coefficients))
    assert caught.value.reason == "bad_weights"
    assert caught.value.code in ("weights_do_not_fit", "weights_not_finite")
    assert "ensemble/choice" in caught.value.problem


def headed(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    "weights",
    [
        headed(b"{" + b" " * WEIGHTS_HEADER_BYTES + b"}"),
        (2**63).to_bytes(8, "little") + b"{}",
        headed(b"[" * 100_000),
        headed(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        headed([1, 2]),
        headed({"ensemble/choice": [1]}),
        headed({"ensemble/choice": {"dtype": "F32", "shape": [5], "data_offsets": [0, 2**40]}}, bytes(20)),
        headed({"ensemble/choice": {"dtype": "F32", "shape": [5], "data_offsets": [-8, 12]}}, bytes(20)),
        headed({"ensemble/choice": {"dtype": "F32", "shape": [5], "data_offsets": ["a", {}]}}, bytes(20)),
        headed({"ensemble/choice": {"dtype": "F32", "shape": [5], "data_offsets": [0.0, 20.0]}}, bytes(20)),
        headed({"ensemble/choice": {"dtype": ["F32"], "shape": "x", "data_offsets": [0, 20]}}, bytes(20)),
        b"",
        b"\xff" * 64,
    ],
    ids=[
        "a huge header", "a length beyond the file", "a deep list", "a deep mapping", "a list", "no fields", "beyond the end",
        "before the start", "no numbers", "broken numbers", "no type", "nothing", "junk",
    ],
)  # fmt: skip
def test_hostile_weights_are_bad_weights_and_never_a_crash_of_the_judge(weights, opened):
    candidate = SealedCandidate(sealed().files, weights)
    with pytest.raises(CandidateFault) as caught:
        opened(candidate)
    assert caught.value.reason == "bad_weights"
    assert candidate.numbers >= 0
    with suppress(ValueError):
        assert candidate.floats("ensemble/choice") is None


def test_an_ensemble_of_a_decoder_without_solutions_is_an_error_that_says_so():
    files = {ENVIRONMENT_FILE: TINY_ENVIRONMENT.replace("decoder: mwpm", "decoder: mwpm_correlated").encode()}
    candidate = sealed(gate={}, **{"output.yaml": b"mode: hard_flip\n"})
    asked = ScoringTask(environment=files, sealed=candidate, seeds=(SEED,))
    with pytest.raises(UsageError, match="offers no solutions to choose among"):
        shard.score_chunks(asked.to_message())
