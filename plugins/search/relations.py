"""Past rounds and how they are related: which to start from, which pairs to merge, what was tried already."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import log10
from typing import Any

from autoqec.agents.agent_contract import Context, PastRound

from .affording import violation
from .space import Parsed, code_of, parse, unparse

#: Gain, decades of FLOPs, decades of parameters.
Aims = tuple[float, float, float]

#: What a failed round counts as: worse than anything that ran.
FAILED: Aims = (-1.0, 12.0, 12.0)


def aims(past: PastRound) -> Aims:
    """Gain per shot (to be large), and decades of FLOPs per shot and of parameters (to be small).

    Development figures count, not the verdict's: every round has development shots of its own, so they are as fair, and they are
    the same whenever a seed is used again, which a holdout's never are.
    """
    if past.status != "ok" or past.metrics is None:
        return FAILED
    costs = past.metrics.costs
    flops, params = log10(max(1, costs.flops_per_shot)), log10(max(1, costs.params))
    return float(past.metrics.figures.delta_ler), flops, params


def beats(a: Aims, b: Aims) -> bool:
    """Whether a is nowhere worse than b, and somewhere better."""
    return a != b and a[0] >= b[0] and a[1] <= b[1] and a[2] <= b[2]


#: Reasons of a verdict that no child mends. Whatever else a verifier says depends on shots that are drawn once, and a seed shall
#: give the same rounds again; a child has a verdict of its own.
_FOUND_OUT = ("batch_dependent", "cost_mismatch", "hostile_syscall", "unsandboxed_custom_code", "beats_reference_ml")


def usable(context: Context) -> list[PastRound]:
    """Rounds of this run that can be parents: scored, within the limits of cost if any is, and not found out by a verifier."""
    prefix = f"{context.run}/"
    own = [p for p in context.history if p.status == "ok" and p.metrics and p.files and p.name.startswith(prefix)]
    sound = [past for past in own if past.verdict_reason not in _FOUND_OUT] or own
    within = [past for past in sound if violation(past, context) <= 0]
    return within or sorted(sound, key=lambda past: (violation(past, context), past.name))[:2]


def number_of(name: str) -> str:
    """A round of this run as people call it."""
    return name.split("/")[1]


def ancestors(name: str, parents: Mapping[str, Sequence[str]]) -> set[str]:
    """All rounds that a round descends from."""
    found: set[str] = set()
    todo = [name]
    while todo:
        for parent in parents.get(todo.pop(), ()):
            if parent not in found:
                found.add(parent)
                todo.append(parent)
    return found


def pairs_to_compose(rounds: Sequence[PastRound], context: Context) -> Iterator[tuple[PastRound, PastRound]]:
    """Pairs that are not related, were never merged, do not disagree, and of which the second gains too; in their order."""
    tried = {tuple(sorted(past.fork_from)) for past in context.history if past.compose != "none"}
    tried |= {tuple(sorted(names)) for names in context.failed_composes}
    parents = {past.name: past.fork_from for past in context.history}
    for first, second in combinations(rounds, 2):
        related = first.name in ancestors(second.name, parents) or second.name in ancestors(first.name, parents)
        new = tuple(sorted((first.name, second.name))) not in tried
        if not related and new and aims(second)[0] > 0 and not _disagree(first, second, context):
            yield first, second


def _disagree(first: PastRound, second: PastRound, context: Context) -> bool:
    """Whether both changed a field, or code, of what they come from, each in its own way: a merge would conflict."""
    parents = {past.name: past.fork_from for past in context.history}
    common = ancestors(first.name, parents) & ancestors(second.name, parents)
    base = next((past.files for past in reversed(context.history) if past.name in common), {})
    mine, theirs, before = (_flat(files) for files in (first.files, second.files, base))
    return any(
        mine[key] != theirs[key] and before.get(key) not in (mine[key], theirs[key])
        for key in mine.keys() & theirs.keys()
    )


def _flat(files: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    fields = {(path, name): value for path, each in parse(files).items() for name, value in each.items()}
    return fields | {(path, ""): text for path, text in code_of(files).items()}


def composes_due(context: Context, every: int) -> bool:
    """Whether the last rounds, one in so many of which is to be a compose, had none."""
    recent = context.history[-(every - 1) :]
    return len(recent) == every - 1 and all(past.compose == "none" for past in recent)


def compose_reply(pair: tuple[PastRound, PastRound]) -> Mapping[str, Any]:
    """The hypothesis that merges two rounds as they are."""
    names = sorted(past.name for past in pair)
    gains = " and ".join(f"{aims(past)[0]:.4f} ({past.name})" for past in pair)
    return {
        "text": f"The changes of rounds {' and '.join(map(number_of, names))} act on different parts and add up",
        "fork_from": names,
        "compose": "pure",
        "expected_delta_ler": round(max(aims(past)[0] for past in pair), 6),
        "rationale": f"Each gained alone: {gains}; neither descends from the other.",
    }


def fork_reply(parent: PastRound, parsed: Parsed, changes: Sequence[str], why: str) -> Mapping[str, Any]:
    """The hypothesis that changes some fields of a round."""
    files = unparse(parsed) | code_of(parent.files)
    return {
        "text": f"From round {number_of(parent.name)}: {', '.join(changes)}",
        "fork_from": [parent.name],
        "expected_delta_ler": round(max(-1.0, aims(parent)[0]), 6),
        "rationale": f"{parent.name} gained {aims(parent)[0]:.4f} per shot; {why}",
        "hint": json.dumps({"files": files}),
    }
