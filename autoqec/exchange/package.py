"""A round as plain data, with everything that decoding by it needs: environment, candidate and weights, but no repository."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history import (
    Ledger,
    RoundRecord,
    find_record,
    load_run,
    open_ledger,
    read_attachment,
    read_candidate,
    read_history,
)
from autoqec.history.rounds.attachments import WEIGHTS_FILE, has_attachment
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
        return _digest(self.sealed.digest, self.environment.identity)

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


@dataclass(frozen=True)
class StoredPackage:
    """A trained round that is still where its lab keeps it; it pickles as the way there.

    Attributes:
        folder: The lab.
        run, number: Which round.
        name: `exp/<run>/<N>`.
        digest: What the package's will be, as the metrics say that were scored from it; None for a round without metrics.
    """

    folder: str
    run: str
    number: int
    name: str
    digest: str | None

    def read(self) -> Package:
        """The package itself.

        Raises:
            NotFoundError: It is not there any more.
            AutoQECError: It holds something else than what was scored.
        """
        package = package_of(open_ledger(self.folder), self.run, self.number)
        if self.digest not in (None, package.digest):
            raise AutoQECError(
                f"{self.name} has other files or weights than those that were scored", hint="autoqec fsck"
            )
        return package


def package_of(ledger: Ledger, run: str, number: int) -> Package:
    """The package of one round.

    Raises:
        NotFoundError: There is no such round, or it has no commit or no weights here.
    """
    record = find_record(ledger, run, number)
    if record.commit is None:
        raise NotFoundError(
            f"round {run}/{number} has no commit, so there is nothing to take along",
            hint=f"autoqec show {run}/{number}",
        )
    if not _has_weights(ledger, record):
        raise NotFoundError(
            f"round {run}/{number} has no weights here",
            hint="autoqec resume if it was interrupted here, autoqec pull --artifacts if it came from elsewhere",
        )
    return _package(ledger, record)


def stored_packages(ledger: Ledger) -> Iterator[StoredPackage]:
    """Every round of a lab that has weights, none of which are read.

    Rounds whose records are damaged are left out, as `autoqec fsck` says why.
    """
    for record in read_history(ledger):
        if record.identity is None or record.problems or not _has_weights(ledger, record):
            continue
        scored = (record.metrics or {}).get("candidate")
        digest = _digest(scored, record.identity.env.rpartition(":")[2]) if isinstance(scored, str) else None
        yield StoredPackage(str(ledger.git_dir), record.run, record.number, record.branch, digest)


def _digest(candidate: str, environment: str) -> str:
    return hashlib.sha256(f"{candidate}{environment}".encode()).hexdigest()


def _has_weights(ledger: Ledger, record: RoundRecord) -> bool:
    return has_attachment(ledger, "artifacts", record.run, record.number, WEIGHTS_FILE)


def _package(ledger: Ledger, record: RoundRecord) -> Package:
    weights = read_attachment(ledger, "artifacts", record.run, record.number)[WEIGHTS_FILE]
    return Package(
        name=record.branch,
        commit=str(record.commit),
        environment_files=dict(load_run(ledger, record.run).env_files),
        sealed=SealedCandidate(read_candidate(ledger, str(record.commit)), weights),
        verdict=(record.verdict or {}).get("verdict"),
    )
