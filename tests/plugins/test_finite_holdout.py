"""Verdicts on recorded shots: a finite holdout, an exact test, and a level that every look before it has lowered."""

import json
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pymatching
import pytest
import stim
from autoqec_plugins.holdout.holdout_verifier import HoldoutVerifier
from autoqec_plugins.stim_codes.recorded_code import RecordedShots
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from autoqec import autoqec_check
from autoqec.errors import UsageError
from autoqec.loop.auditing import replay_differences, why_no_replay
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.problem.recording import Parts, recording_of, shot_order, split, without_shots
from autoqec.problem.sampling import CHUNK_SHOTS, Shots
from autoqec.results.audit import audit
from autoqec.results.counts import PairedCounts
from autoqec.results.decision import exact_word
from autoqec.results.resolvable_gain import least_gain
from autoqec.results.statistics import look_alpha, look_share, next_look
from autoqec.results.verdict import Verdict
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import shard
from autoqec.scoring.baseline import CheckRequest, describe_environment
from autoqec.scoring.score_stream import ScoreStream
from autoqec.scoring.scoring_requests import ScoringTask
from autoqec.scoring.verifier_contract import VerificationRequest
from autoqec.testing import check_code
from autoqec.views.verdict_text import verdict_lines
from tests.plugins.test_holdout import Rates

SHOTS = 30_000
CIRCUIT = stim.Circuit.generated(
    "repetition_code:memory",
    distance=3,
    rounds=2,
    before_round_data_depolarization=0.05,
    before_measure_flip_probability=0.05,
)
MODEL = CIRCUIT.detector_error_model(decompose_errors=True)
EVENTS, FLIPS = CIRCUIT.compile_detector_sampler(seed=7).sample(SHOTS, separate_observables=True, bit_packed=True)
RECORDED = """\
name: measured
code: {kind: recorded, dem: model.dem, shots: events.b8, observables: flips.b8}
decoder: mwpm
"""
FILES = {"model.dem": str(MODEL).encode(), "events.b8": EVENTS.tobytes(), "flips.b8": FLIPS.tobytes()}


def environment(text=RECORDED, **files):
    return environment_from_files({ENVIRONMENT_FILE: text.encode(), **FILES, **files}, origin="measured.yaml")


class Given(Rates):
    """As `Rates`, on as many shots as each task is given."""

    def answer(self, function, task):
        fields = task.message.fields
        self.sizes = dict(zip(fields["seeds"], fields["given"], strict=False))
        assert bool(fields["given"]) == (function in ("score_chunks", "answer_again"))
        assert not {"env:events.b8", "env:flips.b8"} & task.message.blobs.keys(), (
            "no recorded shots but the chunk's own"
        )
        if function == "score_chunks":
            assert len(task.message.blobs["given_observables"]) == sum(fields["given"])
        return super().answer(function, task)

    def chunk(self, seed, p, rounds, slugs):
        rng = np.random.default_rng(seed)
        base, mine = (rng.random(self.sizes[seed]) < rate for rate in (self.base, self.rate))
        counts = PairedCounts(len(base), *(int(x.sum()) for x in (base & mine, base & ~mine, ~base & mine)))
        score = super().chunk(seed, p, rounds, slugs)
        return replace(score, counts=counts, neutral=counts, failed=np.packbits(mine).tobytes().hex())


def judged(rate, look=1, text=RECORDED, **more):
    request = VerificationRequest(environment(text), SealedCandidate({}, b""), "0" * 40, seed_key=bytes(32), look=look)
    found = HoldoutVerifier().verify(replace(request, **more), Given(rate, base=0.05), lambda event: None)
    return Verdict.from_dict(json.loads(json.dumps(found.to_note())))


BETTER = judged(0.03)


def test_the_whole_holdout_is_tested_once_and_the_verdict_says_that_it_is_finite():
    target, attempt = BETTER.evidence.target, BETTER.evidence.attempt
    recording = recording_of(environment(), _problem())
    assert (BETTER.verdict, BETTER.reason, BETTER.sampling, BETTER.look) == ("VERIFIED", "better", "recorded", 1)
    assert target.test.shots == len(recording.holdout) == attempt.max_shots == 9_000
    assert (target.extension, target.shown, len(target.digests)) == (None, target.test, 3)
    assert (attempt.look, attempt.recording, attempt.alpha_attempt) == (1, recording.digest, 0.025)
    exact = binomtest(
        target.test.candidate_only, target.test.candidate_only + target.test.baseline_only, alternative="less"
    )
    assert target.mcnemar_p_fixed_n == pytest.approx(exact.pvalue, rel=1e-9)
    interval = binomtest(target.test.candidate_failures, 9_000).proportion_ci(method="exact")
    assert target.finite.ler_candidate_ci == pytest.approx((interval.low, interval.high), rel=1e-9)
    said = {row.check: (row.result, row.says) for row in BETTER.evidence.checks}
    assert said["holdout"][0] == "passed"
    assert "this is look 1 at its 9,000 recorded shots" in said["holdout"][1]
    assert said["error_model"][0] == said["harm"][0] == said["two_p_slope"][0] == "not_made"
    assert "look 1 at the holdout of the recording" in verdict_lines(BETTER)
    assert "McNemar's exact p" in verdict_lines(BETTER)


def test_audit_and_the_one_file_check_agree_with_it():
    for verdict in (BETTER, judged(0.03, look=3), judged(0.05), judged(0.06)):
        assert audit(verdict) == []
        assert [wrong for _, wrong in autoqec_check.follows(verdict.to_note()) if wrong] == []
    with_target = judged(0.03, text=RECORDED + "constraints: {target_ler: 0.04}\n")
    assert with_target.evidence.ler_candidate_bound < 0.04
    assert audit(with_target) == []
    assert [wrong for _, wrong in autoqec_check.follows(with_target.to_note()) if wrong] == []


def test_a_later_look_has_a_lower_level_and_warns():
    third = judged(0.03, look=3)
    assert third.evidence.attempt.alpha_attempt == 0.05 * 2 / 64
    (row,) = [row for row in third.evidence.checks if row.check == "holdout"]
    assert row.result == "warned"
    assert "only whether it was VERIFIED" in row.says
    # As good a candidate at a late look is not shown to be better, and no further shots can be drawn.
    assert (judged(0.034, look=1).verdict, judged(0.034, look=9).reason) == ("VERIFIED", "undecided")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"look": 2}, "alpha_attempt"),
        ({"look": None}, "look: the note says look None"),
        ({"recording": None}, "look: the note says look 1 at the recording None"),
        ({"finite": None}, "finite"),
        ({"look": 0}, "look: the note says look 0"),
        ({"digests": ["x"] * 4}, "digests, times 4096 shots"),
        ({"mcnemar_p_fixed_n": 1e-9}, "mcnemar_p_fixed_n"),
        ({"extension": PairedCounts(9000, 1, 2, 0).to_dict()}, "extension"),
    ],
)
def test_an_altered_note_is_found_out(change, said):
    note = {name: value for name, value in (BETTER.to_note() | change).items() if value is not None}
    found = audit(Verdict.from_dict(note))
    assert any(said in each for each in found), found
    with suppress(KeyError):
        assert "recording" in change or any(wrong for _, wrong in autoqec_check.follows(note))


def test_a_replay_reads_the_same_shots_on_any_machine():
    again = judged(0.03, stop=None)
    assert replay_differences(BETTER, again) == []
    assert why_no_replay(replace(BETTER, details={**BETTER.details, "machine": "another"}), "none") is None
    assert "look" in replay_differences(BETTER, judged(0.03, look=2))


def test_a_verification_must_say_which_look_it_is():
    for look, text in ((None, RECORDED), (1, RECORDED.replace("recorded, dem: model.dem", "dem, path: model.dem"))):
        with pytest.raises(UsageError) as caught:
            judged(
                0.03, look=look, text=text.replace(", shots: events.b8, observables: flips.b8}", "}") if look else text
            )
        assert caught.value.code == "recorded_shots"


# --- Levels ----------------------------------------------------------------------------------------------------------


def test_all_looks_together_err_no_more_often_than_alpha_whatever_one_bit_of_each_tells():
    paths = [2 ** (look - 1) for look in range(1, 40)]
    spent = [count * look_alpha(0.05, look) for look, count in enumerate(paths, start=1)]
    assert sum(spent) <= 0.05
    assert sum(spent) == pytest.approx(0.05)
    assert spent == pytest.approx([0.05 * look_share(look) for look in range(1, 40)])


@given(st.lists(st.integers(1, 60), max_size=12))
def test_the_next_look_is_after_all_others_and_never_overspends(begun):
    look = next_look(begun)
    if look is None:
        assert sum(map(look_share, begun)) > 1 - 2.0 ** -len(begun) - 1e-12
    else:
        assert look > max(len(begun), *begun, 0)
        assert sum(map(look_share, [*begun, look])) <= 1


def test_an_absurd_number_is_no_later_look():
    assert next_look([]) == 1
    assert next_look([1, 2]) == 3
    assert next_look([1, 10**6]) == 3
    assert next_look([1, 1]) is None


def test_the_exact_test_holds_its_level():
    # Under the null either side fails alone with the same probability: all outcomes of 40 unequal shots by enumeration.
    wrong = sum(
        binom.pmf(own, 40, 0.5)
        for own in range(41)
        if exact_word(PairedCounts(100, 0, 40 - own, own), 0.025) == "better"
    )
    assert 0.01 < wrong <= 0.025


# --- The split -------------------------------------------------------------------------------------------------------


def _problem():
    return build_problem(environment(), load_plugins().maker("code"))


def _marked(count):
    """Shots of which each is another one."""
    marks = np.arange(count, dtype="<u4").view(np.uint8).reshape(count, 4)
    return Shots(marks, (np.arange(count, dtype=np.uint8) & 1)[:, None])


def _marks(shots):
    return set(shots.syndromes.copy().view("<u4").ravel().tolist())


def test_the_parts_share_no_shot_and_depend_on_nothing_but_shots_and_shares():
    shots = _marked(1_000)
    found = split(shots, Parts())
    parts = [_marks(each) for each in (found.training, found.development, found.holdout)]
    assert [len(part) for part in parts] == [500, 200, 300]
    assert set().union(*parts) == set(range(1_000))
    again = split(Shots(shots.syndromes.copy(), shots.observables.copy()), Parts())
    assert (again.holdout.syndromes == found.holdout.syndromes).all()
    # By an independent reading of the rule: the first 300 of the order.
    assert parts[2] == set(shot_order(found.digest, 1_000)[:300].tolist())
    # One flip of one shot is another recording, with another split.
    other = shots.observables.copy()
    other[0] ^= 1
    assert _marks(split(Shots(shots.syndromes, other), Parts()).holdout) != parts[2]


def test_other_shares_make_no_other_order():
    shots = _marked(1_000)
    small, large = (split(shots, Parts(holdout=share)).holdout for share in (0.1, 0.3))
    assert _marks(small) < _marks(large)


def test_the_order_is_fixed_for_ever():
    assert shot_order("00" * 32, 8).tolist() == [6, 2, 1, 0, 3, 5, 7, 4]


def test_so_few_shots_that_a_part_has_none_are_refused():
    with pytest.raises(UsageError, match="leave none for the holdout or for development"):
        split(_marked(3), Parts())


def test_the_format_of_the_files_does_not_matter_to_the_split():
    bits = [
        np.unpackbits(each, axis=1, count=n, bitorder="little")
        for each, n in ((EVENTS, MODEL.num_detectors), (FLIPS, 1))
    ]
    text = [b"".join(bytes(48 + row) + b"\n" for row in each) for each in bits]
    loaded = environment(RECORDED.replace("b8", "01"), **{"events.01": text[0], "flips.01": text[1]})
    assert recording_of(loaded, _problem()).digest == recording_of(environment(), _problem()).digest
    assert loaded.identity != environment().identity


# --- Who is given which shots ----------------------------------------------------------------------------------------


class Here:
    """An executor in this process."""

    def submit(self, task):
        future = Future()
        name = task.function.partition(":")[2]
        future.set_result(getattr(shard, name)(task.message))
        return future


@pytest.fixture
def stream():
    yield lambda domain: ScoreStream(Here(), environment(), SealedCandidate({}, b""), bytes(32), domain)
    shard._forget_decoder_set()


def test_each_part_is_decoded_as_pymatching_decodes_it(stream):
    matching, recording = pymatching.Matching(MODEL), recording_of(environment(), _problem())
    for domain, part in (("dev", recording.development), ("holdout", recording.holdout)):
        found = stream(domain)
        scored = found.score(0, found.chunks_for(10**9))
        wrong = (
            matching.decode_batch(part.syndromes, bit_packed_shots=True, bit_packed_predictions=True)
            != part.observables
        )
        assert scored.counts.shots == len(part)
        assert scored.counts.both == wrong.any(axis=1).sum() > 100


def test_no_process_is_given_shots_that_it_has_no_need_of(stream):
    asked = stream("holdout")
    task = ScoringTask.from_message(asked.task(shard.FUNCTION, [2]).message)
    assert task.given == (9_000 - 2 * CHUNK_SHOTS,)
    assert set(task.environment) == {ENVIRONMENT_FILE, "model.dem"}
    blobs = shard._without_given(task)
    assert not blobs["given_syndromes"]
    assert not blobs["given_observables"], "the matcher's"
    certificate = asked.task("autoqec.scoring.fault_tasks:examine_faults", [0], weight=1, first=0, count=1)
    assert certificate.message.fields["given"] == []
    assert not certificate.message.blobs["given_observables"]


def test_nothing_is_drawn_in_the_place_of_recorded_shots(stream):
    files = without_shots(environment()).files
    task = ScoringTask(environment=files, sealed=SealedCandidate({}, b""), seeds=(5,))
    with pytest.raises(UsageError, match="no fresh ones can be drawn"):
        shard.score_chunks(task.to_message())
    with pytest.raises(UsageError, match="no fresh ones can be drawn"):
        stream("duel").score(0, 1)


def test_env_check_measures_on_what_is_not_the_holdout_and_says_what_the_holdout_shows():
    recording = recording_of(environment(), _problem())
    facts = describe_environment(environment(), load_plugins(), CheckRequest(10**6))
    known = np.concatenate([recording.development.syndromes, recording.training.syndromes])
    truth = np.concatenate([recording.development.observables, recording.training.observables])
    found = pymatching.Matching(MODEL).decode_batch(known, bit_packed_shots=True, bit_packed_predictions=True)
    rate = facts["decoders"]["mwpm"]
    assert (rate["shots"], rate["ler"]) == (21_000, (found != truth).any(axis=1).mean())
    told = facts["recorded"]
    assert [told[name] for name in ("training", "development", "holdout", "shots")] == [15_000, 6_000, 9_000, SHOTS]
    assert told["digest"] == recording.digest
    assert facts["sampling"]["pays"] == "plain"
    assert facts["gain"]["shots"] == 9_000
    assert facts["gain"]["level"] == 0.025
    assert (
        told["least_gain"]["5"] < told["least_gain"]["1"] == facts["gain"]["ratio"] < facts["gain"]["ratio_at_best"] < 1
    )


@pytest.mark.parametrize(("at_best", "fewer"), [(True, 6), (False, 17)])
def test_the_least_gain_is_the_first_that_mcnemars_test_shows(at_best, fewer):
    ratio = least_gain(1_000, 0.1, 0.05, 1, at_best=at_best)
    assert round(100 * (1 - ratio)) == fewer
    unequal = fewer if at_best else 67
    pvalue = [binomtest(-(-(unequal - each) // 2), unequal, alternative="less").pvalue for each in (fewer - 1, fewer)]
    assert at_best or pvalue[1] <= 0.025 < pvalue[0]
    assert least_gain(1_000, 0.001, 0.05, 1) is None


def test_the_code_conforms():
    check_code(RecordedShots())
