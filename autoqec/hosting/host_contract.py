"""What a host is: a server of git repositories that shows commit statuses and comments on pull requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from autoqec.counted_words import cut_line
from autoqec.errors import AutoQECError

#: The name under which a host shows the status of a round's verdict.
CONTEXT = "autoqec/verdict"

State = Literal["success", "failure", "error", "pending"]

#: Characters of a description. GitHub takes no more; the others do.
DESCRIPTION = 140


class HostError(AutoQECError):
    """A host refused a request, or cannot be reached."""

    code = "host_refused"


class HostBusyError(HostError):
    """A host limits how much it is asked, or fails for the moment; the same request may work later."""

    code = "host_busy"


@dataclass(frozen=True)
class CommitStatus:
    """A word on a commit, as hosts show it beside the commit and on pull requests.

    Attributes:
        state: `success`, `failure` (judged, and not good), `error` (could not be judged) or `pending`.
        description: One line, of at most `DESCRIPTION` characters.
        url: A page that says more; None for none.
        context: The status's name. A later status of the same name on the same commit takes its place.
    """

    state: State
    description: str
    url: str | None = None
    context: str = CONTEXT

    def fitted(self) -> CommitStatus:
        """The same status with a description that is one line of printable characters, and not too long."""
        return replace(self, description=cut_line(self.description, DESCRIPTION))


class Host(Protocol):
    """A repository on a host. Made by `factory(server, repository, token, api_url)`.

    `server` is the address of its pages, such as `https://git.example.org`; `repository` the path there, `owner/name`;
    `token` a `pydantic.SecretStr`; `api_url` the address of its API, or None for where it usually is. Each method raises
    `HostError` if the host refuses, and `HostBusyError` if it may work later. No message holds the token.
    """

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """Set a status of a commit, in the place of an earlier one of the same name.

        Args:
            commit: 40 hex digits.
            status: The status.
        """

    def put_comment(self, number: int, marker: str, text: str) -> None:
        """Write a comment on a pull request, in the place of the one that the same user wrote with the same marker.

        Args:
            number: The pull request's number.
            marker: A line that readers do not see, such as `<!-- autoqec:verdict -->`. The comment begins with it.
            text: The rest of the comment, in Markdown.
        """
