"""The pull request that a CI job is about, from the file in which the host describes the event.

Whoever opens a pull request writes parts of that file. So each part is checked before it is used: the branch must name a round,
the commit must be one, and records come from the same server as the repository that is asked to take them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.history import parse_round_name

#: Variables of the hosts that hold the file's path: GitHub, Gitea and Forgejo; GitLab for a pipeline that a webhook triggers.
EVENT_VARIABLES = ("GITHUB_EVENT_PATH", "TRIGGER_PAYLOAD")

_BYTES = 25 * 2**20  # what GitHub sends at most


class NoRoundError(NotFoundError):
    """A pull request is not from a branch of a round, so there is nothing to judge."""

    code = "no_round_branch"


@dataclass(frozen=True)
class PullRequest:
    """A pull request from a branch of a round.

    Attributes:
        number: Its number.
        run, round: The run and the round's number, from the branch's name.
        commit: The last commit of the branch, 40 hex digits.
        head_url, base_url: Addresses of the repository that it comes from and of the one that it is for.
    """

    number: int
    run: str
    round: int
    commit: str
    head_url: str
    base_url: str

    @property
    def name(self) -> str:
        """The round, `run/number`."""
        return f"{self.run}/{self.round}"


def event_file(environ: Mapping[str, str]) -> Path:
    """The file that describes the event of this job.

    Raises:
        UsageError: No variable names one.
    """
    for variable in EVENT_VARIABLES:
        if environ.get(variable):
            return Path(environ[variable])
    raise UsageError(
        f"none of {' and '.join(EVENT_VARIABLES)} is set: this is no job of a host's CI",
        hint="name a file: --event FILE",
    )


def read_event(file: Path) -> PullRequest:
    """Read the pull request of an event.

    Args:
        file: The event as JSON: a pull request of GitHub, Gitea or Forgejo, or the webhook of a merge request of GitLab.

    Raises:
        UsageError: The file is no event of a pull request.
        NoRoundError: Its branch is not the branch of a round.
        AutoQECError: Its records would come from another server.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(_BYTES + 1)  # a device has no size, and no end
        if len(data) > _BYTES:
            raise UsageError(f"{file} is larger than any event", hint="name the file of the event: --event FILE")
        event = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{file} cannot be read as an event: {error}", hint="name the file of the event: --event FILE"
        ) from error
    pull = _at(event, "pull_request")
    if isinstance(pull, dict):
        parts = _at(pull, "number"), _at(pull, "head", "ref"), _at(pull, "head", "sha")
        urls = _at(pull, "head", "repo", "clone_url"), _at(pull, "base", "repo", "clone_url")
    else:
        pull = _at(event, "object_attributes")
        parts = _at(pull, "iid"), _at(pull, "source_branch"), _at(pull, "last_commit", "id")
        urls = _at(pull, "source", "git_http_url"), _at(pull, "target", "git_http_url")
    return _checked(*parts, *urls)


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _checked(number: Any, branch: Any, commit: Any, head: Any, base: Any) -> PullRequest:
    if type(number) is not int or number < 1 or not isinstance(branch, str) or not isinstance(base, str):
        raise UsageError("the event is not about a pull request", hint="run this job for pull requests only")
    try:
        if not branch.startswith("exp/"):
            raise UsageError(branch)
        run, found = parse_round_name(branch)
    except UsageError:
        hint = "nothing to do: only branches exp/<run>/<N> are rounds"
        raise NoRoundError(f"pull request {number} is from {branch[:100]!r}, which names no round", hint=hint) from None
    if not isinstance(commit, str) or re.fullmatch("[0-9a-f]{40}", commit) is None:
        raise UsageError(
            f"the event of pull request {number} names no commit", hint="run this job for pull requests only"
        )
    if not isinstance(head, str):
        raise AutoQECError(
            f"the repository that pull request {number} comes from is gone", hint="ask for a new pull request"
        )
    if _server(head) != _server(base):
        raise AutoQECError(
            f"pull request {number} comes from another server than the one it is for",
            hint="fetch its records by hand: autoqec pull",
        )
    return PullRequest(number, run, found, commit, head, base)


def _server(url: str) -> tuple[str, str]:
    """The scheme and the server of an address.

    Raises:
        UsageError: It has none, or names a user or a password.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme in ("https", "http") and parts.hostname and "@" not in parts.netloc:
            return parts.scheme, parts.netloc
    except ValueError:
        pass
    raise UsageError(
        "the event has an address of a repository that is none", hint="run this job for pull requests only"
    )
