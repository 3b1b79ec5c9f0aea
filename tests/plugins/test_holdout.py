"""The verifier's words under constraints, on an executor that draws failures at known rates instead of decoding."""

from concurrent.futures import Future

import numpy as np
import pytest
from autoqec_plugins.holdout.sequential import EXTENSION_SHOTS, TARGET_FAILURES, rate_surely_below
from autoqec_plugins.holdout.verifier import HoldoutVerifier

from autoqec.candidate.weights import save_weights
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.problem.neighbours import environment_cell
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import ChildFailed
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.counts import PairedCounts
from autoqec.scoring.executor import blobs_with_prefix
from autoqec.scoring.shard import ChunkScore
from autoqec.scoring.statistics import attempt_alpha
from autoqec.scoring.verdict import VerificationRequest
from autoqec.testing import TINY_ENVIRONMENT

COST = {"differing": 0, "flops_per_shot": 5000, "params": 16}


class Rates:
    """An executor whose candidate fails at one rate and whose baseline at another, each on its own.

    Args:
        rate: The candidate's, or a function of p and rounds that gives it or raises.
        cost: What examining it says.
        base: The baseline's; twice the candidate's if not said.
    """

    def __init__(self, rate, cost=COST, base=None):
        self.rate, self.cost, self.base, self.chunks = rate, cost, base, 0

    def submit(self, task):
        future = Future()
        seeds = task.message.fields["seeds"]
        if task.function.endswith("examine"):
            future.set_result(Message(dict(self.cost)))
        elif task.function.endswith("survey"):
            place = self.place(task)
            future.set_result(Message({"fingerprint": "at-({},{})".format(*place), "structure": str(place[1])}))
        else:
            try:
                future.set_result(Message({"chunks": [self.chunk(seed, task).to_dict() for seed in seeds]}))
            except ChildFailed as error:
                future.set_exception(error)
            self.chunks += len(seeds)
        return future

    def place(self, task):
        """Where a task is scored: p and rounds of its environment."""
        loaded = environment_from_files(blobs_with_prefix("env:", task.message.blobs), origin="e.yaml")
        cell = environment_cell(loaded.environment)
        return cell.p, cell.rounds

    def chunk(self, seed, task):
        rng = np.random.default_rng(seed)
        rate = self.rate if not callable(self.rate) else self.rate(*self.place(task))
        base, mine = (rng.random(CHUNK_SHOTS) < each for each in (2 * rate if self.base is None else self.base, rate))
        both, plain, own = (int(x.sum()) for x in (base & mine, base & ~mine, ~base & mine))
        return ChunkScore(
            counts=PairedCounts(CHUNK_SHOTS, both, plain, own), invalid=0, references={}, predict_seconds=0.0,
            decode_seconds=0.0, baseline_seconds=0.0, digest="", failed="",
        )  # fmt: skip


#: Weights that were trained at two rates of the tiny environment's three rounds.
WEIGHTS = save_weights({"bp.scale": np.ones(3, np.float32)}, fingerprints=["at-(0.006,3)", "at-(0.01,3)"])


def verdict(executor, constraints="{}", protocol="min_shots: 16384", weights=b"", **more):
    text = (
        TINY_ENVIRONMENT.replace("protocol: {min_shots: 16384", f"protocol: {{{protocol}")
        + f"constraints: {constraints}\n"
    )
    loaded = environment_from_files({ENVIRONMENT_FILE: text.encode()}, origin="e.yaml")
    request = VerificationRequest(loaded, SealedCandidate({}, weights), "0" * 40, seed_key=bytes(32), **more)
    return HoldoutVerifier().verify(request, executor, lambda event: None)


@pytest.mark.parametrize(
    ("constraints", "over"),
    [
        ("{max_params: 15}", ["params 16 is above max_params 15"]),
        ("{max_flops_per_shot: 4999, max_params: 16}", ["flops_per_shot 5,000 is above max_flops_per_shot 4,999"]),
    ],
)
def test_a_candidate_over_budget_is_refused_before_a_shot_is_spent(constraints, over):
    executor = Rates(0.005)
    found = verdict(executor, constraints)
    assert (found.verdict, found.reason, found.details["over"]) == ("FAILED", "over_budget", over)
    assert executor.chunks == 0


def test_a_candidate_at_its_limits_is_within_them():
    found = verdict(Rates(0.005), "{max_params: 16, max_flops_per_shot: 5000}")
    assert (found.verdict, found.reason) == ("VERIFIED", "better")
    assert "ler_candidate_bound" not in found.details


@pytest.mark.parametrize(
    ("rate", "word", "reason"),
    [
        (0.008, "VERIFIED", "better"),
        (0.0099, "FAILED", "target_missed"),  # it may well be below, and is not shown to be
        (0.011, "FAILED", "target_missed"),
    ],
)
def test_a_target_must_be_shown_to_be_met(rate, word, reason):
    found = verdict(Rates(rate), "{target_ler: 0.01}")
    assert (found.verdict, found.reason) == (word, reason)
    assert found.details["ler_candidate"] < found.details["ler_candidate_bound"] < 1.2 * rate


def test_what_misses_its_target_is_verified_as_seldom_as_the_attempt_says():
    """At a rate just above the target, over many keys: the bound is exact, so this is the level and not a guess."""
    rng = np.random.default_rng(1)
    failures = rng.binomial(EXTENSION_SHOTS, 0.01, size=4000)
    level = 0.02
    shown = [rate_surely_below(PairedCounts(EXTENSION_SHOTS, 0, 0, int(n)), level) <= 0.01 for n in failures]
    assert 0.01 < np.mean(shown) <= level + 3 * (level / len(shown)) ** 0.5
    assert attempt_alpha(0.05, 1, 0) < level


def test_a_low_target_is_given_the_shots_to_be_shown():
    found = verdict(Rates(0.0004), "{target_ler: 0.0005}")
    assert found.details["extension"]["shots"] >= TARGET_FAILURES / 0.0005 > EXTENSION_SHOTS
    assert (found.verdict, found.reason) == ("VERIFIED", "better")


def test_a_batch_dependent_candidate_is_suspicious_only_if_it_is_better():
    odd = COST | {"differing": 3}
    assert verdict(Rates(0.005, odd), "{}").reason == "batch_dependent"
    assert verdict(Rates(0.0, odd), "{}", max_shots=60_000).reason == "undecided"


CELLS = "min_shots: 16384, cells: [{p: 0.01}, {rounds: 5}]"


def test_cells_are_judged_each_by_itself_and_all_must_be_better():
    found = verdict(Rates(0.005), protocol=CELLS, weights=WEIGHTS)
    assert (found.verdict, found.reason, found.details["cell"]) == (
        "VERIFIED",
        "better",
        {"p": 0.006, "rounds": 3, "distance": 3},
    )
    first, second = found.details["cells"]
    assert [first["cell"], second["cell"]] == [{"p": 0.01}, {"rounds": 5}]
    assert [first["weights"], second["weights"]] == ["trained_here", "carried_over"]
    assert [first["same_shape"], second["same_shape"]] == [True, False]
    assert len({str(each["test"]) for each in (found.details, first, second)}) == 3, "each has shots of its own"
    assert all(
        each["log_e_better"] >= each["log_e_needed"] == found.details["log_e_needed"] for each in (first, second)
    )


@pytest.mark.parametrize("bad", [0.01, 0.006])
def test_a_gain_elsewhere_does_not_make_up_for_none_here(bad):
    """Pooled, the counts would be overwhelmingly better."""
    executor = Rates(lambda p, rounds: 0.02 if (p, rounds) == (bad, 3) else 0.004, base=0.018)
    found = verdict(executor, protocol=CELLS, weights=WEIGHTS)
    assert (found.verdict, found.reason) == ("FAILED", "not_better")
    words = {str(each["cell"]): each["word"] for each in (found.details, *found.details["cells"])}
    assert list(words.values()).count("better") == 2, words


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("bad_weights: the weights do not fit stage 'bp'", "weights_do_not_fit"), ("crash: exit 1", "crash")],
)
def test_a_cell_that_the_weights_do_not_fit_says_so(fault, reason):
    def rate(p, rounds):
        if rounds == 5:
            raise ChildFailed(fault, kind="CandidateFault")
        return 0.005

    found = verdict(Rates(rate), protocol=CELLS, weights=WEIGHTS)
    assert (found.verdict, found.reason) == ("FAILED", reason)
    assert [each["word"] for each in found.details["cells"]] == ["better", reason]
    assert found.details["word"] == "better"
