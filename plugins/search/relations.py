"""Relations between past rounds: which can be parents, which pairs to merge, and the replies that propose them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import log10
from typing import Any

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.context_parts import HypothesisMessage
from autoqec.candidate_paths import TRAINING_FILE
from autoqec.results.reasons import FOUND_OUT
from autoqec.results.rungs import COMPLETE

from .affording import violation
from .space import Parsed, code_of, is_in_flight, known_rounds, parse, unparse

#: A merge needs two rounds.
_FEWEST_TO_COMPOSE = 2

#: Relative gain, decades of FLOPs, decades of parameters.
Aims = tuple[float, float, float]

#: The aims of a failed round: worse than any round that ran.
FAILED: Aims = (-1.0, 12.0, 12.0)


def relative_gain(past: PastRound) -> float:
    """Return one minus the ratio to the plain decoder: other shots, and other environments, have other rates of both."""
    figures = past.metrics.figures if past.metrics else None
    if figures is None:
        return FAILED[0]
    return figures.delta_ler / figures.ler_baseline if figures.ler_baseline else 0.0


def aims(past: PastRound) -> Aims:
    """Return the relative gain (to maximise), and log10 of FLOPs per shot and of parameters (to minimise).

    These are development figures, not those of the verdict. They are as fair, because every round has its own development
    shots, and they are reproducible from the seed, whereas a holdout is not. Those of a round that its screen ended are of
    weights that were hardly trained.
    """
    if past.status not in COMPLETE or past.metrics is None or past.verdict_reason in FOUND_OUT:
        return FAILED  # what a verifier found out gained nothing
    costs = past.metrics.costs
    flops, params = log10(max(1, costs.flops_per_shot)), log10(max(1, costs.params))
    return relative_gain(past), flops, params


def _gain(past: PastRound) -> float:
    """Return a round's gain per shot."""
    return float(past.metrics.figures.delta_ler) if past.metrics else 0.0


def beats(a: Aims, b: Aims) -> bool:
    """Tell whether a dominates b: nowhere worse, and somewhere better."""
    return a != b and a[0] >= b[0] and a[1] <= b[1] and a[2] <= b[2]


def usable(context: Context) -> list[PastRound]:
    """Return possible parents in this run: scored, not found out by a verifier, and within cost limits if any round is.

    All other results of a verifier depend on random shots, but a seed must give the same rounds again; a child gets a verdict of
    its own.
    """
    prefix = f"{context.run}/"
    own = [p for p in context.history if p.status == "ok" and p.metrics and p.files and p.name.startswith(prefix)]
    sound = [past for past in own if past.verdict_reason not in FOUND_OUT] or own
    within = [past for past in sound if violation(past, context) <= 0]
    return within or sorted(sound, key=lambda past: (violation(past, context), past.name))[:2]


def number_of(name: str) -> str:
    """Return the number of a round of this run."""
    return name.split("/")[1]


def ancestors(name: str, parents: Mapping[str, Sequence[str]]) -> set[str]:
    """Return all ancestors of a round."""
    found: set[str] = set()
    todo = [name]
    while todo:
        for parent in parents.get(todo.pop(), ()):
            if parent not in found:
                found.add(parent)
                todo.append(parent)
    return found


def pairs_to_compose(rounds: Sequence[PastRound], context: Context) -> Iterator[tuple[PastRound, PastRound]]:
    """Yield pairs, in order, that are unrelated, were never merged, do not conflict, and whose second round gains too.

    A pair whose merge is what an open round tries is left out.
    """
    tried = {tuple(sorted(past.fork_from)) for past in known_rounds(context) if past.compose != "none"}
    tried |= {tuple(sorted(names)) for names in context.failed_composes}
    parents = {past.name: past.fork_from for past in context.history}
    for first, second in combinations(rounds, 2):
        related = first.name in ancestors(second.name, parents) or second.name in ancestors(first.name, parents)
        new = tuple(sorted((first.name, second.name))) not in tried
        if related or not new or aims(second)[0] <= 0 or _disagree(first, second, context):
            continue
        code = {**code_of(first.files), **code_of(second.files)}
        if not (context.open_rounds and is_in_flight(merged((first, second), context), code, context)):
            yield first, second


def _disagree(first: PastRound, second: PastRound, context: Context) -> bool:
    """Tell whether a merge would conflict: both changed the same field, or code, of their common base differently."""
    base = _common_files(first, second, context)
    mine, theirs, before = (_flat(files) for files in (first.files, second.files, base))
    return any(
        mine[key] != theirs[key] and before.get(key) not in (mine[key], theirs[key])
        for key in mine.keys() & theirs.keys()
    )


def merged(pair: tuple[PastRound, PastRound], context: Context) -> Parsed:
    """Return the candidate that a merge of two rounds gives: each field as the one that changed it has it."""
    first, second = pair
    base = parse(_common_files(first, second, context))
    whole: Parsed = {}
    for path in parse(first.files).keys() | parse(second.files).keys():
        mine, theirs, before = (parsed.get(path) for parsed in (parse(first.files), parse(second.files), base))
        if mine is None or theirs is None:
            if before is None:  # one of them added it; what one of them removed is gone
                whole[path] = dict(mine or theirs or {})
            continue
        was = before or {}
        whole[path] = {
            name: theirs[name] if name not in mine or (name in theirs and mine[name] == was.get(name)) else mine[name]
            for name in mine.keys() | theirs.keys()
        }
    return whole


def _common_files(first: PastRound, second: PastRound, context: Context) -> Mapping[str, str]:
    """Return the files of the latest common ancestor of two rounds; empty if they have none."""
    parents = {past.name: past.fork_from for past in context.history}
    common = ancestors(first.name, parents) & ancestors(second.name, parents)
    return next((past.files for past in reversed(context.history) if past.name in common), {})


def _flat(files: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    fields = {(path, name): value for path, each in parse(files).items() for name, value in each.items()}
    return fields | {(path, ""): text for path, text in code_of(files).items()}


def _keeps_weights(past: PastRound, context: Context) -> bool:
    """Tell whether a round decodes with its parent's weights: it has the same stages and is not trained."""
    before = next((each.files for each in context.history if each.name in past.fork_from), None)
    if before is None or parse(past.files).get(TRAINING_FILE, {}).get("shots") != 0:
        return False
    mine, theirs = (
        {path: text for path, text in files.items() if path.startswith("stages/")} for files in (past.files, before)
    )
    return mine == theirs


def composes_due(context: Context, every: int) -> bool:
    """Tell whether a compose is due: one of every `every` rounds should be one, and the last ones, open or closed, were not."""
    recent = known_rounds(context)[-(every - 1) :]
    return len(recent) >= _FEWEST_TO_COMPOSE and all(past.compose == "none" for past in recent)


def compose_reply(pair: tuple[PastRound, PastRound], context: Context) -> HypothesisMessage:
    """Return the hypothesis that merges two rounds without edits.

    Of weights that both have, the child inherits those of the first parent. So a round that has only its parent's weights, such
    as one that added an ensemble to it, is named last.
    """
    names = [past.name for past in sorted(pair, key=lambda past: (_keeps_weights(past, context), past.name))]
    gains = " and ".join(f"{_gain(past):.4f} ({past.name})" for past in pair)
    return {
        "text": f"The changes of rounds {' and '.join(sorted(map(number_of, names), key=int))} act on different parts and add up",
        "fork_from": names,
        "compose": "pure",
        "expected_delta_ler": round(max(map(_gain, pair)), 6),
        "rationale": f"Each round gained alone: {gains}. Neither descends from the other.",
    }


def fork_reply(parent: PastRound, parsed: Parsed, changes: Sequence[str], why: str) -> HypothesisMessage:
    """Return the hypothesis that changes some fields of a round."""
    files = unparse(parsed) | code_of(parent.files)
    return {
        "text": f"From round {number_of(parent.name)}: {', '.join(changes)}",
        "fork_from": [parent.name],
        "expected_delta_ler": round(max(-1.0, _gain(parent)), 6),
        "rationale": f"{parent.name} gained {_gain(parent):.4f} per shot. {why[:1].upper()}{why[1:]}",
        "hint": json.dumps({"files": files}),
    }
