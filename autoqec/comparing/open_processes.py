"""Starts the process of a named decoder, whichever kind it is."""

from __future__ import annotations

from autoqec.comparing.decoder_names import NamedDecoder, TrainedDecoder
from autoqec.comparing.decoder_process import COMPILE_SECONDS, SLICE_SECONDS, DecoderProcess, PluginProcess
from autoqec.comparing.decoding_source import DecodingSource
from autoqec.comparing.trained_process import TrainedProcess
from autoqec.plugins import Registry
from autoqec.problem.problem import Problem


def open_process(
    named: NamedDecoder,
    source: DecodingSource,
    problem: Problem,
    registry: Registry,
    *,
    compile_seconds: float = COMPILE_SECONDS,
    slice_seconds: float = SLICE_SECONDS,
) -> DecoderProcess:
    """Start a decoder's process; it loads while you go on.

    Args:
        named: The decoder.
        source: What it decodes.
        problem: The same, compiled.
        registry: Installed plugins.
        compile_seconds, slice_seconds: Limits of an installed decoder, see `PluginProcess`; a round has those of scoring.
    """
    if isinstance(named, TrainedDecoder):
        return TrainedProcess(named, source, problem, registry)
    return PluginProcess(named, source, problem, compile_seconds=compile_seconds, slice_seconds=slice_seconds)
