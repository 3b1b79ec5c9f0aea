"""Cheaters that an ensemble asks several times about a shot: the priors tell them which pass it is, and that pays nothing."""

from autoqec.results.audit import audit
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import shard
from autoqec.scoring.scoring_requests import ScoringTask

GATE = b"kind: gap\nthreshold: 5.0\n"
ENSEMBLE = b"members: 4\npasses: 4\nagree: 0\n"

#: Work for each mechanism whose belief is not the prior that the first pass starts from; each later pass starts from others.
LATER = "moved = (beliefs != self.priors).nonzero()[:, 1].float()\nbeliefs = beliefs + 0.0 * torch.exp(torch.sin(moved)).sum()"

#: As much work for each number, whichever pass it is.
ALWAYS = (
    "moved = (beliefs == beliefs).nonzero()[:, 1].float()\nbeliefs = beliefs + 0.0 * torch.exp(torch.sin(moved)).sum()"
)

#: Work for the shots with many fired detectors, which are asked again where others are done.
ON_HARD = (
    "hard = (syndromes.sum(1) > 5).nonzero()[:, 0]\n"
    "beliefs = beliefs + 0.0 * torch.exp(torch.sin(beliefs[hard].repeat(16, 1))).sum()"
)


class Lines:
    """What a cheater adds to an honest module."""

    INIT, IMPORTS = "", ""

    def __init__(self, forward=""):
        self.FORWARD = forward


def ensembled(court, forward="", ensemble=ENSEMBLE, gate=GATE):
    sealed = court.seal(court.source_of(Lines(forward)), bp=False)
    files = {**sealed.files, "ensemble.yaml": ensemble} | ({"gate.yaml": gate} if gate else {})
    return SealedCandidate(files, sealed.weights)


def costs(court, sealed, seed=3):
    """What is counted before a shot is scored, and what on a chunk that was scored; and whether its answers are the same."""
    task = ScoringTask(environment=court.environment.files, sealed=sealed, seeds=(seed,))
    message = task.to_message()
    (chunk,) = shard.score_chunks(message).fields["chunks"]
    recorded = shard.answer_by_record(message).fields
    before = shard.cost(message).fields["flops_per_shot"]
    return before, recorded["flops_per_shot"], recorded["answers"] == [chunk["answers"]]


def test_work_that_only_later_passes_do_is_counted(court, here):
    nothing, _, _ = costs(court, ensembled(court))
    (later, scored, same), (always, _, _) = (costs(court, ensembled(court, each)) for each in (LATER, ALWAYS))
    assert same
    assert later - nothing > 0.7 * (always - nothing), "three of its four passes do the work"
    assert scored <= 1.1 * later
    ungated, _, _ = costs(court, ensembled(court, LATER, gate=None))
    assert ungated - nothing > 0.7 * (always - nothing)


def test_work_on_shots_that_are_asked_more_often_is_counted_as_often(court, here):
    """Shots with few fired detectors agree soon, so of all passes more are about the others than of all shots."""
    soon = b"members: 16\npasses: 16\nagree: 2\nmargin: 1.0\n"
    nothing, _, _ = costs(court, ensembled(court, ensemble=soon))
    often, scored, same = costs(court, ensembled(court, ON_HARD, soon))
    once, _, _ = costs(court, ensembled(court, ON_HARD, b"members: 1\npasses: 1\nagree: 0\n"))
    assert same
    assert scored <= 1.1 * often
    assert often - nothing > 1.2 * (once - nothing)


def test_an_honest_one_is_judged_by_its_record(court, here):
    found = court.judge(ensembled(court), here, whole=False)
    assert found.details["recorded"]["differing"] == [] == found.details["answered_again"]["differing"]
    assert found.details["recorded"]["flops_per_shot"] == found.details["flops_per_sent_shot"]
    assert audit(found) == []
