"""Whole default rounds, `autoqec round` in a new lab for each environment: seconds by part, ratio with its interval, cost."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from time import perf_counter
from typing import Any

from _common import arguments, show

ENVIRONMENTS = ("surface_d5_depol", "surface_d7_depol", "bb72_depol", "surface_d9", "bb144_depol")


def main() -> None:
    """Run and print."""
    options = arguments(__doc__, seed=(1, "seed of the runs"), environments=(3, "how many environments, in this order"))
    rows = [one_round(name, options.seed) for name in ENVIRONMENTS[: options.environments]]
    show("default_rounds", rows, {"seed": options.seed}, as_json=options.json)


def one_round(environment: str, seed: int) -> dict[str, Any]:
    """One round in a new lab."""
    with tempfile.TemporaryDirectory() as lab:
        _autoqec(lab, "init", ".")
        began = perf_counter()
        told = json.loads(_autoqec(lab, "round", "--env", environment, "--seed", str(seed), "--json").splitlines()[-1])
        seconds = perf_counter() - began
    metrics, holdout = told["metrics"] or {}, told["holdout"] or {}
    return {
        "environment": environment,
        "verdict": str(told["verdict"]),
        "s": round(seconds, 1),
        "training s": metrics.get("train_seconds"),
        "scoring s": metrics.get("score_seconds"),
        "µs per shot": metrics.get("latency_us_per_shot"),
        "sent_on": holdout.get("sent_on", metrics.get("sent_on")),
        "LER": holdout.get("ler_candidate"),
        "ratio": holdout.get("ler_ratio"),
        "ratio_ci": str(holdout.get("ler_ratio_ci")),
        "shots": holdout.get("shots"),
    }


def _autoqec(lab: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "autoqec", *words], cwd=lab, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


if __name__ == "__main__":
    main()
