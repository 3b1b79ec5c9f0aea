"""A file that says how to join a cluster: its address, and the certificates of its client where it uses TLS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

#: What the file holds beside the address, by the names that Dask's `Security` has for it.
TLS_FIELDS = {"tls_ca_file": "tls_ca_file", "tls_cert": "tls_client_cert", "tls_key": "tls_client_key"}


def write_cluster_file(cluster: Any, path: str | Path) -> Path:
    """Write the file that the option `scheduler_file` of the executor `dask` names; only you can read it.

    Args:
        cluster: Any cluster object of Dask's: it has a `scheduler_address`, and a `security` if it uses TLS.
        path: Where; a file that is there is replaced.

    Returns:
        The path, with `~` resolved.
    """
    told = {"address": cluster.scheduler_address}
    security = getattr(cluster, "security", None)
    for ours, theirs in TLS_FIELDS.items():
        if value := getattr(security, theirs, None):
            told[ours] = value
    file = Path(path).expanduser()
    part = file.with_name(f".{file.name}.{os.getpid()}")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(told, out)
    part.replace(file)
    return file
