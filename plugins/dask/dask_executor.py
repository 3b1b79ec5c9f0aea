"""The executor `dask`: the workers of a Dask cluster, which it starts on this machine or joins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from autoqec.scoring.remote.remote_pool import RemotePool

from .dask_options import gateway_setup
from .dask_source import DaskSource, opened_gateway


class DaskExecutor(RemotePool):
    """Runs tasks on the workers of a Dask cluster.

    Args:
        jobs: How many tasks at once; of a cluster on this machine, how many processes.
        address: Of the scheduler to join, such as `tls://10.0.0.5:8786`. Without it and without `scheduler_file`, the variable
            `DASK_SCHEDULER_ADDRESS` names one, and without that a cluster of processes starts on this machine.
        scheduler_file: A file in which a scheduler wrote its address.
        tls_ca_file: The certificate of who signed those of the cluster: a PEM file.
        tls_cert, tls_key: The client's certificate and key: PEM files.
        connect_seconds: How long the scheduler may take to answer.
        wait_seconds: How long tasks wait while the cluster has no worker.
        check_one_in: One task in so many is asked of two workers.

    Raises:
        UsageError: An option cannot be used.
    """

    def __init__(
        self,
        jobs: int,
        *,
        address: str = "",
        scheduler_file: str = "",
        tls_ca_file: str = "",
        tls_cert: str = "",
        tls_key: str = "",
        connect_seconds: float = 30.0,
        wait_seconds: float = 600.0,
        check_one_in: int = 64,
    ):
        setup = gateway_setup(
            jobs,
            address=address,
            scheduler_file=scheduler_file,
            tls_ca_file=tls_ca_file,
            tls_cert=tls_cert,
            tls_key=tls_key,
            connect_seconds=connect_seconds,
        )
        super().__init__(DaskSource(setup), jobs, check_one_in=check_one_in, wait_seconds=wait_seconds)

    @staticmethod
    @contextmanager
    def shared(jobs: int, **options: Any) -> Iterator[Mapping[str, Any]]:
        """A cluster for all executors of one command; see `autoqec.scoring.executor_contract.SharingFactory`."""
        tls = {name: options.pop(name, "") for name in ("tls_ca_file", "tls_cert", "tls_key")}
        places = {name: options.pop(name, "") for name in ("address", "scheduler_file")}
        connect_seconds = options.pop("connect_seconds", 30.0)
        with opened_gateway(gateway_setup(jobs, **places, **tls, connect_seconds=connect_seconds)) as ready:
            joining = {"address": ready.address, "connect_seconds": connect_seconds}
            secure = {"tls_ca_file": ready.tls_ca, "tls_cert": ready.tls_cert, "tls_key": ready.tls_key}
            yield {**options, **joining, **(secure if ready.tls_key else {})}
