"""The options of the executor `dask`, read and checked in the command's own process: it has the user's folder and variables."""

from __future__ import annotations

import json
import os
from pathlib import Path

from autoqec.errors import UsageError
from autoqec.scoring.remote.pool_options import require_seconds, require_text

from .cluster_file import TLS_FIELDS
from .gateway_messages import GatewaySetup

#: The variable by which Dask itself finds a scheduler.
_ADDRESS = "DASK_SCHEDULER_ADDRESS"

#: How variables of Dask's settings begin.
_DASK = "DASK_"

#: What a PEM file begins with; an option that does is the file's contents.
_PEM = "-----BEGIN "

_LARGEST = 1024 * 1024


def gateway_setup(
    jobs: int,
    *,
    address: str,
    scheduler_file: str,
    tls_ca_file: str,
    tls_cert: str,
    tls_key: str,
    connect_seconds: float,
) -> GatewaySetup:
    """Which cluster the options mean; see `autoqec_plugins.dask.dask_executor.DaskExecutor`.

    Raises:
        UsageError: An option cannot be used, or a file that it names cannot be read.
    """
    told = {"address": address, "scheduler_file": scheduler_file, "tls_ca_file": tls_ca_file}
    for name, value in (told | {"tls_cert": tls_cert, "tls_key": tls_key}).items():
        require_text(f"executors.dask: {name}", value)
    if address and scheduler_file:
        raise UsageError(
            "[executors.dask] has both `address` and `scheduler_file`",
            hint="leave one of them out: each names a cluster",
        )
    tls = {"tls_ca_file": tls_ca_file, "tls_cert": tls_cert, "tls_key": tls_key}
    found = address
    if scheduler_file:
        found, in_file = _read_scheduler_file(scheduler_file)
        tls = tls if any(tls.values()) else in_file
    elif not address:
        found = os.environ.get(_ADDRESS, "")
    if any(tls.values()) and not all(tls.values()):
        missing = [name for name, value in tls.items() if not value]
        raise UsageError(
            f"[executors.dask] has no {' and no '.join(f'`{name}`' for name in missing)}",
            hint="TLS needs `tls_ca_file`, `tls_cert` and `tls_key`",
        )
    ca, cert, key = (_pem(name, value) for name, value in tls.items())
    return GatewaySetup(
        address=found,
        processes=0 if found else jobs,
        tls_ca=ca,
        tls_cert=cert,
        tls_key=key,
        connect_seconds=require_seconds("executors.dask: connect_seconds", connect_seconds),
        variables={name: value for name, value in os.environ.items() if name.startswith(_DASK)},
    )


def _read(option: str, path: str) -> str:
    try:
        file = Path(path).expanduser()
        if file.stat().st_size > _LARGEST:
            raise ValueError("it is larger than such a file can be")
        return file.read_text()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"the option {option} of [executors.dask] names {path}: {why}") from error


def _pem(option: str, value: str) -> str:
    """A certificate or a key, given as a path or as its contents."""
    text = _read(option, value) if value and not value.lstrip().startswith(_PEM) else value
    if value and _PEM not in text:
        raise UsageError(f"the option {option} of [executors.dask] names {value}: it is not a PEM file")
    return text


def _read_scheduler_file(path: str) -> tuple[str, dict[str, str]]:
    """The address in a file that a scheduler or `write_cluster_file` wrote, and what the latter says of TLS."""
    try:
        told = json.loads(_read("scheduler_file", path))
        address = told["address"]
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"the option scheduler_file of [executors.dask] names {path}: it is not a scheduler's file",
            hint="`dask scheduler --scheduler-file FILE` or `write_cluster_file` writes one",
        ) from error
    if not isinstance(address, str) or not address:
        raise UsageError(f"the option scheduler_file of [executors.dask] names {path}: it has no address")
    return address, {name: str(told.get(name, "")) for name in TLS_FIELDS}
