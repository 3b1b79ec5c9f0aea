"""Draws what `cluster.py` found: lost races in each arrangement, and how times grow over the rounds of a run."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt


def draw(source: Path, place: Path) -> None:
    """Write the plot of a file of results."""
    found = json.loads(source.read_text())
    busy, long = found["at the rate of 1,000 workers"], found["64 workers"]
    plt.rcParams["svg.hashsalt"] = "cluster"
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    names = [row["plan"]["name"] for row in busy]
    lost = [sum(count for what, count in row["counts"].items() if what.startswith("lost")) for row in busy]
    left.barh(names, [count / row["rounds"] for count, row in zip(lost, busy, strict=True)], color="#4477aa")
    left.invert_yaxis()
    left.set_xlabel("lost races a round, at the rate of 1,000 workers")
    series = long["over the rounds"]
    for name, colour in (("claim s", "#4477aa"), ("share s", "#cc6677")):
        right.plot(series["rounds"], series[name], ".-", color=colour, label=name.removesuffix(" s"))
    right.set_xlabel("rounds in the run")
    right.set_ylabel("seconds, median")
    right.set_ylim(bottom=0)
    right.legend(fontsize=8)
    figure.savefig(place, metadata={"Date": None, "Creator": None})
