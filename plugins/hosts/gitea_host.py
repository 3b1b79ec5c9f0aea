"""The host `gitea`: Gitea and Forgejo, whose APIs are the same here."""

from __future__ import annotations

from pydantic import SecretStr

from autoqec.hosting.host_contract import CommitStatus
from autoqec.hosting.host_requests import HostClient

from .shared_api import put_issue_comment, set_commit_status


class Gitea:
    """See `autoqec.hosting.host_contract.Host`. Requests are those of version 1 of its API."""

    def __init__(self, server: str, repository: str, token: SecretStr, api_url: str | None = None):
        self._client = HostClient(api_url or f"{server}/api/v1", _headers, token)
        self._repository = repository

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """Set the status of a commit."""
        set_commit_status(self._client, self._repository, commit, status, rights="repository: write")

    def put_comment(self, number: int, marker: str, text: str) -> None:
        """Write a comment on a pull request, or change ours."""
        put_issue_comment(
            self._client,
            self._repository,
            number,
            marker,
            text,
            rights="issue: write",
            bots=("gitea-actions", "forgejo-actions"),
        )


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"token {token}", "Accept": "application/json"}
