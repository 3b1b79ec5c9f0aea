"""Validates a candidate's files. Code of others that validates fields does so in a locked process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ConfigDict

from autoqec.candidate.schema import read_candidate, write_candidate
from autoqec.candidate.stage_contract import StageConfig, StageKind
from autoqec.canonical import load_yaml
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.plugins import Registry
from autoqec.sandbox.channel import ChannelClosed, ChannelTimeout
from autoqec.sandbox.child import Child, ChildFailed
from autoqec.sandbox.stage_files import stage_kinds, stages_to_warm_up
from autoqec.sandbox.worker_requests import Preparation, ReadingRequest

#: Seconds and bytes of address space for validation: loading the plugins takes nearly all of it.
_SECONDS = 180.0
_MEMORY_BYTES = 12 * 2**30

#: Canonical files of the largest candidate that a person would review.
_MOST_BYTES = 4 * 2**20

_KINDS = {"UsageError": UsageError, "NotFoundError": NotFoundError}


class _ForeignConfig(StageConfig):
    """The fields of a stage kind of others, which its own code has validated."""

    model_config = ConfigDict(extra="allow", frozen=True)


class _Foreign:
    """Stands in for a stage kind of others: it takes any fields, and runs none of its code."""

    Config = _ForeignConfig


class _ForeignWithModule(_Foreign):
    """The same for a kind whose stages have a module."""

    def with_module(self, source: str, path: str) -> _ForeignWithModule:
        return self


def canonical_candidate(files: Mapping[str, bytes], registry: Registry) -> dict[str, bytes]:
    """Validate a candidate's files and return them in their canonical form.

    Code that AutoQEC does not ship validates the fields of its stages in a locked process, and only there.

    Args:
        files: Contents by path relative to the candidate directory.
        registry: Installed plugins.

    Raises:
        UsageError, NotFoundError: As `autoqec.candidate.schema.read_candidate`.
        SandboxUnavailable: This machine cannot lock the process.
    """
    foreign = {
        kind for kind in stage_kinds(files) if (entry := registry.entries.get(("stage", kind))) and not entry.is_own
    }
    maker = registry.maker("stage")
    if not foreign:
        return write_candidate(read_candidate(files, maker))
    told = _read_behind_lock(files, stages_to_warm_up(files, registry))
    # What comes back is held to the files that went there, by our own code.
    for path in (path for path in files if path.startswith("stages/") and path.endswith(".yaml")):
        before, after = (load_yaml(each.get(path, b""), name=path) for each in (files, told))
        if not isinstance(after, dict) or after.get("kind") != before.get("kind"):
            raise AutoQECError(f"{path}: its stage kind answered another stage")
    stand_in = _stand_in(foreign, maker, files)
    added = {path for path in told if path not in files and path.startswith("stages/")}
    modules = {path: data for path, data in files.items() if path.endswith(".py")}
    return write_candidate(
        read_candidate({path: data for path, data in told.items() if path not in added} | modules, stand_in)
    )


def _stand_in(
    foreign: set[str], maker: Callable[[str], StageKind], files: Mapping[str, bytes]
) -> Callable[[str], StageKind]:
    """A maker of stage kinds in which nothing of others runs."""
    with_module = {
        load_yaml(files[path], name=path).get("kind")
        for path in files
        if path.endswith("/stage.yaml") and path.replace("stage.yaml", "module.py") in files
    }

    def make(name: str) -> Any:
        if name not in foreign:
            return maker(name)
        return _ForeignWithModule() if name in with_module else _Foreign()

    return make


def _read_behind_lock(files: Mapping[str, bytes], stages: tuple[str, ...]) -> Mapping[str, bytes]:
    """The canonical files, as a locked process answers them."""
    target = "autoqec.runner.worker:serve_reading"
    try:
        with Child(target, memory_bytes=_MEMORY_BYTES, apart=True) as child:
            child.tell(Preparation(stages=stages, dem=b"", lock=True).to_message())
            child.answer(_SECONDS)
            child.tell(ReadingRequest(files).to_message())
            return ReadingRequest.from_message(child.answer(_SECONDS, _MOST_BYTES)).files
    except ChildFailed as error:
        kind = _KINDS.get(error.kind, AutoQECError)
        raise kind(error.problem, hint=error.hint, code=error.code, about=error.about) from error
    except (ChannelClosed, ChannelTimeout) as error:
        problem = f"the process that validates the candidate's files failed: {error.problem}"
        raise UsageError(problem, code=error.code, about=error.about) from error
