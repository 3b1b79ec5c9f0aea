"""Plots a comparison: the best VERIFIED gain so far against rounds and against seconds, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoqec.counted_words import counted
from autoqec.results.agent_comparison import ArmResult, by_agent, gain_of
from autoqec.views.line_styles import look_of, plot_style, quiet_axes, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Horizontal distance between the error bars of two seeds, in rounds, so that they do not overlap.
_APART = 0.06


def plot_comparison(arms: Sequence[ArmResult], path: Path, title: str) -> None:
    """Draw a comparison.

    Args:
        arms: Every agent with every seed.
        path: The file to write; its extension decides the format.
        title: The title above the plot.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    with plot_style():
        figure = Figure(figsize=(9, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        handles = []
        for place, (agent, own) in enumerate(by_agent(arms).items()):
            look = look_of(place)
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
            quiet_axes(axes)
            axes.set_xlim(left=0)
        figure.suptitle(title, fontsize=10)
        save_figure(figure, path)


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
