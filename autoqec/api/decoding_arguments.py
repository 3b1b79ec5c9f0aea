"""What a program gives to `compare` and `sweep`: decoders by name or as rounds, and what they decode in any form."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from autoqec.api.lab_rounds import Round
from autoqec.api.made_environments import Environment
from autoqec.comparing.decoder_names import NamedDecoder, TrainedDecoder, read_decoder
from autoqec.comparing.decoding_source import (
    DecodingSource,
    source_from_circuit,
    source_from_dem,
    source_from_environment,
    source_from_file,
)
from autoqec.errors import UsageError
from autoqec.plugins import Registry

if TYPE_CHECKING:
    import stim

    from autoqec.api.opened_lab import Lab

#: A decoder by its name, or a round.
DecoderNamed: TypeAlias = "str | Round"

#: What is decoded.
DecodedOn: TypeAlias = "str | os.PathLike[str] | Environment | stim.Circuit | stim.DetectorErrorModel"

_SOURCES = (
    "give a stim circuit, a detector error model, an Environment, its name, or the path of a .stim, .dem or YAML file"
)


def named_decoders(
    decoders: Sequence[DecoderNamed], registry: Registry, lab: Lab | str | os.PathLike[str]
) -> tuple[NamedDecoder, ...]:
    """Decoders as the rooms below take them.

    Raises:
        UsageError: Something is no decoder, or a decoder is named twice.
        NotFoundError: There is no decoder or round of a name.
    """
    if isinstance(decoders, str):
        raise UsageError(f"the decoders are a list, not {decoders!r}", hint=f'["{decoders}", "pymatching"]')
    found = tuple(_named(each, registry, lab) for each in decoders)
    labels = [each.label for each in found]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"decoder {label} is named twice", hint="name each decoder once")
    return found


def _named(decoder: DecoderNamed, registry: Registry, lab: Lab | str | os.PathLike[str]) -> NamedDecoder:
    if isinstance(decoder, Round):
        return TrainedDecoder(decoder.name, decoder.package())
    if not isinstance(decoder, str):
        hint = "name it: mwpm, sinter:module:Class, exp/<run>/<N>"
        raise UsageError(f"a decoder is a name or a round, not of type {type(decoder).__name__}", hint=hint)
    return read_decoder(decoder, registry, lab=lab_folder(lab))


def lab_folder(lab: Lab | str | os.PathLike[str]) -> Path:
    """The path of a lab."""
    return Path(lab) if isinstance(lab, str | os.PathLike) else lab.path


def source_of(on: DecodedOn, p: float | None, lab: Lab | str | os.PathLike[str]) -> DecodingSource:
    """What is decoded.

    Raises:
        UsageError: It is none of the things that can be decoded, or its noise is fixed and p is given.
        NotFoundError: There is no such file or environment.
    """
    import stim

    if isinstance(on, str | os.PathLike) and Path(on).suffix not in (".stim", ".dem"):
        on = open_environment(on, lab)
    if isinstance(on, Environment):
        return source_from_environment(on.loaded, p)
    if p is not None:
        raise UsageError("a circuit or an error model fixes its noise, so p cannot be chosen", hint="leave out p")
    if isinstance(on, stim.Circuit):
        return source_from_circuit(on)
    if isinstance(on, stim.DetectorErrorModel):
        return source_from_dem(on)
    if isinstance(on, str | os.PathLike):
        return source_from_file(Path(on), "circuit" if Path(on).suffix == ".stim" else "dem")
    raise UsageError(f"nothing of type {type(on).__name__} can be decoded", hint=_SOURCES)


def open_environment(name: str | os.PathLike[str], lab: Lab | str | os.PathLike[str]) -> Environment:
    """An environment by name, in the lab's `envs` and the package's, or by path.

    Raises:
        NotFoundError: There is none.
    """
    return Environment.open(name, [_top(lab_folder(lab)) / "envs"])


def _top(folder: Path) -> Path:
    """The top of the lab around a folder; the folder itself outside of labs."""
    from autoqec.errors import AutoQECError
    from autoqec.history import open_ledger

    try:
        return open_ledger(folder).workdir
    except AutoQECError:
        return folder
