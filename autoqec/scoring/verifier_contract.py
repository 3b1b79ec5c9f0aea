"""The contract of verifier plugins: the verifier and its request. The answer is an `autoqec.results.verdict.Verdict`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from autoqec.problem.environment import LoadedEnvironment
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_parts import OutOfTime
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.typed_messages import Request, blobs
from autoqec.scoring.executor_contract import Executor

__all__ = ["Report", "Verdict", "VerificationRequest", "Verifier"]

#: Called with a mapping of JSON values each time there is something to show.
Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class VerificationRequest(Request):
    """A request to a verifier. It is complete: with `seed_key` given, the same request gives the same verdict.

    Attributes:
        environment: The environment with its files.
        sealed: The candidate.
        commit: The round's commit, 40 hex digits.
        attempt: Number of this verification in the run, from 1; every attempt spends a share of the error budget.
        verified_before: How many attempts of the run ended VERIFIED before this one.
        seed_key: 32 bytes that key the holdout stream, for a replay; None to draw them now, after the commit is fixed.
        max_shots: Stop undecided after this many shots; the environment's protocol by default.
        strong_reference: Kind of a decoder near maximum likelihood to run on some of the headline shots. The verdict then
            gives the share of the gap between it and the baseline that the candidate closes. None for none.
        strong_shots: For a replay, the number of these shots; None for the verifier's own number.
        ungated: For a replay of a verdict of which no reference ran behind a gate: none does here either.
        parents: For a composed candidate, its parents by name, to judge on the same shots.
        alpha: Error budget of the run's verdicts, if stricter than the environment's; None for the environment's.
        beacon: A public random value that nobody knew when the commit was made, mixed into the key: with it not even the
            operator can choose the shots. Empty for none.
        max_seconds: Wall-clock seconds after which an undecided test stops. The checks of a candidate that was better in time
            are still made. None for no limit.
        stop: For a replay, where the verdict's test stopped early. None if it did not.
        full_certificate: Whether to list all pairs of faults for the distance certificate instead of drawing some.
        look: Where shots are recorded, the number of this look at the recording, from 1; None where they are drawn.
    """

    environment: LoadedEnvironment
    sealed: SealedCandidate
    commit: str
    attempt: int = 1
    verified_before: int = 0
    seed_key: bytes | None = None
    max_shots: int | None = None
    strong_reference: str | None = None
    strong_shots: int | None = None
    ungated: bool = False
    parents: Mapping[str, SealedCandidate] = blobs("parent", default_factory=dict)
    alpha: float | None = None
    beacon: str = ""
    full_certificate: bool = False
    max_seconds: float | None = None
    stop: OutOfTime | None = None
    look: int | None = None


class Verifier(Protocol):
    """A verifier as a plugin offers it; runs in a process of its own that has no repository."""

    def verify(self, request: VerificationRequest, executor: Executor, report: Report) -> Verdict:
        """Judge a sealed candidate on shots that did not exist before.

        Args:
            request: What to judge.
            executor: Where shots are scored.
            report: Called with progress.

        Raises:
            AutoQECError: The judge itself failed; a candidate's failure is a verdict, not an error.
        """
        ...
