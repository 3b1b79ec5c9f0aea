"""Prints a comparison of agents: a line for each agent, and for each pair which one is better by which test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autoqec.counted_words import counted
from autoqec.results.agent_comparison import (
    TEST,
    ArmResult,
    PairComparison,
    arm_object,
    by_agent,
    comparisons,
    summarised,
)
from autoqec.views.console import out, plain
from autoqec.views.fitted_table import Column, figures, print_table
from autoqec.views.tables import gain_text


def comparison_objects(arms: Sequence[ArmResult], env: str, profile: str) -> list[dict[str, Any]]:
    """A JSON object for each agent, with its arms, then one for each pair of agents."""
    common = {"env": env, "profile": profile}
    agents = [
        {
            "schema": "autoqec.comparison/1",
            **common,
            **summarised(own).to_json(),
            "arms": [arm_object(arm) for arm in own],
        }
        for own in by_agent(arms).values()
    ]
    return agents + [{"schema": "autoqec.contest/1", **common, **each.to_json()} for each in comparisons(arms)]


#: What is left at last is who found what, and how sure that is.
_COLUMNS = (
    Column("agent", least=12, ends=True),
    figures("seeds", leaves=4),
    figures("rounds", leaves=3),
    figures("VERIFIED"),
    figures("best ΔLER·1e-3 (95 %)"),
    figures("mean ± sd", leaves=7),
    figures("reached in", leaves=5),
    figures("front", leaves=1),
    figures("tokens", leaves=2),
    figures("cost", leaves=6),
)


def print_comparison(arms: Sequence[ArmResult]) -> None:
    """The table, then a sentence for each pair of agents."""
    rows = []
    for own in by_agent(arms).values():
        row = summarised(own)
        rows.append(
            (
                row.agent,
                str(row.seeds),
                str(row.rounds),
                f"{row.verified}/{row.rounds}",
                gain_text(row.best.gain if row.best else None),
                f"{1e3 * row.mean:+.2f}" + ("" if row.spread is None else f" ± {1e3 * row.spread:.2f}"),
                "–" if row.rounds_to_best is None else f"{row.rounds_to_best:.1f} rounds, {row.seconds_to_best:,.0f} s",
                str(row.front),
                f"{row.tokens:,}",
                "unknown" if row.cost is None else f"${row.cost:.2f}",
            )
        )
    console = out()
    print_table(console, _COLUMNS, rows)
    for arm in arms:
        if arm.at_once > 1:
            console.print(
                plain(f"{arm.run}: up to {arm.at_once} rounds at once, so each knew less than rounds one by one do")
            )
    found = comparisons(arms)
    for pair in found:
        console.print(plain(pair_text(pair)))
    if found:
        console.print(plain(f"test: {TEST}"))


def pair_text(pair: PairComparison) -> str:
    """The result for two agents, in a sentence."""
    first, second = pair.agents
    if pair.word is not None:
        loser = second if pair.word == first else first
        text = (
            f"{pair.word} beats {loser}: its best round is shown to gain more in each of {counted(pair.seeds, 'seed')}"
        )
    else:
        wins = f"in {pair.wins(first)} of {counted(pair.seeds, 'seed')}, {second} in {pair.wins(second)}"
        text = f"{first} is shown to be ahead of {second} {wins}"
    if pair.mean_difference is None:
        return text
    estimate, low, high = (1e3 * value for value in pair.mean_difference)
    says = f"{pair.better} is the better agent" if pair.better else "not enough seeds, or none is better"
    return (
        f"{text}. The best gains differ by {estimate:+.2f} [{low:+.2f}, {high:+.2f}]·1e-3 in the mean; over seeds"
        f" p = {pair.seed_p:.3g} (randomisation): {says}"
    )
