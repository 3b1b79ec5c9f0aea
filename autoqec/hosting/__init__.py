"""A lab on a host of git repositories: commit statuses, comments, published pages, and what a host's CI runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.lazy_names import lazy_names

if TYPE_CHECKING:
    from autoqec.hosting.host_contract import CommitStatus, Host, HostBusyError, HostError
    from autoqec.hosting.host_requests import Asked, HostClient

__all__ = ["Asked", "CommitStatus", "Host", "HostBusyError", "HostClient", "HostError"]

__getattr__ = lazy_names(
    __name__,
    {
        "host_contract": ("CommitStatus", "Host", "HostBusyError", "HostError"),
        "host_requests": ("Asked", "HostClient"),
    },
)
