"""What the APIs of GitHub and Gitea agree in: setting the status of a commit, and keeping one comment on a pull request."""

from __future__ import annotations

from typing import Any

from autoqec.hosting.host_contract import CommitStatus
from autoqec.hosting.host_requests import Asked, HostClient

_PAGE = 50
_PAGES = 20  # a pull request with more comments gets another one of ours


def set_commit_status(client: HostClient, repository: str, commit: str, status: CommitStatus, *, rights: str) -> None:
    """Set the status of a commit.

    Args:
        client: For requests.
        repository: `owner/name`, quoted.
        commit: 40 hex digits.
        status: The status.
        rights: What the token must allow, in words.
    """
    body = {"state": status.state, "description": status.description, "context": status.context}
    body |= {} if status.url is None else {"target_url": status.url}
    asked = Asked(f"set the status of {commit[:10]}", rights)
    client.ask("POST", f"/repos/{repository}/statuses/{commit}", body, asked=asked)


def put_issue_comment(
    client: HostClient, repository: str, number: int, marker: str, text: str, *, rights: str, bots: tuple[str, ...]
) -> None:
    """Write a comment in the place of our own one with the same marker.

    Anybody can write a comment with our marker, and could change it later: so a comment is ours only if its author is.

    Args:
        client: For requests.
        repository: `owner/name`, quoted.
        number: The pull request.
        marker: What the comment begins with.
        text: The rest.
        rights: What the token must allow, in words.
        bots: Names of the user whose token CI jobs get, which cannot ask who it is.
    """
    asked = Asked(f"comment on pull request {number}", rights)
    found = _own(client, f"/repos/{repository}/issues/{number}/comments", marker, asked, bots)
    body = {"body": f"{marker}\n{text}"}
    if found is not None:
        client.ask("PATCH", f"/repos/{repository}/issues/comments/{found}", body, asked=asked)
    else:
        client.ask("POST", f"/repos/{repository}/issues/{number}/comments", body, asked=asked, repeatable=False)


def _own(client: HostClient, path: str, marker: str, asked: Asked, bots: tuple[str, ...]) -> int | None:
    """The number of our comment; None if there is none."""
    who = client.ask("GET", "/user", asked=asked, may=(401, 403, 404)).json()
    name = who.get("login") if isinstance(who, dict) else None
    names = {name} if isinstance(name, str) else set(bots)
    before: Any = None
    for page in range(1, _PAGES + 1):
        listed = client.ask("GET", f"{path}?per_page={_PAGE}&limit={_PAGE}&page={page}", asked=asked).json()
        if not isinstance(listed, list) or not listed or listed == before:  # some servers have one page only
            return None
        for each in listed:
            if isinstance(each, dict) and _is_own(each, marker, names):
                return int(each["id"])
        before = listed
    return None


def _is_own(comment: dict[str, Any], marker: str, names: set[str]) -> bool:
    user, body = comment.get("user"), comment.get("body")
    return (
        isinstance(user, dict)
        and user.get("login") in names
        and isinstance(body, str)
        and body.startswith(marker)
        and type(comment.get("id")) is int
    )
