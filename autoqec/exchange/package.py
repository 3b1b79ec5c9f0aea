"""A trained round as plain data (environment, candidate, weights), so that decoding with it needs no repository."""

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
from autoqec.results.verdict import parse_verdict
from autoqec.sandbox.sealed import SealedCandidate


@dataclass(frozen=True)
class Package:
    """A trained round.

    Attributes:
        name: `exp/<run>/<N>`.
        commit: The round's commit.
        environment_files: The environment's files by name.
        sealed: The candidate's files and weights.
        verdict: `VERIFIED`, `SUSPICIOUS`, `FAILED`, or None for an unverified round.
    """

    name: str
    commit: str
    environment_files: Mapping[str, bytes]
    sealed: SealedCandidate
    verdict: str | None

    @property
    def environment(self) -> LoadedEnvironment:
        """The environment of the round."""
        return environment_from_files(self.environment_files, origin=f"the environment of {self.name}")

    @property
    def digest(self) -> str:
        """SHA-256 over candidate, weights and environment, 64 hex digits: it changes with anything that could change a
        result.
        """
        return _digest(self.sealed.digest, self.environment.identity)

    def metadata(self) -> dict[str, Any]:
        """Return round, commit, environment, digest and verdict as JSON values."""
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
    """A reference to a trained round in its lab; pickling it stores only the reference.

    Attributes:
        folder: The lab.
        run, number: The round.
        name: `exp/<run>/<N>`.
        digest: The package's digest according to its metrics; None for a round without metrics.
    """

    folder: str
    run: str
    number: int
    name: str
    digest: str | None

    def read(self) -> Package:
        """Read the package.

        Raises:
            NotFoundError: The round or its weights no longer exist.
            AutoQECError: Its files or weights differ from those that were scored.
        """
        package = package_of(open_ledger(self.folder), self.run, self.number)
        if self.digest not in (None, package.digest):
            raise AutoQECError(
                f"the files or weights of {self.name} differ from those that were scored", hint="autoqec fsck"
            )
        return package


def package_of(ledger: Ledger, run: str, number: int) -> Package:
    """Read the package of one round.

    Raises:
        NotFoundError: There is no such round, or it has no commit or no weights in this lab.
    """
    return _package(ledger, _exportable(ledger, run, number))


def scored_package(ledger: Ledger, run: str, number: int) -> Package:
    """Read the package of one round, and check that it is what was scored.

    Raises:
        NotFoundError: As for `package_of`.
        AutoQECError: Its files or weights differ from those that were scored.
    """
    return _stored(ledger, _exportable(ledger, run, number)).read()


def _exportable(ledger: Ledger, run: str, number: int) -> RoundRecord:
    """The record of a round with a commit and weights."""
    record = find_record(ledger, run, number)
    if record.commit is None:
        raise NotFoundError(
            f"round {run}/{number} has no commit, so there is nothing to export",
            hint=f"autoqec show {run}/{number}",
        )
    if not _has_weights(ledger, record):
        raise NotFoundError(
            f"round {run}/{number} has no weights in this lab",
            hint="autoqec resume if it was interrupted here, autoqec pull --artifacts if it is from a remote",
        )
    return record


def stored_packages(ledger: Ledger) -> Iterator[StoredPackage]:
    """Yield every round of a lab that has weights, without reading the weights.

    Rounds with damaged records are left out; `autoqec fsck` reports them.
    """
    for record in read_history(ledger):
        if record.identity is not None and not record.problems and _has_weights(ledger, record):
            yield _stored(ledger, record)


def _stored(ledger: Ledger, record: RoundRecord) -> StoredPackage:
    scored = (record.metrics or {}).get("candidate")
    told = record.identity.env.rpartition(":")[2] if record.identity is not None else ""
    environment = record.environment[1] if record.environment else told
    digest = _digest(scored, environment) if isinstance(scored, str) else None
    return StoredPackage(str(ledger.git_dir), record.run, record.number, record.branch, digest)


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
        verdict=verdict.verdict if (verdict := parse_verdict(record.verdict).record) else None,
    )
