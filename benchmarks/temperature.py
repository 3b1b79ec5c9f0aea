"""What `temperature: fitted` gains: the default template, trained with and without it, on the same test shots.

Columns are those of `cheap_point.py`.
"""

from __future__ import annotations

import os
from dataclasses import replace

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as in a training process, and before torch is imported

import torch
from _common import arguments, show
from autoqec_plugins.search.space import template_files
from autoqec_plugins.search.templates import templates_for
from cheap_point import ENVIRONMENT, default_round, measure

from autoqec.candidate.schema import read_candidate
from autoqec.plugins import load_plugins
from autoqec.runner.train import TRAINING_THREADS


def main() -> None:
    """Measure and print."""
    options = arguments(
        __doc__,
        chunks=(100, "chunks of 4,096 shots"),
        seed=(1, "seed of training and shots"),
        shots=(409_600, "training shots drawn"),
    )
    torch.set_num_threads(TRAINING_THREADS)
    registry = load_plugins()
    problem, decoder, context, most = default_round(registry)
    template = templates_for(context.environment)[0]
    files = {path: text.encode() for path, text in template_files(template, context).items()}
    candidate = read_candidate(files, registry.maker("stage"))
    rows = []
    for temperature in ("one", "fitted"):
        training = candidate.training.model_copy(update={"temperature": temperature})
        way = replace(candidate, training=training)
        row = measure(template, way, problem, decoder, min(most, options.shots), options.chunks, options.seed)
        rows.append({"temperature": temperature} | {name: row[name] for name in row if name != "template"})
    facts = {"environment": ENVIRONMENT, "training shots": options.shots, "seed": options.seed}
    show("temperature", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
