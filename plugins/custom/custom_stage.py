"""The stage kind `custom`: a torch module in the candidate's own file `stages/<slug>/module.py`.

The source is checked when a candidate is read. It runs only when a candidate is built, in the candidate's process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from autoqec.candidate.stage_contract import Inference, StageConfig
from autoqec.errors import AutoQECError, UsageError, is_out_of_memory
from autoqec.problem.problem import Problem

from .source import check_source
from .stand_in import SOURCE

if TYPE_CHECKING:
    import torch


class CustomConfig(StageConfig):
    """The fields of a `custom` stage; it has no own fields, because its `module.py` defines it."""

    kind: Literal["custom"] = "custom"


class Custom:
    """Stage kind.

    Args:
        source: The text of `module.py`; empty for the kind itself, which cannot build a stage.
        path: Its name, for messages.
    """

    Config = CustomConfig
    STAND_IN = SOURCE

    def __init__(self, source: str = "", path: str = "module.py") -> None:
        self._source, self._path = source, path

    def with_module(self, source: str, path: str) -> Custom:
        """Return the kind bound to a candidate's source.

        Raises:
            UsageError: The source is not allowed; the message names the line.
        """
        check_source(source, path)
        return Custom(source, path)

    def build(self, config: CustomConfig, problem: Problem) -> torch.nn.Module:
        """Run the source, make its `Stage`, and test it on a few shots.

        Raises:
            UsageError: The code raises an error, or does not meet the requirements of a stage.
        """
        import torch

        from .smoke import try_out
        from .stage_graph import make_graph

        def make() -> torch.nn.Module:
            module = ModuleType("candidate_stage")
            exec(compile(self._source, self._path, "exec"), vars(module))  # noqa: S102 - this is what the kind is for
            stage: torch.nn.Module = module.Stage(make_graph(problem))
            return stage

        with torch.random.fork_rng(devices=[]):  # the test must not change the stage's initial parameters
            _explained(lambda: try_out(make, problem, self._path), self._path)
        built: torch.nn.Module = _explained(make, self._path)
        return built

    def inference(self, config: CustomConfig, tensors: Mapping[str, np.ndarray], problem: Problem) -> Inference | None:
        """Return None: torch runs this stage."""
        return None

    def space(self) -> Mapping[str, tuple[Any, ...]]:
        """Return nothing: a search over fields cannot write code."""
        return {}


def _explained(work: Callable[[], Any], path: str) -> Any:
    """Return the result of `work`, or turn an error in the candidate's code into one that names its file and line."""
    try:
        return work()
    except (AutoQECError, MemoryError):
        raise
    except Exception as error:
        if is_out_of_memory(error):  # torch raises a RuntimeError in this case
            raise MemoryError(str(error)) from error
        lines, trace = [], error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == path:
                lines.append(trace.tb_lineno)
            trace = trace.tb_next
        where = f"{path}, line {lines[-1]}" if lines else path
        text = str(error).strip().splitlines()
        problem = f"{where}: {type(error).__name__}: {text[0] if text else ''}"
        raise UsageError(problem, code="custom_refused") from error
