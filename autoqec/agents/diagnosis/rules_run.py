"""Rules for whole runs: plateaus, repeats, one failure over and over, one parent for all, and budgets that are nearly spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from autoqec.agents.agent_contract import PastRound
from autoqec.agents.diagnosis.cases import Diagnosis, figure, text, whole
from autoqec.agents.diagnosis.causes import CAUSES
from autoqec.agents.diagnosis.patches import TRAINING, fields_of, stage_files
from autoqec.agents.quoting import shortened
from autoqec.agents.same_ideas import Likeness, normal_words
from autoqec.candidate_paths import ENSEMBLE_FILE, GATE_FILE
from autoqec.counted_words import counted, some_of
from autoqec.results.best_so_far import Attempt, climb
from autoqec.results.figures import Figures, Holdout
from autoqec.results.rungs import SCREENED_OUT

#: Rounds without an improvement that make a plateau, with one parent that are worth a word, and with one cause likewise.
_PLATEAU, _ONE_PARENT, _REPEATED = 3, 5, 3

#: Finished rounds without a new best one after which a run has stopped climbing.
_STILL = 5

#: How many of the newest hypotheses are compared.
_COMPARED = 64

#: Fields of `training.yaml` that are words, with the value that a file without them means.
_TRAINING_WORDS = {"sampling": "all", "labels": "sampled", "init": "fresh"}

#: Rounds that are named as evidence, and hypotheses.
_NAMED, _GROUPS = 8, 4

#: The share of the error budget from which it is nearly spent: the first half is gone.
_SPENT = 0.45


@dataclass(frozen=True)
class RunCase:
    """A run as a diagnosis reads it.

    Attributes:
        run: Its name.
        history: Its closed rounds, oldest first.
        patience: Rounds in a row that may come to nothing; 0 for any number.
        options: What there is to choose from: `kinds` of stages, `losses`, optional `files` of a candidate, and values of fields
            of `training.yaml` by the field's name. What is not listed is not said to be untried.
        attempts, spent: Verifications that were begun, and the share of the error budget that they spent.
        took: What its agents took: `calls`, `tokens`, `cost`, `unpriced`.
    """

    run: str
    history: Sequence[PastRound]
    patience: int = 0
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    attempts: int = 0
    spent: float = 0.0
    took: Mapping[str, float] = field(default_factory=dict)


def run_causes(case: RunCase, causes: Mapping[str, Diagnosis]) -> Iterator[Diagnosis]:
    """What is wrong with a run as a whole.

    Args:
        case: The run.
        causes: The gravest finding of each round that has one, by name.
    """
    vain = _in_vain(case.history)
    if case.patience and len(vain) >= case.patience:
        why = Counter(causes[past.name].cause for past in vain if past.name in causes)
        evidence = f"{vain[0].name} to {vain[-1].name}: {len(vain)} rounds, and patience is {case.patience}"
        counted = ", ".join(f"{cause} in {count}" for cause, count in why.most_common(4))
        yield _found(case, "patience_reached", evidence, counted)
    yield from _repeated_failures(case, causes)
    plateau = list(_plateau(case))
    yield from plateau or _stopped_climbing(case)
    yield from _repeated_hypotheses(case)
    yield from _one_parent(case)
    if case.spent >= _SPENT:
        evidence = f"{case.attempts} verifications have spent {case.spent:.0%} of the error budget"
        yield _found(case, "error_budget", evidence)
    yield from _tokens(case)


def _turns(history: Sequence[PastRound]) -> list[list[PastRound]]:
    """Rounds in turns: a round begins a new turn once it can learn from a round of the turn before, because that had ended.

    Rounds one after another are a turn each. Of rounds at once, about as many as run at once are a turn.
    """
    found: list[list[PastRound]] = []
    for past in history:
        if found and all(other.name in past.beside for other in found[-1]):
            found[-1].append(past)
        else:
            found.append([past])
    return found


def _after(history: Sequence[PastRound], place: int) -> list[PastRound]:
    """The rounds that knew the result of the one at a place: those after it, but for those that began beside it."""
    return [past for past in history[place + 1 :] if history[place].name not in past.beside]


def _found(case: RunCase, cause: str, *evidence: str, **words: str) -> Diagnosis:
    step = CAUSES[cause].next_step.format(run=case.run, round=f"{case.run}/N", **words)
    return Diagnosis(case.run, None, cause, tuple(whole(each) for each in evidence if each), whole(step))


def _in_vain(history: Sequence[PastRound]) -> list[PastRound]:
    """The newest rounds in a row that are not VERIFIED; a round that its screen ended was short, and does not count."""
    found: list[PastRound] = []
    for past in reversed(history):
        if past.verdict == "VERIFIED":
            break
        if past.status != SCREENED_OUT:
            found.append(past)
    return found[::-1]


def _figures(past: PastRound) -> Figures | None:
    """What a VERIFIED round gains: by its verdict, or on development shots where agents are not told that (recorded shots)."""
    if past.holdout is None and past.verdict == "VERIFIED" and past.metrics is not None:
        return past.metrics.figures
    return past.holdout.figures if past.holdout else None


def _gain(past: PastRound) -> float | None:
    figures = _figures(past)
    return figures.delta_ler if figures and past.verdict == "VERIFIED" else None


def _costs(past: PastRound) -> tuple[float, float]:
    """FLOPs and parameters as the verifier counted them, else as the training did."""
    counted, told = past.holdout or Holdout(), past.metrics.costs if past.metrics else Holdout()
    return (
        float(counted.flops_per_shot or told.flops_per_shot or 0),
        float(counted.params or told.params or 0),
    )


def _improvements(history: Sequence[PastRound]) -> list[tuple[int, float]]:
    """Places of VERIFIED rounds that no earlier one equals in gain and cost at once, each with its gain."""
    found: list[tuple[int, float]] = []
    seen: list[tuple[float, ...]] = []
    for place, past in enumerate(history):
        gain = _gain(past)
        if gain is None:
            continue
        flops, params = _costs(past)
        point = (gain, -flops, -params)
        if not any(all(a >= b for a, b in zip(other, point, strict=True)) for other in seen):
            found.append((place, gain))
        seen.append(point)
    return found


def _plateau(case: RunCase) -> Iterator[Diagnosis]:
    found = _improvements(case.history)
    later = _after(case.history, found[-1][0]) if found else case.history
    since = len(later)
    if len(_turns(later)) < _PLATEAU:
        return
    evidence = f"no improvement in {since} rounds; none is VERIFIED yet"
    if found:
        place, gain = found[-1]
        best = max((gain for _, gain in found[:-1]), default=0.0)
        evidence = (
            f"no improvement in {since} rounds, since {case.history[place].name} with delta_ler {figure(gain)}"
            f" ({gain - best:+.3g} on the best before)"
        )
    yield _found(case, "plateau", evidence, untried=_untried(case))


def _stopped_climbing(case: RunCase) -> Iterator[Diagnosis]:
    """A run in which no round was the best one for a while, though some still improved on cost."""
    steps = climb([_attempt(past) for past in case.history])
    best = steps[-1] if steps else None
    place = next((at for at, past in enumerate(case.history) if best and past.name == best.round), None)
    if best is None or place is None or best.since < _STILL or len(_turns(_after(case.history, place))) < _STILL:
        return
    low, high = best.interval
    ends = f"[{figure(low)}, {'∞' if high is None else figure(high)}]"
    evidence = (
        f"no new best in the last {best.since} finished rounds ({_STILL} or more are told); {best.round} has ratio"
        f" {figure(best.ratio)} {ends}"
    )
    yield _found(case, "stopped_climbing", evidence, untried=_untried(case), best=best.round)


def _attempt(past: PastRound) -> Attempt:
    figures = _figures(past)
    if past.verdict != "VERIFIED" or figures is None or figures.ler_ratio is None:
        return Attempt(past.name, past.name, finished=True)
    return Attempt(past.name, past.name, True, figures.ler_ratio, figures.ratio_interval)


def _untried(case: RunCase) -> str:
    """What no candidate of the run has had, in words, of what there is to choose from."""
    said = "; ".join(_never(case))
    return f": {said}" if said else ""


def _never(case: RunCase) -> Iterator[str]:
    stages = [fields_of(past.files, path) for past in case.history for path in stage_files(past.files)]
    training = [fields_of(past.files, TRAINING) for past in case.history]
    had = {
        "kinds": {text(stage.get("kind")) for stage in stages},
        "losses": {text(fields.get("loss")) for fields in training},
    }
    for what, name in (("kinds", "stage kinds"), ("losses", "losses")):
        if left := [each for each in case.options.get(what, ()) if each not in had[what]]:
            yield f"{name} {', '.join(left)}"
    offered = case.options.get("files", ())
    for path, what in ((GATE_FILE, "a gate"), (ENSEMBLE_FILE, "an ensemble")):
        if path in offered and not any(path in past.files for past in case.history):
            yield f"{what} ({path})"
    for field_name, old in _TRAINING_WORDS.items():
        known = {fields.get(field_name, old) for fields in training if _is_word(fields.get(field_name, old))}
        values = case.options.get(field_name, ())
        if left := [each for each in values if each not in known and each != old]:
            yield f"{field_name} {', '.join(left)}"
    if "curriculum" in case.options and all(fields.get("curriculum", 1) in (1, 1.0) for fields in training):
        yield "a curriculum above 1 (training.yaml)"
    verified = sum(past.verdict == "VERIFIED" for past in case.history)
    if verified > 1 and all(past.compose == "none" for past in case.history):
        yield f"composing two of the {verified} VERIFIED rounds (autoqec compose)"


def _is_word(value: object) -> bool:
    return isinstance(value, str)


def _repeated_failures(case: RunCase, causes: Mapping[str, Diagnosis]) -> Iterator[Diagnosis]:
    by_cause: dict[str, list[Diagnosis]] = {}
    for past in case.history:
        worst = causes.get(past.name)
        if worst is not None and worst.severity == "error":
            by_cause.setdefault(worst.cause, []).append(worst)
    for cause, each in by_cause.items():
        if len(each) >= _REPEATED:
            names, earlier = ", ".join(finding.name for finding in each[-_NAMED:]), len(each) - _NAMED
            evidence = f"{cause} in {len(each)} of {len(case.history)} rounds: {names}"
            evidence += f" and {earlier} earlier" if earlier > 0 else ""
            yield _found(case, "repeated_failure", evidence, step=each[-1].next_step)


def _repeated_hypotheses(case: RunCase) -> Iterator[Diagnosis]:
    newest = [(past.name, normal_words(past.hypothesis)) for past in case.history[-_COMPARED:]]
    groups: list[tuple[str, list[str]]] = []
    for name, words in newest:
        if not words:
            continue
        likeness = Likeness(words)
        for other, names in groups:
            if likeness.holds(other):
                names.append(name)
                break
        else:
            groups.append((words, [name]))
    again = [(words, names) for words, names in groups if len(names) > 1]
    if again:
        said = [f"{some_of(names, _NAMED)}: {shortened(words, 120)}" for words, names in again[:_GROUPS]]
        if len(again) > _GROUPS:
            said.append(f"and {counted(len(again) - _GROUPS, 'more hypothesis', 'more hypotheses')}")
        yield _found(case, "repeated_hypotheses", *said)


def _one_parent(case: RunCase) -> Iterator[Diagnosis]:
    turns = _turns(case.history)[-_ONE_PARENT:]
    newest = [past.fork_from for turn in turns for past in turn]
    if len(turns) == _ONE_PARENT and len(set(newest)) == 1 and len(newest[0]) == 1:
        yield _found(case, "one_parent", f"the last {len(newest)} rounds fork {newest[0][0]}")


def _tokens(case: RunCase) -> Iterator[Diagnosis]:
    tokens, cost = case.took.get("tokens", 0), case.took.get("cost", 0.0)
    if not tokens:
        return
    verified = sum(past.verdict == "VERIFIED" for past in case.history)
    each = (
        f"{tokens / verified:,.0f} tokens and ${cost / verified:.2f} a VERIFIED round"
        if verified
        else "none is VERIFIED"
    )
    unpriced = f"; the price of {case.took['unpriced']:.0f} calls is not known" if case.took.get("unpriced") else ""
    evidence = f"{case.took.get('calls', 0):,.0f} calls, {tokens:,.0f} tokens, ${cost:.2f}: {each}{unpriced}"
    yield _found(case, "tokens_spent", evidence)
