"""Plugin: the executor `dask`, whose workers are those of a Dask cluster."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_executors(register: Register) -> None:
    """`dask`."""
    register("dask", "autoqec_plugins.dask.dask_executor:DaskExecutor", needs="distributed")
