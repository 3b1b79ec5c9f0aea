"""A round as plain data, with everything that decoding by it needs: environment, candidate and weights, but no repository."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.errors import NotFoundError
from autoqec.history import Ledger, RoundRecord, find_record, load_run, read_attachment, read_candidate, read_history
from autoqec.history.record import WEIGHTS_FILE
from autoqec.problem.environment import LoadedEnvironment, environment_from_files
from autoqec.sandbox.sealed import SealedCandidate


@dataclass(frozen=True)
class Package:
    """A trained round.

    Attributes:
        name: `exp/<run>/<N>`.
        commit: The round's commit.
        environment_files: The environment's files by name.
        sealed: The candidate's files and weights.
        verdict: `VERIFIED`, `SUSPICIOUS`, `FAILED`, or None for a round that was not judged.
    """

    name: str
    commit: str
    environment_files: Mapping[str, bytes]
    sealed: SealedCandidate
    verdict: str | None

    @property
    def environment(self) -> LoadedEnvironment:
        """The environment the round was trained on."""
        return environment_from_files(self.environment_files, origin=f"the environment of {self.name}")

    @property
    def digest(self) -> str:
        """SHA-256 over candidate, weights and environment, 64 hex digits: changes when anything that could change an
        answer does.
        """
        whole = f"{self.sealed.digest}{self.environment.identity}"
        return hashlib.sha256(whole.encode()).hexdigest()

    def metadata(self) -> dict[str, Any]:
        """What it is, as JSON values."""
        environment = self.environment
        return {
            "round": self.name,
            "commit": self.commit,
            "environment": f"{environment.name}@{environment.identity}",
            "digest": self.digest,
            "verdict": self.verdict,
        }


def package_of(ledger: Ledger, run: str, number: int) -> Package:
    """The package of one round.

    Raises:
        NotFoundError: There is no such round, or it has no commit or no weights here.
    """
    record = find_record(ledger, run, number)
    if record.commit is None:
        raise NotFoundError(
            f"round {run}/{number} has no commit, so there is nothing to take along",
            mend=f"autoqec show {run}/{number}",
        )
    if not record.has_weights:
        raise NotFoundError(
            f"round {run}/{number} has no weights here",
            mend="autoqec resume if it was interrupted here, autoqec pull --artifacts if it came from elsewhere",
        )
    return _package(ledger, record)


def packages(ledger: Ledger) -> Iterator[Package]:
    """Every round of a lab that has weights; rounds whose records are damaged are left out, as `autoqec fsck` says why."""
    for record in read_history(ledger):
        if record.commit is not None and record.has_weights and not record.problems:
            yield _package(ledger, record)


def _package(ledger: Ledger, record: RoundRecord) -> Package:
    weights = read_attachment(ledger, "artifacts", record.run, record.number)[WEIGHTS_FILE]
    return Package(
        name=record.branch,
        commit=str(record.commit),
        environment_files=dict(load_run(ledger, record.run).env_files),
        sealed=SealedCandidate(read_candidate(ledger, str(record.commit)), weights),
        verdict=(record.verdict or {}).get("verdict"),
    )
