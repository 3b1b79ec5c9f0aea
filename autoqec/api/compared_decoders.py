"""Decoders compared on the same fresh shots, from Python: what `autoqec compare` does, on circuits in memory too."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoqec.api.decoding_arguments import DecodedOn, DecoderNamed, named_decoders, source_of
from autoqec.api.lab_rounds import Round
from autoqec.api.row_tables import Table
from autoqec.comparing.compare_decoders import ComparisonPlan, ComparisonProgress
from autoqec.comparing.compare_decoders import compare as compare_named
from autoqec.comparing.comparison_file import write_comparison, write_rows
from autoqec.comparing.decoder_pool import processors
from autoqec.comparing.recorded_source import RecordedSource
from autoqec.comparing.shot_source import KeyedShots, ShotSource, read_key
from autoqec.comparing.stopping_rule import read_until
from autoqec.comparing.timing import SECONDS
from autoqec.counted_words import counted
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.problem import Problem
from autoqec.results.decoder_comparison import Comparison, Pair, PairWord, e_value

if TYPE_CHECKING:
    from autoqec.api.opened_lab import Lab


@dataclass(frozen=True)
class ComparedRow:
    """One decoder of a comparison, by its place."""

    comparison: Comparison
    place: int

    def to_row(self) -> dict[str, Any]:
        """What it says of itself, by column: rates per shot with an exact interval, times in microseconds per shot."""
        decoder, rate = self.comparison.decoders[self.place], self.comparison.rate(self.place)
        time = decoder.time
        percentiles = {f"us_{name}": spread.median for name, spread in time.percentiles.items()} if time else {}
        return {
            "decoder": decoder.label,
            "shots": rate.shots if rate else 0,
            "failures": rate.failures if rate else None,
            "ler": rate.rate if rate else None,
            "ler_low": rate.low if rate else None,
            "ler_high": rate.high if rate else None,
            "invalid": self.comparison.invalid(self.place),
            "us_batch": time.batch.median if time else None,
            **percentiles,
            "failed": decoder.failed.problem if decoder.failed else None,
        }


@dataclass(frozen=True)
class PairRow:
    """Two decoders of a comparison on the shots that both decoded."""

    comparison: Comparison
    pair: Pair

    def to_row(self) -> dict[str, Any]:
        """What it says of itself, by column; the interval of the ratio holds whenever counting stops, for all pairs together.

        `mcnemar_p` decides on recorded shots, once all are decoded; None otherwise.
        """
        pair, decoders = self.pair, self.comparison.decoders
        return {
            "base": decoders[pair.base].label,
            "other": decoders[pair.other].label,
            "word": pair.word,
            "shots": pair.counts.shots,
            "both": pair.counts.both,
            "base_only": pair.counts.baseline_only,
            "other_only": pair.counts.candidate_only,
            "ler_ratio": pair.ratio,
            "ler_ratio_low": pair.interval[0],
            "ler_ratio_high": pair.interval[1],
            "e_better": e_value(pair.log_e_better),
            "e_not_better": e_value(pair.log_e_not_better),
            "mcnemar_p": pair.p_better,
        }


class Pairs(Table[PairRow]):
    """All pairs of a comparison: first the others against the baseline, then these against each other."""

    shown = ("base", "other", "word", "both", "base_only", "other_only", "ler_ratio", "ler_ratio_low", "ler_ratio_high")


class DecoderComparison(Table[ComparedRow]):
    """Decoders on the same fresh shots; a notebook shows their rates, and `pairs` who is better.

    Args:
        record: What was counted.

    Attributes:
        record: The counts, settings, versions and key: all else follows from these.
    """

    shown = ("decoder", "shots", "failures", "ler", "ler_low", "ler_high", "us_batch", "failed")

    def __init__(self, record: Comparison) -> None:
        self.record = record
        rows = [ComparedRow(record, place) for place in range(len(record.decoders))]
        name = f"{counted(len(rows), 'decoder')} on {counted(record.total, 'shot')} of {record.source.name}"
        super().__init__(rows, name)

    @cached_property
    def pairs(self) -> Pairs:
        """All pairs, each with its word, its ratio of rates and its evidence."""
        found = [PairRow(self.record, pair) for pair in self.record.pairs()]
        return Pairs(found, counted(len(found), "pair"))

    def word(self, base: DecoderNamed, other: DecoderNamed) -> PairWord:
        """What is shown of `other` against `base`: `better`, `not better`, `undecided` or `failed`.

        Args:
            base, other: Labels, as in the column `decoder`, or rounds.

        Raises:
            UsageError: One is none of the decoders.
        """
        labels = [decoder.label for decoder in self.record.decoders]
        asked = [each.name if isinstance(each, Round) else each for each in (base, other)]
        for label in asked:
            if label not in labels:
                raise UsageError(f"{label} is none of the decoders", hint=f"name one of: {', '.join(labels)}")
        return self.record.pair(*map(labels.index, asked)).word

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the comparison to a file that `autoqec compare --replay` counts again.

        Raises:
            AutoQECError: It cannot be written.
        """
        write_comparison(self.record, Path(path))

    def save_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the counts in sinter's CSV format.

        Raises:
            AutoQECError: It cannot be written.
        """
        write_rows(self.record, Path(path))

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.pairs._repr_html_()


def compare(
    decoders: Sequence[DecoderNamed],
    on: DecodedOn,
    *,
    p: float | None = None,
    until: str | Sequence[str] = "decided",
    baseline: DecoderNamed | None = None,
    fewer: Mapping[str, int] | None = None,
    gated: Sequence[str] = (),
    key: str | None = None,
    shots: str | os.PathLike[str] | None = None,
    observables: str | os.PathLike[str] | None = None,
    jobs: int = 0,
    timing_seconds: float = SECONDS,
    save: str | os.PathLike[str] | None = None,
    lab: Lab | str | os.PathLike[str] = ".",
    progress: Callable[[ComparisonProgress], None] | None = None,
) -> DecoderComparison:
    """Compare decoders on the same fresh shots: who fails less often, and how sure that is.

    Each decoder has a process of its own, which gets syndromes alone. One that fails says why in its row, and the others go on.

    Args:
        decoders: Two or more: names as `autoqec compare` takes them (`mwpm`, `osd:method=osd_cs,order=10`, `pymatching`,
            `sinter:module:Class`, `exp/<run>/<N>`, the folder of an export), or rounds.
        on: A stim circuit or error model, an `Environment`, the name of one, or the path of a `.stim`, `.dem` or YAML file.
        p: Physical error rate of an environment; by default its target.
        until: When to stop: `decided` (every pair has a word), `100000shots`, `60s`; of several, the first.
        baseline: The decoder that others are compared with first; by default the first.
        fewer: Shots of slow decoders that are to decode the first so many alone, by label.
        gated: Labels of slow decoders that are to decode only the shots of which the baseline is least sure.
        key: Draws the shots, 64 hexadecimal digits; by default a new one. The same key draws the same shots.
        shots: A file of recorded detection events, in one of stim's formats, in the place of fresh shots. All are decoded, and
            the test is exact; `key` and `until` do not apply.
        observables: The file of their observable flips; None if `shots` holds them too.
        jobs: Processes that work at the same time; 0 for one per processor.
        timing_seconds: How long each decoder's times are measured; 0 for not.
        save: A file that the counts are written to after every look, and from which a comparison goes on.
        lab: The lab of rounds and environments that are named.
        progress: Called at once, and about twice a second.

    Raises:
        UsageError, NotFoundError: A decoder or what is decoded cannot be used as it was named.
        KeyboardInterrupt: Somebody interrupted it; what was counted is in `save`.
    """
    registry = load_plugins()
    found = named_decoders(decoders, registry, lab)
    labels = [each.label for each in found]
    (first,) = named_decoders([baseline], registry, lab) if baseline is not None else (found[0],)
    if first.label not in labels:
        raise UsageError(
            f"the baseline {first.label} is none of the decoders", hint=f"name one of: {', '.join(labels)}"
        )
    plan = ComparisonPlan(
        until=read_until([until] if isinstance(until, str) else until),
        baseline=labels.index(first.label),
        most_shots=dict(fewer or {}),
        gated=frozenset(gated),
        jobs=jobs or processors(),
        timing_seconds=timing_seconds,
        save=Path(save) if save is not None else None,
    )
    record = compare_named(
        found,
        source_of(on, p, lab),
        plan,
        shots=_stream(key, shots, observables),
        progress=progress or _unheard,
        registry=registry,
    )
    return DecoderComparison(record)


def _stream(
    key: str | None, shots: str | os.PathLike[str] | None, observables: str | os.PathLike[str] | None
) -> Callable[[Problem], ShotSource] | None:
    """Where the shots come from, if that is said."""
    if shots is None:
        if observables is not None:
            raise UsageError("observables belong to recorded shots", hint="name their detection events too: shots=…")
        return None if key is None else partial(KeyedShots, key=read_key(key, "key"))
    if key is not None:
        raise UsageError("recorded shots have no key", hint="leave out key")
    events, flips = Path(shots), None if observables is None else Path(observables)
    return lambda problem: RecordedSource(problem, events, flips)


def _unheard(event: ComparisonProgress) -> None:
    """Nobody asked."""
