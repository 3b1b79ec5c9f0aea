"""Labels of training: sampled, canonical and distilled, each trained for the same processor time and scored on the same shots.

`bb72_depol` has a loss per mechanism, `surface_d5_depol` that of matching's gap, where canonical labels change nothing. Both are
trained on the shots that their gate sends on. Intervals are exact (Clopper and Pearson) with 95 %; discordant shots are those
that one of two candidates gets wrong and the other right.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import process_time
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from _common import arguments, show
from _gated_shots import GatedShots

from autoqec.candidate.schema import read_candidate
from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.errors import MissingPackageError
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import Choice, builtin_environments, load_environment
from autoqec.problem.problem import problem_from_dem
from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import mcnemar_p, rate_interval
from autoqec.runner.labelling import labellings_for
from autoqec.runner.train import TRAINING_THREADS
from autoqec.runner.training import train


@dataclass(frozen=True)
class Setting:
    """A candidate and the labels to try.

    Attributes:
        environment: Where.
        files: The candidate, but for its labels.
        labels: Name → lines of `training.yaml`, and the teacher's fields.
    """

    environment: str
    files: Mapping[str, str]
    labels: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)


_D5 = Setting(
    "surface_d5_depol",
    {
        "gate.yaml": "kind: gap\nthreshold: 4.4\n",
        "training.yaml": "loss: logical_gap\nlearning_rate: 0.03\ntemperature: fitted\nsampling: gated\nsampled_share: 0.1\n"
        "batch_size: 1280\nshots: 409600\npatience: 0\n",
        "stages/bp/stage.yaml": "kind: neural_bp\niterations: 5\nsharing: per_check\ndamping: per_iteration\n"
        "learn_prior_scale: true\n",
    },
    {
        "sampled": ("labels: sampled\n", {}),
        "distilled, mwpm_correlated": ("labels: distilled\n", {"kind": "mwpm_correlated"}),
        "distilled, tesseract": ("labels: distilled\n", {"kind": "tesseract"}),
    },
)

_BB72 = Setting(
    "bb72_depol",
    {
        "gate.yaml": "kind: none\nthreshold: 0.0\nshort_bp: 16\n",
        "training.yaml": "loss: bce\nlearning_rate: 0.01\nsampling: gated\nsampled_share: 0.0625\nbatch_size: 2048\n"
        "shots: 131072\npatience: 0\n",
        "stages/bp/stage.yaml": "kind: neural_bp\niterations: 16\nsharing: per_check\nscale: 0.8\nmemory: scalar\n"
        "memory_value: 0.125\ndamping_value: 0.3\ndamping: per_iteration\nlearn_prior_scale: true\n",
    },
    {
        "untrained": ("labels: sampled\nepochs: 0\n", {}),
        "sampled": ("labels: sampled\n", {}),
        "canonical": ("labels: canonical\n", {}),
        "distilled, osd_cs": ("labels: distilled\n", {"kind": "osd", "method": "osd_cs", "order": 10}),
    },
)


def rows_of(setting: Setting, options: Any, registry: Registry) -> Iterator[dict[str, Any]]:
    """All labels on one environment."""
    loaded = load_environment(builtin_environments() / f"{setting.environment}.yaml")
    problem = build_problem(loaded, registry.maker("code"))
    blind = problem_from_dem(problem.dem, name=problem.name)  # what the training process has
    decoder = compile_decoder(loaded.environment.decoder, problem, registry)
    shots = options.shots if setting is _D5 else options.bb72_shots
    scored: GatedShots | None = None
    before: dict[tuple[str, int], np.ndarray] = {}
    for name, (lines, teacher) in setting.labels.items():
        files = {path: text.encode() for path, text in setting.files.items()}
        files["training.yaml"] += lines.encode()
        candidate = read_candidate(files, registry.maker("stage"))
        scored = scored or GatedShots(problem, problem, decoder, candidate, shots, options.seed)
        try:
            labellings = labellings_for(
                candidate.training, Choice(**teacher).model_dump() if teacher else {}, [blind], registry
            )
        except MissingPackageError as error:
            print(f"{setting.environment}: {name} is left out: {error.hint}")
            continue
        first = options.training_seed
        for seed in range(first, first + (1 if name == "untrained" else options.seeds)):
            began = process_time()
            # The limit is one of processor time, so that other programs on the machine favour no labels.
            with patch.object(time, "monotonic", process_time):
                trained = train(
                    candidate,
                    [blind],
                    [compile_decoder(loaded.environment.decoder, blind, registry)],
                    labellings=labellings,
                    seed=bytes([seed]) * 32,
                    max_shots=10**9,
                    initial={},
                    inherit=False,
                    report=lambda progress: None,
                    seconds=options.seconds if setting is _D5 else options.bb72_seconds,
                )
            seconds = process_time() - began
            wrong = scored.failures(candidate, trained.tensors)
            yield _row(setting, name, seed, scored, wrong, before, trained.telemetry, seconds)


def _row(
    setting: Setting, name: str, seed: int, scored: GatedShots, wrong: np.ndarray,
    before: dict[tuple[str, int], np.ndarray], told: Mapping[str, Any], seconds: float,
) -> dict[str, Any]:  # fmt: skip
    failures = scored.kept_wrong + int(wrong.sum())
    low, high = rate_interval(failures, scored.shots)
    if name in ("untrained", "sampled"):
        before[name, seed] = wrong
    against: dict[str, Any] = {}
    for reference in ("sampled", "untrained"):
        other = before.get((reference, seed))
        if other is None or reference == name:
            against |= dict.fromkeys((f"only this / only {reference} fails", f"p, better than {reference}"))
            continue
        only, only_other = int((wrong & ~other).sum()), int((other & ~wrong).sum())
        counts = PairedCounts(scored.shots, scored.kept_wrong + int((wrong & other).sum()), only_other, only)
        against[f"only this / only {reference} fails"] = f"{only} / {only_other}"
        against[f"p, better than {reference}"] = mcnemar_p(counts)
    row = {
        "environment": setting.environment,
        "labels": name,
        "seed": seed,
        "steps": told["steps"],
        "processor s": seconds,
        "of these labels": told.get("label_seconds"),
        "labelled": told.get("labelled"),
        "shots": scored.shots,
        "sent": len(wrong),
        "failures": failures,
        "LER": failures / scored.shots,
        "95 %": f"{low:.5f}–{high:.5f}",
        **against,
    }
    print(row, file=sys.stderr, flush=True)
    return row


def main() -> None:
    """Measure and print."""
    options = arguments(
        __doc__,
        shots=(200_704, "scored shots of surface_d5_depol"),
        bb72_shots=(65_536, "scored shots of bb72_depol"),
        seconds=(30, "processor seconds of a training on surface_d5_depol"),
        bb72_seconds=(60, "processor seconds of a training on bb72_depol"),
        environments=(3, "1: surface_d5_depol, 2: bb72_depol, 3: both"),
        training_seed=(0, "seed of the first training"),
        seeds=(1, "trainings of each"),
        seed=(1_000_000, "seed of the scored shots"),
    )
    torch.set_num_threads(TRAINING_THREADS)
    registry = load_plugins()
    rows = [
        row
        for place, setting in enumerate((_D5, _BB72))
        if options.environments >> place & 1
        for row in rows_of(setting, options, registry)
    ]
    facts = {"seed": options.seed, "threads": TRAINING_THREADS}
    show("labels", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
