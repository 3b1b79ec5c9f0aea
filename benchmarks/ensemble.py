"""Ensembles on gated shots: failures and processor time of several sizes and disorders, beside one pass and beside Tesseract.

All rows of an environment decode the same shots, which the first template's gate sends on; the pipeline is the first template's,
untrained, and beliefs are settled as the judge settles them. `--trained SHOTS` trains it first on so many drawn shots, as the
first template of matching is, and measures other sizes. Counts of shots and seeds are fixed in advance. "LER" counts the
shots that are not sent too, and "of plain" is the ratio to the plain decoder's failures on all of them, with an interval that is
valid at any number of shots. "only this" and "only one pass" count the shots on which just one of an ensemble and the pipeline
without it fails; p is exact (McNemar). Times are microseconds of processor time for each shot that is sent on, on one thread:
`predict` is the pipeline, `solve` the decoder, `choose` the rest. "calls" is what as many calls of pipeline and plain matching as
there are members take.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from time import process_time
from typing import Any

from _common import arguments, one_thread, show

one_thread()

import numpy as np  # noqa: E402
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig  # noqa: E402
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP  # noqa: E402

from autoqec.candidate.schema import read_candidate  # noqa: E402
from autoqec.decoding.compile_decoder import compile_decoder  # noqa: E402
from autoqec.decoding.decoder_contract import CompiledDecoder, Solutions, SolvingDecoder  # noqa: E402
from autoqec.decoding.ensemble import open_ensemble  # noqa: E402
from autoqec.decoding.ensemble_file import Ensemble  # noqa: E402
from autoqec.decoding.gate_file import Gate  # noqa: E402
from autoqec.decoding.gating import open_gate  # noqa: E402
from autoqec.errors import AutoQECError  # noqa: E402
from autoqec.plugins import Registry, load_plugins  # noqa: E402
from autoqec.problem.code_contract import build_problem  # noqa: E402
from autoqec.problem.environment import Choice, builtin_environments, find_environment  # noqa: E402
from autoqec.problem.problem import Problem, problem_from_dem  # noqa: E402
from autoqec.problem.sampling import sample_chunk  # noqa: E402
from autoqec.results.counts import PairedCounts  # noqa: E402
from autoqec.results.statistics import mcnemar_p, rate_interval, ratio_interval  # noqa: E402
from autoqec.runner.training import train  # noqa: E402
from autoqec.scoring.predictor import settle_beliefs  # noqa: E402

SEED = 20260

_MATCHED = {"iterations": 5, "sharing": "per_check"}
_ORDERED = {"iterations": 16, "scale": 0.8, "memory": "scalar", "memory_value": 0.125, "damping_value": 0.3}

#: Ensembles where one pass of the pipeline suffices, because matching solves both classes of disordered beliefs.
_OF_MATCHING: tuple[dict[str, Any], ...] = (
    {"members": 1, "passes": 1, "agree": 0},
    *({"members": members, "passes": passes, "agree": 0} for members in (4, 8) for passes in (1, members)),
    *({"members": 16, "passes": passes, "agree": 0} for passes in (1, 4, 16)),
    *({"members": 16, "passes": passes} for passes in (1, 4, 16)),
    *({"members": 32, "passes": passes} for passes in (1, 4)),
    *({"members": 16, "passes": 4, "belief_spread": spread, "prior_spread": spread} for spread in (0.5, 1.5, 2.0)),
    {"members": 16, "passes": 4, "agree": 3, "margin": 3.0},
    {"members": 16, "passes": 4, "select": "least_weight", "agree": 0},
)

#: Ensembles of a trained stage, whose first is the one that `search` had before and whose last is the one that it has.
_OF_TRAINED: tuple[dict[str, Any], ...] = (
    {"members": 16, "passes": 4},
    {"members": 16, "passes": 1, "belief_spread": 1.3},
    {"members": 24, "passes": 1, "belief_spread": 1.2, "agree": 3, "margin": 3.0},
    {"members": 24, "passes": 1, "belief_spread": 1.4, "agree": 3, "margin": 2.0},
    {"members": 32, "passes": 1, "belief_spread": 1.4, "agree": 3, "margin": 2.0},
)

#: Ensembles for ordered statistics, which have one class: there every member is a pass.
_OF_ORDERS: tuple[dict[str, Any], ...] = (
    *({"members": members, "passes": members, "prior_spread": 0.7, "agree": 0} for members in (1, 4, 8, 16, 32)),
    *({"members": 16, "passes": 16, "prior_spread": spread, "agree": 0} for spread in (0.4, 1.0)),
    {"members": 16, "passes": 16, "prior_spread": 0.7, "select": "least_weight", "agree": 0},
    *({"members": 16, "passes": 16, "prior_spread": 0.7, "agree": agree, "margin": 0.0} for agree in (3, 4)),
    {"members": 16, "passes": 4, "prior_spread": 0.7, "belief_spread": 0.7, "agree": 0},
)


@dataclass(frozen=True)
class Way:
    """How an environment is measured.

    Attributes:
        gate: Which shots are sent on.
        stage: The pipeline's only stage.
        ensembles: Fields of `ensemble.yaml`.
        shots: How many shots that are sent on.
        near_ml: The first so many of them are decoded by Tesseract too.
    """

    gate: Gate
    stage: dict[str, Any]
    ensembles: tuple[dict[str, Any], ...]
    shots: int
    near_ml: int


WAYS = {
    "surface_d5_depol": Way(Gate(kind="gap", threshold=4.4), _MATCHED, _OF_MATCHING, 5000, 5000),
    "surface_d7_depol": Way(Gate(kind="gap", threshold=5.8), _MATCHED, _OF_MATCHING, 3000, 3000),
    "bb72_depol": Way(Gate(short_bp=30), _ORDERED, _OF_ORDERS, 2000, 200),
}


@dataclass(frozen=True)
class Shots:
    """Shots that a gate sends on, and what became of the others.

    Attributes:
        syndromes, truth: Of the shots that are sent on.
        plain: Which of them the plain decoder fails on; None where it is slow.
        drawn: How many shots were drawn.
        failed: How many failures there are among those that are not sent on.
    """

    syndromes: np.ndarray
    truth: np.ndarray
    plain: np.ndarray | None
    drawn: int
    failed: int


def gated_shots(way: Way, decoder: CompiledDecoder, problem: Problem, wanted: int) -> Shots:
    """Draw chunks until enough shots are sent on; all shots of the last chunk count."""
    gating = open_gate(way.gate, decoder, problem)
    syndromes, truth, plain, drawn, failed, found = [], [], [], 0, 0, 0
    while found < wanted:
        chunk = sample_chunk(problem, SEED + len(syndromes))
        split = gating.split(chunk.syndromes)
        syndromes.append(chunk.syndromes[split.sent])
        truth.append(chunk.observables[split.sent])
        failed += int((split.answer.failures(chunk.observables) & ~split.sent).sum())
        if way.gate.kind == "gap":
            plain.append(split.answer.failures(chunk.observables)[split.sent])
        drawn, found = drawn + len(chunk), found + int(split.sent.sum())
    return Shots(
        np.ascontiguousarray(np.concatenate(syndromes)),
        np.concatenate(truth),
        np.concatenate(plain) if plain else None,
        drawn,
        failed,
    )


class Pipeline:
    """One stage, with the given weights or untrained, and the processor time that it took."""

    def __init__(self, problem: Problem, fields: dict[str, Any], tensors: dict[str, np.ndarray] | None = None):
        kind, config = NeuralBP(), NeuralBPConfig(**fields)
        if tensors is None:
            module = kind.build(config, problem)
            tensors = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
        self._refine = kind.inference(config, tensors, problem)
        self._problem = problem
        self.seconds = 0.0

    def __call__(self, syndromes: np.ndarray, priors: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """See `autoqec.decoding.ensemble.Predict`."""
        began = process_time()
        assert self._refine is not None
        own = self._problem.priors_llr
        start = np.repeat((own if priors is None else priors)[None], len(syndromes), axis=0)
        beliefs = np.ascontiguousarray(self._refine(syndromes, start), dtype=np.float32)
        invalid = settle_beliefs(beliefs, own)
        self.seconds += process_time() - began
        return beliefs, invalid


class Timed:
    """A decoder with the processor time that its solutions took."""

    def __init__(self, decoder: SolvingDecoder):
        self._decoder, self.decode, self.seconds = decoder, decoder.decode, 0.0

    def solutions(self, syndromes: np.ndarray, beliefs: np.ndarray) -> Solutions:
        """See `autoqec.decoding.SolvingDecoder.solutions`."""
        began = process_time()
        found = self._decoder.solutions(syndromes, beliefs)
        self.seconds += process_time() - began
        return found


def compared(failed: np.ndarray, base: np.ndarray, drawn: int) -> PairedCounts:
    """How two decoders did on the same shots."""
    both, base_only, only = (int(each.sum()) for each in (failed & base, base & ~failed, failed & ~base))
    return PairedCounts(drawn, both, base_only, only)


def row_of(name: str, shots: Shots, failed: np.ndarray, one_pass: np.ndarray) -> dict[str, Any]:
    """What a decoder's failures say."""
    failures = int(failed.sum())
    low, high = rate_interval(failures + shots.failed, shots.drawn)
    row: dict[str, Any] = {"decoder": name, "failures": failures, "of": len(failed)}
    row["LER"] = (failures + shots.failed) / shots.drawn
    row["LER from"], row["to"] = low, high
    counts = compared(failed, one_pass, shots.drawn)
    row["only this"], row["only one pass"] = counts.candidate_only, counts.baseline_only
    row["p"] = mcnemar_p(counts)
    if shots.plain is not None:
        against = compared(failed, shots.plain, shots.drawn)
        against = PairedCounts(shots.drawn, against.both + shots.failed, against.baseline_only, against.candidate_only)
        row["of plain"] = (failures + shots.failed) / (int(shots.plain.sum()) + shots.failed)
        row["of plain from"], row["of plain to"] = ratio_interval(against)
    return row


def trained(way: Way, shots: int, problem: Problem, registry: Registry) -> dict[str, np.ndarray]:
    """The tensors of a way's stage, trained on the gap of the shots that its gate sends on."""
    fields = {
        "gate.yaml": f"kind: gap\nthreshold: {way.gate.threshold}\n",
        "training.yaml": "loss: logical_gap\nlearning_rate: 0.03\ntemperature: fitted\nsampling: gated\nsampled_share: 0.1\n"
        f"batch_size: 1280\npatience: 0\nshots: {shots}\n",
        "stages/bp/stage.yaml": "kind: neural_bp\n"
        + "".join(f"{name}: {json.dumps(value)}\n" for name, value in way.stage.items()),
    }
    candidate = read_candidate({path: text.encode() for path, text in fields.items()}, registry.maker("stage"))
    blind = problem_from_dem(problem.dem, name=problem.name)  # what the training process has
    found = train(
        candidate,
        [blind],
        [compile_decoder(Choice(kind="mwpm"), blind, registry)],
        seed=bytes(32),
        max_shots=10**9,
        initial={},
        inherit=False,
        report=lambda progress: None,
    )
    return {name.removeprefix("bp."): tensor for name, tensor in found.tensors.items()}


def measure(name: str, way: Way, registry: Registry, divide: int, training_shots: int = 0) -> list[dict[str, Any]]:
    """The rows of one environment."""
    environment = find_environment(name, [builtin_environments()])
    problem = build_problem(environment, registry.maker("code"))
    decoder = registry.get("decoder", environment.environment.decoder.kind).create().compile(problem)
    assert isinstance(decoder, SolvingDecoder)
    shots = gated_shots(way, decoder, problem, way.shots // divide)
    tensors = trained(way, training_shots, problem, registry) if training_shots else None
    pipeline, timed = Pipeline(problem, way.stage, tensors), Timed(decoder)
    count = len(shots.syndromes)
    few = shots.syndromes[:8]
    decoder.decode(few, pipeline(few, None)[0])  # compiles
    open_ensemble(Ensemble(members=2), timed, problem).decode(few, pipeline)
    began = process_time()
    answer = decoder.decode(shots.syndromes, pipeline(shots.syndromes, None)[0])
    call = (process_time() - began) / count * 1e6
    one_pass = answer.failures(shots.truth)
    rows = [row_of("one pass", shots, one_pass, one_pass) | {"passes": 1.0, "us": call}]
    for fields in way.ensembles:
        ensemble = Ensemble(**fields)
        ensembling = open_ensemble(ensemble, timed, problem)
        pipeline.seconds = timed.seconds = 0.0
        began = process_time()
        chosen = ensembling.decode(shots.syndromes, pipeline)
        each = (process_time() - began) / count * 1e6
        row = row_of(
            ", ".join(f"{key} {value}" for key, value in fields.items()),
            shots,
            chosen.answer.failures(shots.truth),
            one_pass,
        )
        predict, solve = pipeline.seconds / count * 1e6, timed.seconds / count * 1e6
        row |= {"passes": float(chosen.passes.mean()), "us": each, "predict": predict, "solve": solve}
        rows.append(row | {"choose": each - predict - solve, "calls": ensemble.members * call})
    return [{"environment": name} | row for row in [*rows, *near_ml(way, shots, problem, registry, divide, one_pass)]]


def near_ml(
    way: Way, shots: Shots, problem: Problem, registry: Registry, divide: int, one_pass: np.ndarray
) -> list[dict[str, Any]]:
    """Tesseract on the same shots, where it is installed."""
    count = way.near_ml // divide
    if not count:
        return []
    try:
        tesseract = registry.get("decoder", "tesseract").create().compile(problem)
    except AutoQECError:
        return []
    count = len(shots.syndromes) if count * divide >= way.shots else count
    began = process_time()
    failed = tesseract.decode(shots.syndromes[:count]).failures(shots.truth[:count])
    each = (process_time() - began) / count * 1e6
    if count == len(shots.syndromes):
        return [row_of("tesseract", shots, failed, one_pass) | {"us": each}]
    counts = compared(failed, one_pass[:count], count)
    row = {"decoder": "tesseract", "failures": int(failed.sum()), "of": count, "us": each}
    return [row | {"only this": counts.candidate_only, "only one pass": counts.baseline_only, "p": mcnemar_p(counts)}]


def main() -> None:
    """Measure and print."""
    options = arguments(
        __doc__,
        divide=(1, "measure one shot in so many"),
        trained=(0, "drawn shots of the training; 0 for none"),
    )
    registry, ways = load_plugins(), WAYS
    if options.trained:
        stage = {**_MATCHED, "damping": "per_iteration", "learn_prior_scale": True}
        ways = {
            name: replace(way, stage=stage, ensembles=_OF_TRAINED, shots=shots, near_ml=0)
            for (name, way), shots in zip(list(WAYS.items())[:2], (16_000, 6_000), strict=True)
        }
    rows = [row for name, way in ways.items() for row in measure(name, way, registry, options.divide, options.trained)]
    facts = {"divide": options.divide, "trained": options.trained, "seed": SEED}
    show("ensemble", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
