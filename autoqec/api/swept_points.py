"""Error rates of decoders over a family of environments, from Python: what `autoqec sweep` does."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoqec.api.decoding_arguments import DecoderNamed, lab_folder, named_decoders, open_environment
from autoqec.api.made_environments import Environment
from autoqec.api.row_tables import Table
from autoqec.comparing.sweep_task import SweepLimits
from autoqec.comparing.sweeping import sweep as sweep_named
from autoqec.counted_words import counted
from autoqec.plugins import load_plugins
from autoqec.results.piece_rates import Per
from autoqec.results.sweep_records import Crossing, LeftOut, Suppression, Sweep, SweepPoint, SweepProgress

if TYPE_CHECKING:
    from autoqec.api.opened_lab import Lab


@dataclass(frozen=True)
class SweptRow:
    """One decoder at one place of a sweep."""

    point: SweepPoint
    per: Per

    def to_row(self) -> dict[str, Any]:
        """What it says of itself, by column; rates with an exact 95 % interval, per what the sweep says."""
        point = self.point
        low, high = point.interval(self.per) if point.shots else (None, None)
        return {
            "decoder": point.decoder,
            **{name: value for name, value in point.place.values.items() if not isinstance(value, dict | list)},
            "p": point.place.p,
            "distance": point.place.distance,
            "rounds": point.place.rounds,
            "shots": point.shots,
            "errors": point.errors,
            "ler": point.rate(self.per) if point.shots else None,
            "ler_low": low,
            "ler_high": high,
            "us_per_shot": point.microseconds if point.shots else None,
            "ended": point.ended,
        }


class DecoderSweep(Table[SweptRow]):
    """Error rates of decoders over a family of environments; a notebook shows them as a table.

    Args:
        record: What was counted.

    Attributes:
        record: The counts, and what follows from them.
    """

    shown = ("decoder", "p", "distance", "rounds", "shots", "errors", "ler", "ler_low", "ler_high", "us_per_shot")

    def __init__(self, record: Sweep) -> None:
        self.record = record
        rows = [SweptRow(point, record.per) for point in record.points]
        super().__init__(rows, f"{counted(len(rows), 'point')} of {record.env}, rates per {record.per}")

    @property
    def suppressions(self) -> Sequence[Suppression]:
        """Λ with its interval, wherever a decoder has shots at two distances and all else is equal."""
        return self.record.suppressions

    @property
    def crossings(self) -> Sequence[Crossing]:
        """Where the curves of neighbouring distances cross, with an interval."""
        return self.record.crossings

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """Decoders that gave no answers at a place, and why."""
        return self.record.left_out

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw the rates to a file, as `autoqec sweep --plot` does: `.svg`, `.png`, `.pdf` or `.html`.

        Raises:
            UsageError: The file has another ending.
            AutoQECError: It cannot be written.
        """
        from autoqec.reporting.pages.sweep_page import SWEEP_FORMATS, plot_sweep
        from autoqec.views.line_styles import check_plot

        check_plot(Path(path), SWEEP_FORMATS, "--plot sweep.svg")
        plot_sweep(self.record, Path(path))


def sweep(
    decoders: Sequence[DecoderNamed],
    env: Environment | str | os.PathLike[str],
    *,
    sets: Mapping[str, Sequence[Any]] | None = None,
    p: Sequence[float] | str = (),
    relative_error: float | None = 0.1,
    max_errors: int | None = None,
    max_shots: int = 1_000_000,
    max_seconds: float | None = 60.0,
    per: Per = "shot",
    csv: str | os.PathLike[str] | None = None,
    key: str | None = None,
    jobs: int = 0,
    lab: Lab | str | os.PathLike[str] = ".",
    progress: Callable[[SweepProgress], None] | None = None,
) -> DecoderSweep:
    """Count failures of decoders over a family of environments: error rates against p, distance, rounds or any other field.

    All decoders get the same shots at a place. Counting stops at a point at the first of the limits.

    Args:
        decoders: One or more, as for `compare`.
        env: The environment that the family is like, its name, or the path of its YAML file.
        sets: Fields with their values, such as `{"code.distance": [3, 5]}`, or with the field whose value they take, such as
            `{"code.rounds": "code.distance"}`. The family has all combinations.
        p: Physical error rates: a list, or a text such as `1e-3:1e-2:8`, eight rates at equal ratios.
        relative_error: Of the rate, about `1 / sqrt(failures)`; None for no target.
        max_errors, max_shots: Limits of a point; None for no limit of failures.
        max_seconds: Seconds of decoding at a point; None for no limit.
        per: What rates are per: `shot`, `round` or `logical` observable.
        csv: A file of sinter's format that has the counts, and from which a sweep goes on; None to keep them in memory.
        key: The key of the shots, 32 hexadecimal digits; by default that of the file, or a new one.
        jobs: Worker processes; 0 for one per processor.
        lab: The lab of rounds and environments that are named.
        progress: Called with what goes on.

    Raises:
        UsageError, NotFoundError: Something cannot be used as it was given; nothing was counted.
        AutoQECError: The file cannot be written.
    """
    registry = load_plugins()
    loaded = env if isinstance(env, Environment) else open_environment(env, lab)
    record = sweep_named(
        named_decoders(decoders, registry, lab),
        loaded.loaded,
        sets=sets or {},
        p=p,
        limits=SweepLimits(relative_error, max_errors, max_shots, max_seconds),
        jobs=jobs,
        per=per,
        file=None if csv is None else Path(csv),
        key=key,
        lab=lab_folder(lab),
        registry=registry,
        progress=progress or _unheard,
    )
    return DecoderSweep(record)


def _unheard(event: SweepProgress) -> None:
    """Nobody asked."""
