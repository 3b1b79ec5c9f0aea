"""Predicts the cost of a candidate from similar rounds, and checks it against limits and budget.

It does not use a cost formula. Costs are means over all shots, so a gate is a part of them. A candidate with the same stages,
the same gate and the same ensemble as an earlier round has the same FLOPs and parameters. A candidate that is at least as large
in every size as a round above a limit, is sent at least the same shots, and is asked about them at least as often, is above the
limit too. All other costs are unknown, and such candidates are allowed. Training time is proportional to the shots that are
computed and roughly to sizes; it is predicted from the most similar round. The time that scoring and judging take grows with an
ensemble's passes and members; it is predicted from the latest round with the same stages and gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, prod
from statistics import median
from typing import Any

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.candidate_paths import ENSEMBLE_FILE, GATE_FILE
from autoqec.decoding.gate_file import NO_KIND
from autoqec.json_values import JsonObject
from autoqec.results.metrics import Metrics

from .normal_form import normal_form
from .space import Parsed, parse

#: Fields whose larger values raise all costs; the other fields define the kind of candidate.
_SIZES = ("iterations", "layers", "hidden", "channels", "width", "feed_forward", "kernel")

_LIMITS = {"max_params": "params", "max_flops_per_shot": "flops_per_shot"}

#: Minimum fraction of a candidate's training shots; with fewer, a round is not a test of the candidate.
_LEAST_SHARE = 0.25


def over_limits(metrics: Metrics | None, context: Context) -> dict[str, float]:
    """Return the costs above a limit of the environment, each as the logarithm of cost over limit."""
    constraints = context.environment.get("constraints") or {}
    costs = {"params": metrics.costs.params, "flops_per_shot": metrics.costs.flops_per_shot} if metrics else {}
    found = {}
    for name, cost in _LIMITS.items():
        limit, value = constraints.get(name), costs.get(cost)
        if limit is not None and value is not None and value > limit:
            found[cost] = log(max(value, 1) / max(limit, 1))
    return found


def violation(past: PastRound, context: Context) -> float:
    """Return how far a round is beyond the environment's limits and target; positive if it is, as Optuna expects."""
    beyond = sum(over_limits(past.metrics, context).values())
    target = (context.environment.get("constraints") or {}).get("target_ler")
    rate = past.metrics.figures.ler_candidate if past.metrics else None
    if target is not None and rate is not None and rate > target:
        beyond += log(rate / max(target, 1e-12))
    return beyond


def allowed(parsed: Parsed, context: Context) -> bool:
    """Tell whether a candidate is allowed: nothing known says that it exceeds a limit or the time for training."""
    return (
        not surely_over(parsed, context)
        and not _was_killed(parsed, context)
        and _fitting_share(parsed, context) >= 1
        and _judged_in_time(parsed, context)
    )


def surely_over(parsed: Parsed, context: Context) -> bool:
    """Tell whether a round with the same stages, or smaller ones of the same kind, was over a cost limit."""
    if not any((context.environment.get("constraints") or {}).get(name) is not None for name in _LIMITS):
        return False
    whole = normal_form(parsed, context)
    return any(
        over_limits(past.metrics, context)
        and _no_smaller(whole, other)
        and _sends_no_less(whole, other)
        and _asks_no_less(whole, other)
        for past, other in _measured(context)
    )


def cut_to_time(parsed: Parsed, context: Context) -> Parsed | None:
    """Reduce a candidate's training shots to the available time; None if too few would remain."""
    share = min(1.0, _fitting_share(parsed, context))
    if share < _LEAST_SHARE or not _judged_in_time(parsed, context):
        return None
    whole = normal_form(parsed, context)
    batch = int(whole["training.yaml"]["batch_size"])
    shots = int(_shots(whole, context) * share) // batch * batch
    cut = {**parsed, "training.yaml": parsed.get("training.yaml", {}) | ({"shots": shots} if share < 1 else {})}
    return None if _was_killed(cut, context) else cut


def _was_killed(parsed: Parsed, context: Context) -> bool:
    """Tell whether a round with the same or smaller stages and no more training exceeded its time or memory limit."""
    whole = normal_form(parsed, context)
    killed = [past for past in context.history if past.status == "killed_by_safety" and past.files]
    return any(
        _no_smaller(whole, other)
        and _sampled_share(whole) * _shots(whole, context) >= _sampled_share(other) * _shots(other, context)
        for other in (normal_form(parse(past.files), context) for past in killed)
    )


def _fitting_share(parsed: Parsed, context: Context) -> float:
    """Return the fraction of a candidate's training that fits the time: at least 1 if all of it fits or it is unknown."""
    needed, there = predicted_seconds(parsed, context), _seconds_for_training(context)
    return 1.0 if not needed or there is None else there / needed


def predicted_seconds(parsed: Parsed, context: Context) -> float | None:
    """Predict a candidate's training time from the most similar round with the same kinds of stages; None if unknown."""
    whole = normal_form(parsed, context)
    alike = [
        (abs(log(_work(whole) / _work(other))), -place, seconds * _work(whole) / _work(other))
        for place, (past, other) in enumerate(_measured(context))
        if _kind(whole) == _kind(other) and (seconds := _seconds_a_shot(past)) is not None
    ]
    return min(alike)[2] * _shots(whole, context) if alike else None


def predicted_judging_seconds(parsed: Parsed, context: Context) -> float | None:
    """Predict what a round takes besides training, from the latest round with the same stages and gate; None if unknown.

    The pipeline takes time for each pass, and the decoder for each member. `agree` ends most shots early, in both rounds.
    """
    whole = normal_form(parsed, context)
    for past, other in reversed(_measured(context)):
        rest, parts = _seconds_besides_training(past), past.metrics.measured.latency_us if past.metrics else None
        alike = _stages(whole) == _stages(other) and whole[GATE_FILE] == other[GATE_FILE]
        if not alike or rest is None or parts is None:
            continue
        (passes, members), (their_passes, their_members) = _asked(whole), _asked(other)
        fixed = parts.plain + parts.gate + parts.baseline
        now = fixed + parts.predict * passes / their_passes + parts.decode * members / their_members
        return rest * now / max(fixed + parts.predict + parts.decode, 1e-9)
    return None


def _judged_in_time(parsed: Parsed, context: Context) -> bool:
    """Tell whether the time that is left suffices for scoring and judging, as far as is known."""
    needed = predicted_judging_seconds(parsed, context) if "seconds" in context.budget else None
    return needed is None or needed <= context.budget["seconds"]


def _asked(whole: Parsed) -> tuple[int, int]:
    """Return how many times at most the pipeline and the decoder are asked about a shot."""
    ensemble = whole[ENSEMBLE_FILE]
    members = max(1, int(ensemble["members"]))
    return min(int(ensemble.get("passes", 1)), members), members


def _asks_no_less(whole: Parsed, other: Parsed) -> bool:
    """Tell whether a candidate asks its pipeline at least as often about a shot as another one."""
    mine, theirs = (each[ENSEMBLE_FILE] for each in (whole, other))
    if _asked(other)[0] == 1:
        return True
    same = all(mine.get(name) == theirs.get(name) for name in theirs if name not in ("members", "passes"))
    return same and _asked(whole)[0] >= _asked(other)[0]


def _seconds_besides_training(past: PastRound) -> float | None:
    if past.seconds is None or past.status != "ok":
        return None
    return past.seconds - (past.metrics.costs.train_seconds if past.metrics else 0.0)


def _seconds_for_training(context: Context) -> float | None:
    limits = [context.limits.get("train_seconds")]
    if "seconds" in context.budget:
        rest = [found for past in context.history if (found := _seconds_besides_training(past)) is not None]
        limits.append(context.budget["seconds"] - (median(rest) if rest else 0.0))
    known = [float(limit) for limit in limits if limit is not None]
    return max(0.0, min(known)) if known else None


def _seconds_a_shot(past: PastRound) -> float | None:
    if past.metrics is None:
        return None
    seconds, shots = past.metrics.costs.train_seconds, past.metrics.training.shots
    return float(seconds) / int(shots) if seconds and shots else None


def _shots(parsed: Parsed, context: Context) -> int:
    most = int(context.limits.get("train_shots", 0))
    return min(int(parsed["training.yaml"]["shots"]), most)


def _measured(context: Context) -> list[tuple[PastRound, Parsed]]:
    measured = (past for past in context.history if past.metrics and past.files)
    return [(past, normal_form(parse(past.files), context)) for past in measured]


def _stages(parsed: Parsed) -> list[JsonObject]:
    """Return the stages' fields, sorted independently of their names."""
    found = [fields for path, fields in parsed.items() if path.startswith("stages/")]
    return sorted(found, key=lambda fields: (str(fields.get("kind")), int(fields.get("position") or 0)))


def _kind(parsed: Parsed) -> Sequence[Any]:
    training = parsed["training.yaml"]
    how = training["loss"] == "logical_gap", training["sampling"], training["labels"]
    return how, [(fields.get("kind"), fields.get("algorithm")) for fields in _stages(parsed)]


def _size(parsed: Parsed) -> float:
    """Return the sum over stages of the product of their sizes."""
    return sum(prod(float(fields.get(name) or 1) for name in _SIZES) for fields in _stages(parsed)) or 1.0


def _work(parsed: Parsed) -> float:
    """Return how much training computes for each shot drawn: the size, or the share of it that is sampled."""
    return _sampled_share(parsed) * _size(parsed)


def _sampled_share(parsed: Parsed) -> float:
    """Return the share of the shots drawn that training computes."""
    training = parsed["training.yaml"]
    return float(training["sampled_share"]) if training["sampling"] == "gated" else 1.0


def _sends_no_less(parsed: Parsed, other: Parsed) -> bool:
    """Tell whether a candidate is sent all shots that another one is sent, and has no cheaper gate."""
    mine, theirs = (each["gate.yaml"] for each in (parsed, other))
    if mine["short_bp"] != theirs["short_bp"] or mine["events"] > theirs["events"]:
        return False
    if mine["kind"] == NO_KIND:
        return True
    return bool(mine["kind"] == theirs["kind"] and mine["threshold"] >= theirs["threshold"])


def _no_smaller(parsed: Parsed, other: Parsed) -> bool:
    """Tell whether a candidate differs from another in sizes only, and none of them is smaller."""
    mine, theirs = _stages(parsed), _stages(other)
    if len(mine) != len(theirs):
        return False
    for a, b in zip(mine, theirs, strict=True):
        if {name: a.get(name) for name in a if name not in _SIZES} != {n: b.get(n) for n in b if n not in _SIZES}:
            return False
        if any(float(a.get(name) or 0) < float(b.get(name) or 0) for name in _SIZES):
            return False
    return True
