"""Plots a comparison: the best VERIFIED gain so far against rounds and against seconds, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoqec.counted_words import counted
from autoqec.errors import MissingPackageError, UsageError
from autoqec.results.agent_comparison import ArmResult, by_agent, gain_of
from autoqec.whole_files import require_place, written_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Style per agent: line, marker and grey differ in print, the colour on a screen.
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
COLOURS = ("#000000", "#0072b2", "#d55e00", "#777777", "#009e73", "#cc79a7", "#e69f00")

#: Horizontal distance between the error bars of two seeds, in rounds, so that they do not overlap.
_APART = 0.06

#: File formats of plots.
FORMATS = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Refuse, before any round runs, a plot that cannot be written.

    Raises:
        UsageError: The format is unknown, or it cannot be written there.
        MissingPackageError: matplotlib is not installed.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"--plot {path}: the file must end in {', '.join(FORMATS)}", hint="--plot comparison.png")
    if find_spec("matplotlib") is None:
        raise MissingPackageError("--plot needs matplotlib", hint="pip install matplotlib")
    require_place(path)


def plot_comparison(arms: Sequence[ArmResult], path: Path, title: str) -> None:
    """Draw a comparison.

    Args:
        arms: Every agent with every seed.
        path: The file to write; its extension decides the format.
        title: The title above the plot.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    # Text stays text in an SVG, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "autoqec", "font.size": 9}):
        figure = Figure(figsize=(9, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        handles = []
        for place, (agent, own) in enumerate(by_agent(arms).items()):
            look: dict[str, Any] = {
                "color": COLOURS[place % len(COLOURS)],
                "linestyle": LINES[place % len(LINES)],
                "marker": MARKERS[place % len(MARKERS)],
            }
            aside = _APART * place / len(by_agent(arms))
            _draw(left, [_by_rounds(arm) for arm in own], look, own, [aside + _APART * n for n in range(len(own))])
            _draw(right, [_by_seconds(arm) for arm in own], look, own, [0.0] * len(own))
            seeds = f"mean of {counted(len(own), 'seed')}"
            handles.append(Line2D([], [], linewidth=2.2, markersize=5, label=f"{agent} ({seeds})", **look))
        left.set_xlabel("rounds")
        left.set_ylabel("best VERIFIED ΔLER so far · 1e-3, per shot")
        left.xaxis.get_major_locator().set_params(integer=True)
        right.set_xlabel("seconds of rounds")
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, handlelength=4)
        for axes in (left, right):
            axes.grid(color="0.9", linewidth=0.6)
            axes.set_xlim(left=0)
            axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(title, fontsize=10)
        with written_aside(path) as part:
            figure.savefig(part, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


Track = list[tuple[float, float]]


def _by_rounds(arm: ArmResult) -> Track:
    return [(0.0, 0.0), *((float(each.number), 1e3 * gain_of(best)) for each, best in arm.steps())]


def _by_seconds(arm: ArmResult) -> Track:
    return [(0.0, 0.0), *((each.seconds, 1e3 * gain_of(best)) for each, best in arm.steps())]


def _at(track: Track, x: float) -> float:
    """A step function's value: that of the last step at or before x."""
    return next((y for at, y in reversed(track) if at <= x), 0.0)


def _mean(tracks: Sequence[Track]) -> Track:
    """The mean of step functions; a run that has ended keeps its last value."""
    places = sorted({x for track in tracks for x, _ in track})
    return [(x, sum(_at(track, x) for track in tracks) / len(tracks)) for x in places]


def _draw(
    axes: Axes, tracks: Sequence[Track], look: dict[str, Any], arms: Sequence[ArmResult], asides: Sequence[float]
) -> None:
    """Thin lines for the seeds with their verdicts' intervals where the best changes, a thick line for their mean."""
    plain = {"color": look["color"], "linestyle": look["linestyle"]}
    for track, arm, aside in zip(tracks, arms, asides, strict=True):
        axes.step(*zip(*track, strict=True), where="post", linewidth=0.7, alpha=0.6, **plain)
        before = None
        for (x, y), (_, best) in zip(track[1:], arm.steps(), strict=True):
            if best is not None and best is not before and best.gain is not None:
                low, high = (1e3 * end for end in best.gain.gain_interval)
                bar = [[max(0.0, y - low)], [max(0.0, high - y)]]
                style = {
                    "color": look["color"],
                    "marker": look["marker"],
                    "markersize": 4,
                    "capsize": 2,
                    "linewidth": 0.8,
                }
                axes.errorbar([x + aside], [y], yerr=bar, **style)
            before = best
    axes.step(*zip(*_mean(tracks), strict=True), where="post", linewidth=2.2, **plain)
