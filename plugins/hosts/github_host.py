"""The host `github`: GitHub, and GitHub Enterprise Server."""

from __future__ import annotations

from pydantic import SecretStr

from autoqec.hosting.host_contract import CommitStatus
from autoqec.hosting.host_requests import HostClient

from .shared_api import put_issue_comment, set_commit_status


class GitHub:
    """See `autoqec.hosting.host_contract.Host`. Requests are those of version 2022-11-28 of its REST API."""

    def __init__(self, server: str, repository: str, token: SecretStr, api_url: str | None = None):
        usual = "https://api.github.com" if server == "https://github.com" else f"{server}/api/v3"
        self._client = HostClient(api_url or usual, _headers, token)
        self._repository = repository

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """Set the status of a commit."""
        set_commit_status(self._client, self._repository, commit, status, rights="Commit statuses: write")

    def put_comment(self, number: int, marker: str, text: str) -> None:
        """Write a comment on a pull request, or change ours."""
        put_issue_comment(
            self._client,
            self._repository,
            number,
            marker,
            text,
            rights="Pull requests: write",
            bots=("github-actions[bot]",),
        )


def _headers(token: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
