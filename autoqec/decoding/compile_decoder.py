"""Compiles the decoders that an environment names for one problem."""

from __future__ import annotations

from collections.abc import Iterable

from autoqec.decoding.decoder_contract import CompiledDecoder
from autoqec.errors import AutoQECError, MissingPackageError, UsageError
from autoqec.plugins import Registry
from autoqec.problem.environment import Choice
from autoqec.problem.problem import Problem

#: The field of a reference that switches its gate off.
GATE = "gate"


def compile_decoder(choice: Choice, problem: Problem, registry: Registry) -> CompiledDecoder:
    """Compile the decoder that an environment names.

    Raises:
        NotFoundError, UsageError: There is no such decoder, or it does not accept these fields or this problem.
    """
    entry = registry.get("decoder", choice.kind)
    decoder = entry.create(**choice.fields)
    try:
        compiled: CompiledDecoder = decoder.compile(problem)
    except AutoQECError:
        raise
    except Exception as error:
        raise entry.failure(error) from error
    return compiled


def without_gate(choice: Choice) -> Choice:
    """A reference without its field `gate`, which says how scoring runs it and is not the decoder's own.

    Raises:
        UsageError: The field says something else than `none`.
    """
    told = choice.fields.get(GATE, "none")
    if told != "none":
        raise UsageError(
            f"reference {choice.kind}: gate {told!r} is unknown", hint="gate: none, or leave the field out"
        )
    return Choice(kind=choice.kind, **{name: value for name, value in choice.fields.items() if name != GATE})


def compile_references(
    choices: Iterable[Choice], problem: Problem, registry: Registry
) -> tuple[dict[str, CompiledDecoder], dict[str, str]]:
    """Compile reference decoders, without those whose package is not installed.

    Returns:
        Decoders by label; and for each missing one, by label, the command that installs its package.

    Raises:
        NotFoundError, UsageError: As for `compile_decoder`.
    """
    compiled: dict[str, CompiledDecoder] = {}
    missing: dict[str, str] = {}
    for choice in choices:
        try:
            compiled[choice.label] = compile_decoder(without_gate(choice), problem, registry)
        except MissingPackageError as error:
            missing[choice.label] = str(error.hint)
    return compiled, missing
