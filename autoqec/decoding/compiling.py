"""From a decoder's name in an environment to a decoder ready for one problem."""

from __future__ import annotations

from autoqec.decoding.contract import CompiledDecoder
from autoqec.errors import AutoQECError
from autoqec.plugins import Registry, one_line
from autoqec.problem.environment import Choice
from autoqec.problem.problem import Problem


def compile_decoder(choice: Choice, problem: Problem, registry: Registry) -> CompiledDecoder:
    """Compile the decoder an environment names.

    Raises:
        NotFoundError, UsageError: There is none of that name, it does not take these fields, or not this problem.
    """
    entry = registry.get("decoder", choice.kind)
    decoder = entry.create(**choice.fields)
    try:
        compiled: CompiledDecoder = decoder.compile(problem)
    except AutoQECError:
        raise
    except Exception as error:
        raise AutoQECError(f"decoder {choice.kind!r} of {entry.distribution} failed: {one_line(error)}") from error
    return compiled
