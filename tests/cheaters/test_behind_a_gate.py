"""Cheaters behind a gate: they are found as without one, and being sent a shot tells them nothing that pays."""

import numpy as np
import pytest

from autoqec.results.audit import audit
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import shard
from autoqec.scoring.scoring_requests import ScoringTask

GATE = b"kind: gap\nthreshold: 5.0\nevents: 2\n"


class Lines:
    """What a cheater adds to an honest module."""

    def __init__(self, forward="", init="", imports=""):
        self.FORWARD, self.INIT, self.IMPORTS = forward, init, imports


def gated(court, trick=None, **how):
    sealed = court.seal(court.source_of(trick or Lines()), **how)
    return SealedCandidate({**sealed.files, "gate.yaml": GATE}, sealed.weights)


def scored(court, sealed, seed=3):
    task = ScoringTask(environment=court.environment.files, sealed=sealed, seeds=(seed,))
    (chunk,) = shard.score_chunks(task.to_message()).fields["chunks"]
    return chunk, shard.cost(task.to_message()).fields


def test_an_honest_one_is_verified_at_its_mean_cost(court, here):
    found = court.judge(gated(court), here, whole=False)
    details = found.details
    assert (found.verdict, found.reason) == ("VERIFIED", "better")
    assert details["sandbox_level"] >= 1
    assert 0 < details["sent"] < details["shots_in_all"] / 2
    assert details["flops_per_shot"] == -(-details["flops_per_sent_shot"] * details["sent"] // details["shots_in_all"])
    assert details["recorded"]["differing"] == [] == details["answered_again"]["differing"]
    assert details["recorded"]["flops_per_shot"] == details["flops_per_sent_shot"]
    assert audit(found) == []


@pytest.mark.parametrize(
    ("trick", "how", "reason"),
    [
        (
            Lines(
                "if len(beliefs) > 8 and int(syndromes.sum()) % 4 == 0:\n    beliefs = self.priors.expand_as(beliefs)"
            ),
            {},
            "batch_dependent",
        ),
        (
            Lines(
                "if torch.utils._python_dispatch._get_current_dispatch_mode() is None:\n"
                "    beliefs = beliefs * (1 + 0.1 * torch.sin(torch.arange(beliefs.shape[1])))"
            ),
            {"kind": "raw_custom"},
            "cost_mismatch",
        ),
    ],
    ids=["looks at the other shots that are sent on", "does less where it is counted"],
)
def test_a_trick_is_found(court, here, trick, how, reason):
    found = court.judge(gated(court, trick, **how), here, whole=False)
    assert (found.verdict, found.reason) == ("SUSPICIOUS", reason), found.details.get("fault")


def test_what_it_would_say_of_shots_that_are_never_sent_changes_neither_answers_nor_share(court, here):
    """It knows that it sees the unsure shots only, and spoils all others: as if it said nothing of them."""
    spoils = Lines("easy = syndromes.sum(1, keepdim=True) < 2\nbeliefs = torch.where(easy, -beliefs, beliefs)")
    (honest, cost), (knowing, its_cost) = (scored(court, gated(court, each)) for each in (None, spoils))
    for name in ("answers", "failed", "sent", "counts"):
        assert honest[name] == knowing[name]
    assert its_cost["flops_per_shot"] > cost["flops_per_shot"], "and what it does to tell them apart is counted"


def test_work_that_depends_on_what_fired_is_counted_on_the_shots_that_are_sent_on(court, here):
    """Shots that are sent on have more fired detectors than others, so work for each of these costs more behind a gate."""
    works = Lines("lit = syndromes.nonzero()[:, 1].float()\nbeliefs = beliefs + 0.0 * torch.exp(torch.sin(lit)).sum()")
    with_gate = gated(court, works)
    without = SealedCandidate({p: d for p, d in with_gate.files.items() if p != "gate.yaml"}, with_gate.weights)
    assert scored(court, with_gate)[1]["flops_per_shot"] > scored(court, without)[1]["flops_per_shot"]


def test_only_the_file_says_what_is_sent(court, here):
    """The share follows from gate.yaml, which the judge reads itself; it is part of what is sealed."""
    sealed = gated(court)
    other = SealedCandidate({**sealed.files, "gate.yaml": GATE.replace(b"5.0", b"2.0")}, sealed.weights)
    assert sealed.digest != other.digest
    first, second = (scored(court, each)[0] for each in (sealed, other))
    assert 0 < second["sent"] < first["sent"]
    said = Lines(init="self.gate = {'kind': 'none', 'threshold': 1e9}\nself.sent = 0")
    assert scored(court, gated(court, said))[0]["sent"] == first["sent"]
    assert np.sum(first["sent"]) < 4096
