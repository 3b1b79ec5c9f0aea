"""From a decoder's name in an environment to a decoder ready for one problem."""

from __future__ import annotations

from collections.abc import Iterable

from autoqec.decoding.decoder_contract import CompiledDecoder
from autoqec.errors import AutoQECError, MissingPackageError
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


def compile_references(
    choices: Iterable[Choice], problem: Problem, registry: Registry
) -> tuple[dict[str, CompiledDecoder], dict[str, str]]:
    """Compile decoders that are only reported beside others: one whose package is not installed is left out.

    Returns:
        Decoders by label, and of those left out the line that installs what they need, by label.

    Raises:
        NotFoundError, UsageError: As `compile_decoder`.
    """
    compiled: dict[str, CompiledDecoder] = {}
    missing: dict[str, str] = {}
    for choice in choices:
        try:
            compiled[choice.label] = compile_decoder(choice, problem, registry)
        except MissingPackageError as error:
            missing[choice.label] = str(error.hint)
    return compiled, missing
