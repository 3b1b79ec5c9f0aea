"""Shows how far a comparison of decoders is, on standard error from the first second."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType, TracebackType

from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from autoqec.counted_words import counted
from autoqec.results.decoder_comparison import Comparison
from autoqec.views.console import erased_for_output, err, plain, say


class DecodersDisplay:
    """Use as a context manager, and hand it what is done.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool = False):
        self._quiet, self._console = quiet, err()
        self._drawn: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._next_shots = 1
        self._began = time.monotonic()

    def __enter__(self) -> DecodersDisplay:
        if self._console.is_terminal and not self._quiet:
            erased_for_output(self._erase)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._erase()
        erased_for_output(None)

    def _erase(self) -> None:
        if self._drawn is not None:
            self._drawn.stop()
        self._drawn = self._task = None

    def show(
        self, stage: str, detail: str, comparison: Comparison, done: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """Show where a comparison is.

        Args:
            stage: `start`, `time` or `count`.
            detail: The decoder that this is about, or empty.
            comparison: What is counted so far.
            done: Shots beyond these that slow decoders have decoded, by label.
        """
        if self._quiet:
            return
        text = _text(stage, detail, comparison)
        if self._console.is_terminal:
            self._draw(text + "".join(f"; {label} +{shots:,}" for label, shots in sorted(done.items())[:2]))
        elif stage != "count":
            say(text)
        elif comparison.total >= self._next_shots:
            self._next_shots = max(1, 2 * comparison.total)  # a log has a line for each doubling
            say(text)

    def replayed(self, done: int, total: int) -> None:
        """Show how many shots of a saved comparison are counted again."""
        if self._console.is_terminal or done >= self._next_shots:
            self._next_shots = max(1, 2 * done)
            self.note(f"{done:,} of {counted(total, 'shot')} are counted again")

    def note(self, text: str) -> None:
        """Show a sentence."""
        if not self._quiet:
            self._draw(text) if self._console.is_terminal else say(text)

    def _draw(self, text: str) -> None:
        if self._drawn is None:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            self._drawn = Progress(*columns, console=self._console, transient=True, redirect_stdout=False)
            self._drawn.start()
            self._task = self._drawn.add_task("", total=None)
        assert self._task is not None
        self._drawn.update(self._task, description=plain(text).plain.replace("[", "\\["))


def _text(stage: str, detail: str, comparison: Comparison) -> str:
    if stage == "start":
        return f"compiling {detail}" if detail else f"starting {counted(len(comparison.decoders), 'decoder')}"
    if stage == "time":
        return f"measuring the time of {detail}"
    failures = [rate.failures if (rate := comparison.rate(n)) else 0 for n in range(len(comparison.decoders))]
    undecided = comparison.undecided() if comparison.total else len(list(comparison.pairs()))
    left = f", {counted(undecided, 'pair')} undecided" if undecided else ", all pairs decided"
    return f"{counted(comparison.total, 'shot')}, failures {' '.join(f'{n:,}' for n in failures[:8])}{left}"
