"""The screen of a round: how often it keeps the best of some candidates, and how much of their training it saves.

The candidates are draws of the agent `random` among short pipelines of belief propagation with a gate, or with `--templates 1`
the trained templates of `search`. Each is trained once, to its end, and its weights at the screen are kept. So any order of them
can be played without training again: each round is screened against the best one before it that was fully trained and costs no
more, as `autoqec.loop.screening` does, on one of several disjoint sets of shots. The best candidate is the one with the fewest
failures on all shots. Shares of training are of processor time, scoring left out; `scoring s` is that of a screen. `bracket` is
the other rule: of four in a row, the two with the fewest failures at their screens train on. "above the least" is how many more
failures the best candidate that was fully trained has than the best of all.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from time import process_time
from typing import Any

from _common import arguments, show

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as in a training process, and before torch is imported

import numpy as np
import torch
from autoqec_plugins.mwpm.mwpm_decoder import CompiledMwpm, Mwpm
from autoqec_plugins.search.random_agent import _drawn
from autoqec_plugins.search.space import Parsed, parse, template_files, templates_here, unparse

from autoqec.agents.agent_contract import Context
from autoqec.candidate.compile import compile_inference
from autoqec.candidate.cost import measure_cost
from autoqec.candidate.installed_stages import formats
from autoqec.candidate.schema import Candidate, read_candidate
from autoqec.decoding.gating import open_gate
from autoqec.loop.screening import SHARE
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import builtin_environments, find_environment
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk
from autoqec.problem.streams import derive_seed
from autoqec.results.counts import PairedCounts
from autoqec.results.rungs import is_worse
from autoqec.results.statistics import ratio_interval
from autoqec.runner.train import TRAINING_THREADS
from autoqec.runner.training import Screen, Trained, train
from autoqec.testing.agent_context import tiny_context

ENVIRONMENT = "surface_d5_depol"

#: Orders of the candidates that are played, each on every set of shots.
ORDERS = 500

#: No drawn pipeline has more iterations: the measurement is to take minutes.
_ITERATIONS = 16


@dataclass(frozen=True)
class Tried:
    """A candidate that was trained.

    Attributes:
        name: Its pipeline in words.
        flops, params: Its mean FLOPs per shot, and its parameters.
        until_screen, seconds: Processor seconds of its training, up to the screen and in all.
        scoring: Processor microseconds of a scored shot.
        early, late: Which shots its weights at the screen and at the end fail, bool `[shots]`.
    """

    name: str
    flops: float
    params: int
    until_screen: float
    seconds: float
    scoring: float
    early: np.ndarray
    late: np.ndarray


@dataclass(frozen=True)
class Shots:
    """The shots on which all are scored, and the decoder."""

    problem: Problem
    decoder: CompiledMwpm
    syndromes: np.ndarray
    observables: np.ndarray


def main() -> None:
    """Measure and print."""
    options = arguments(
        __doc__,
        candidates=(8, "drawn candidates"),
        chunks=(32, "chunks of 4,096 shots"),
        screen_shots=(16_384, "shots of a screen"),
        templates=(0, "1 for the templates of search in the place of drawn candidates"),
        train_shots=(204_800, "training shots of each"),
        seed=(1, "seed of candidates, training and shots"),
    )
    torch.set_num_threads(TRAINING_THREADS)
    began, registry, key = process_time(), load_plugins(), options.seed.to_bytes(32, "little")
    loaded = find_environment(ENVIRONMENT, [builtin_environments()])
    problem = build_problem(loaded, registry.maker("code"))
    shots = drawn_shots(problem, key, options.chunks)
    environment = loaded.environment.model_dump(mode="json")
    plain = shots.decoder.decode(shots.syndromes).failures(shots.observables)
    told = {"environment": environment, "limits": {"train_shots": options.train_shots}}
    context = tiny_context(registry, **told, formats=formats("gap", solutions=False))
    draws = (options.candidates, context, registry, options.seed)
    found = templates(context, registry) if options.templates else drawn(*draws)
    attempt(*found[0], shots, key, 1280)  # compiles what training needs
    tried = [attempt(name, candidate, shots, key, options.train_shots) for name, candidate in found]
    screens = parts(len(plain), options.screen_shots)
    facts = {
        **played(tried, screens, options.seed),
        "orders of each, on each screen": ORDERS,
        "screens": len(screens),
        "shots of a screen": options.screen_shots,
        "environment": ENVIRONMENT,
        "training shots": options.train_shots,
        "seed": options.seed,
        "processor s in all": round(process_time() - began, 1),
    }
    rows = [described(each, plain) for each in tried]
    show("halving", rows, facts, as_json=options.json)


def drawn_shots(problem: Problem, key: bytes, chunks: int) -> Shots:
    """Draw the shots on which all are scored."""
    found = [sample_chunk(problem, derive_seed(key, "halving", chunk)) for chunk in range(chunks)]
    syndromes, observables = ([getattr(each, name) for each in found] for name in ("syndromes", "observables"))
    return Shots(problem, Mwpm().compile(problem), np.concatenate(syndromes), np.concatenate(observables))


def parts(shots: int, size: int) -> list[slice]:
    """Disjoint parts of the shots."""
    return [slice(at, at + size) for at in range(0, shots - size + 1, size)]


def drawn(count: int, context: Context, registry: Registry, seed: int) -> list[tuple[str, Candidate]]:
    """Draw different candidates of short belief propagation alone, that have a gate and are trained."""
    found: dict[str, Candidate] = {}
    for salt in range(10_000):
        _, parsed = _drawn(context, (seed << 16) + salt)
        stages = [fields for path, fields in parsed.items() if path.startswith("stages/")]
        bp = all(stage["kind"] == "neural_bp" and stage["iterations"] <= _ITERATIONS for stage in stages)
        if bp and is_gated(parsed) and parsed["training.yaml"].get("shots"):
            found.setdefault(words(parsed), candidate_of(parsed, registry))
        if len(found) == count:
            return [*found.items()]
    raise AssertionError("the space has too few candidates")


def templates(context: Context, registry: Registry) -> list[tuple[str, Candidate]]:
    """Return the templates that are trained."""
    found = []
    for template in templates_here(context):
        parsed = parse(template_files(template, context))
        if is_gated(parsed) and parsed["training.yaml"].get("shots"):
            kinds = [f"{fields['kind']} {fields.get('message', '')}".strip() for fields in template.stages.values()]
            found.append(
                (f"{', '.join(kinds)}{' (cheap)' * (template.role == 'cheap')}", candidate_of(parsed, registry))
            )
    return found


def is_gated(parsed: Parsed) -> bool:
    """Tell whether a candidate's gate is a gap, and its beliefs become weights."""
    return parsed.get("gate.yaml", {}).get("kind") == "gap" and "output.yaml" not in parsed


def candidate_of(parsed: Parsed, registry: Registry) -> Candidate:
    """Read a candidate from its fields."""
    return read_candidate({path: text.encode() for path, text in unparse(parsed).items()}, registry.maker("stage"))


def words(parsed: Parsed) -> str:
    """A drawn candidate in a few words."""
    stage = next(fields for path, fields in parsed.items() if path.startswith("stages/"))
    training, gate = parsed["training.yaml"], parsed["gate.yaml"]
    said = (stage["algorithm"], stage["iterations"], stage["sharing"], training["loss"], training["learning_rate"])
    return ", ".join(map(str, (*said, f"gap {gate['threshold']}")))


def attempt(name: str, candidate: Candidate, shots: Shots, key: bytes, most: int) -> Tried:
    """Train a candidate, and find the shots that it fails, at its screen and at its end."""
    early: list[tuple[Trained, float]] = []
    begun = process_time()
    late = train(
        candidate,
        [shots.problem],
        [shots.decoder],
        seed=key,
        max_shots=most,
        initial={},
        inherit=False,
        report=lambda progress: None,
        screen=Screen(SHARE, lambda found: early.append((found, process_time() - begun))),
    )
    seconds = process_time() - begun
    at_screen, until = early[0] if early else (late, seconds)  # one that ends early is not screened
    begun = process_time()
    share, at_end = fails(candidate, late, shots)
    scoring = (process_time() - begun) / len(at_end) * 1e6
    cost = measure_cost(candidate, late.tensors, shots.problem)
    told = cost.flops_per_shot * share, cost.params, until, seconds, scoring
    return Tried(name, *told, fails(candidate, at_screen, shots)[1], at_end)


def fails(candidate: Candidate, trained: Trained, shots: Shots) -> tuple[float, np.ndarray]:
    """The share of the shots that are sent on, and those that the candidate fails, bool `[shots]`."""
    assert candidate.gate is not None
    split = open_gate(candidate.gate, shots.decoder, shots.problem).split(shots.syndromes)
    rest = np.ascontiguousarray(shots.syndromes[split.sent])
    infer = compile_inference(candidate, trained.tensors, shots.problem)
    answers = [*_decoded(rest, shots, infer)]
    both = (np.concatenate([getattr(each, name) for each in answers]) for name in ("observables", "invalid"))
    return len(rest) / len(shots.syndromes), split.filled(type(answers[0])(*both)).failures(shots.observables)


def _decoded(syndromes: np.ndarray, shots: Shots, infer: Any) -> Iterator[Any]:
    for at in range(0, len(syndromes), CHUNK_SHOTS):
        part = syndromes[at : at + CHUNK_SHOTS]
        yield shots.decoder.decode(part, infer(part, np.repeat(shots.problem.priors_llr[None], len(part), axis=0)))


def paired(rival: np.ndarray, other: np.ndarray) -> PairedCounts:
    """The counts of two decoders on the same shots, the first in the baseline's place."""
    counts = (rival & other).sum(), (rival & ~other).sum(), (other & ~rival).sum()
    return PairedCounts(len(rival), *map(int, counts))


def described(each: Tried, plain: np.ndarray) -> dict[str, Any]:
    """A candidate in a row."""
    counts = paired(plain, each.late)
    return {
        "candidate": each.name,
        "shots": counts.shots,
        "plain fails": counts.baseline_failures,
        "at the screen": int(each.early.sum()),
        "at the end": counts.candidate_failures,
        "ratio": round(counts.ler_ratio or 0.0, 4),
        "ratio_ci": str([round(end, 4) for end in ratio_interval(counts) if end is not None]),
        "FLOPs": round(each.flops),
        "params": each.params,
        "training s": round(each.seconds, 1),
        "until the screen": round(each.until_screen, 1),
        "scoring µs": round(each.scoring, 1),
    }


def played(tried: list[Tried], screens: list[slice], seed: int) -> dict[str, float]:
    """Play orders of the candidates: how often the best one is kept, and the share of the training that is done."""
    best = min(range(len(tried)), key=lambda place: int(tried[place].late.sum()))
    least, whole = tried[best].late.sum(), sum(each.seconds for each in tried)
    stops = {
        (screen.start, a, b): is_worse(paired(tried[a].late[screen], tried[b].early[screen]))
        for screen in screens
        for a in range(len(tried))
        for b in range(len(tried))
    }
    lots = random.Random(seed)
    found: dict[str, list[tuple[bool, float, float]]] = {"screen": [], "bracket": []}
    for _ in range(ORDERS):
        order = lots.sample(range(len(tried)), len(tried))
        for screen in screens:
            both = {"screen": screened(order, tried, stops, screen), "bracket": halved(order, tried, screen)}
            for rule, kept in both.items():
                spent = sum(each.seconds if n in kept else each.until_screen for n, each in enumerate(tried))
                regret = min(tried[n].late.sum() for n in kept) / least - 1
                found[rule].append((best in kept, spent / whole, regret))
    told = {}
    for rule, outcomes in found.items():
        keeps, spent, regret = (float(np.mean(column)) for column in zip(*outcomes, strict=True))
        told[f"{rule}: keeps the best"] = round(keeps, 4)
        told[f"{rule}: share of the training"] = round(spent, 4)
        told[f"{rule}: above the least"] = round(regret, 4)
    screen_us = sum(each.scoring for each in tried) / len(tried)
    told["scoring s of a screen"] = round(2 * screen_us * (screens[0].stop - screens[0].start) / 1e6, 2)
    told["training s of a candidate"] = round(whole / len(tried), 1)
    return told


def screened(order: list[int], tried: list[Tried], stops: dict[tuple[int, int, int], bool], screen: slice) -> set[int]:
    """The candidates that are fully trained, if each is screened against the best one before it that costs no more."""
    kept: list[int] = []
    for n in order:
        cheap = [a for a in kept if tried[a].flops <= tried[n].flops and tried[a].params <= tried[n].params]
        rival = min(cheap, key=lambda a: int(tried[a].late.sum()), default=None)
        if rival is None or not stops[screen.start, rival, n]:
            kept.append(n)
    return {*kept}


def halved(order: list[int], tried: list[Tried], screen: slice, size: int = 4) -> set[int]:
    """The candidates that are fully trained, if of each bracket the half that fails less at its screen goes on."""
    brackets = [order[at : at + size] for at in range(0, len(order), size)]
    ranked = (sorted(each, key=lambda n: int(tried[n].early[screen].sum())) for each in brackets)
    return {n for each in ranked for n in each[: -(-len(each) // 2)]}


if __name__ == "__main__":
    main()
