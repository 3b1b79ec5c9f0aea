"""The host `gitlab`: GitLab.com and servers of one's own."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from autoqec.hosting.host_contract import CommitStatus, State
from autoqec.hosting.host_requests import Asked, HostClient

_STATES: dict[State, str] = {"success": "success", "failure": "failed", "error": "failed", "pending": "pending"}
_PAGE = 50
_PAGES = 20  # a merge request with more notes gets another one of ours


class GitLab:
    """See `autoqec.hosting.host_contract.Host`. Requests are those of version 4 of its API; a comment is a note there."""

    def __init__(self, server: str, repository: str, token: SecretStr, api_url: str | None = None):
        self._client = HostClient(api_url or f"{server}/api/v4", _headers, token)
        self._project = f"/projects/{quote(repository, safe='')}"

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """Set the status of a commit. GitLab refuses to set one again that is as it shall be."""
        body = {"state": _STATES[status.state], "description": status.description, "name": status.context}
        body |= {} if status.url is None else {"target_url": status.url}
        asked = Asked(f"set the status of {commit[:10]}", "scope api, role Developer")
        path = f"{self._project}/statuses/{commit}"
        answer = self._client.ask("POST", path, body, asked=asked, may=(400,))
        if answer.status == 400 and b"annot transition status" not in answer.body:
            self._client.ask("POST", path, body, asked=asked)

    def put_comment(self, number: int, marker: str, text: str) -> None:
        """Write a note on a merge request, or change ours."""
        asked = Asked(f"comment on merge request {number}", "scope api, role Reporter")
        notes = f"{self._project}/merge_requests/{number}/notes"
        found, body = self._own(notes, marker, asked), {"body": f"{marker}\n{text}"}
        if found is not None:
            self._client.ask("PUT", f"{notes}/{found}", body, asked=asked)
        else:
            self._client.ask("POST", notes, body, asked=asked, repeatable=False)

    def _own(self, notes: str, marker: str, asked: Asked) -> int | None:
        """The number of our note; None if there is none. A note of anybody else with our marker is not ours."""
        who = self._client.ask("GET", "/user", asked=asked).json()
        name = who.get("username") if isinstance(who, dict) else None
        for page in range(1, _PAGES + 1):
            listed = self._client.ask("GET", f"{notes}?per_page={_PAGE}&page={page}", asked=asked).json()
            if not isinstance(listed, list) or not listed:
                return None
            for each in listed:
                if isinstance(each, dict) and name is not None and _is_own(each, marker, name):
                    return int(each["id"])
        return None


def _is_own(note: dict[str, Any], marker: str, name: str) -> bool:
    author, body = note.get("author"), note.get("body")
    return (
        isinstance(author, dict)
        and author.get("username") == name
        and isinstance(body, str)
        and body.startswith(marker)
        and type(note.get("id")) is int
    )


def _headers(token: str) -> dict[str, str]:
    return {"PRIVATE-TOKEN": token, "Accept": "application/json"}
