"""Whole default rounds, `autoqec round` in a new lab for each environment: seconds by part, ratio with its interval, cost.

`--rounds 2` adds the round with an ensemble. Microseconds are those of the verdict's shots, on as many processes as there are
cores.
"""

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
    options = arguments(
        __doc__,
        seed=(1, "seed of the runs"),
        environments=(3, "how many environments, in this order"),
        first=(0, "how many to leave out before"),
        rounds=(1, "how many rounds of each"),
    )
    names = ENVIRONMENTS[options.first : options.first + options.environments]
    rows = [row for name in names for row in rounds_of(name, options.seed, options.rounds)]
    show("default_rounds", rows, {"seed": options.seed, "rounds": options.rounds}, as_json=options.json)


def rounds_of(environment: str, seed: int, rounds: int) -> list[dict[str, Any]]:
    """The first rounds in a new lab."""
    with tempfile.TemporaryDirectory() as lab:
        _autoqec(lab, "init", ".")
        run, rows = ("--env", environment, "--seed", str(seed)), []
        for _ in range(rounds):
            began = perf_counter()
            told = json.loads(_autoqec(lab, "round", *run, "--json").splitlines()[-1])
            rows.append(row_of(environment, told, perf_counter() - began))
            run = ("--env", environment)
    return rows


def row_of(environment: str, told: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What a round says of itself."""
    metrics, holdout = told["metrics"] or {}, told["holdout"] or {}
    return {
        "environment": environment,
        "round": str(told["round"]),
        "verdict": str(told["verdict"]),
        "s": round(seconds, 1),
        "training s": metrics.get("train_seconds"),
        "scoring s": metrics.get("score_seconds"),
        "µs per shot": holdout.get("us_per_shot", metrics.get("latency_us_per_shot")),
        "sent_on": holdout.get("sent_on", metrics.get("sent_on")),
        "LER": holdout.get("ler_candidate"),
        "ratio": holdout.get("ler_ratio"),
        "ratio_ci": str(holdout.get("ler_ratio_ci")),
        "references": str(holdout.get("references")),
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
