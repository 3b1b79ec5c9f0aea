"""The prose of reports and reviews: what was sought and found, how it compares, what it took. Figures are checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autoqec.errors import AutoQECError
from autoqec.json_values import JsonObject
from autoqec.reporting.recorded_lab import RecordedEnvironment, RecordedRound
from autoqec.results.figures import RATIO_CI
from autoqec.results.gap_share import GapShare
from autoqec.results.quoted_figures import Named, Part, Quoted, Sentence, sentence, unfounded
from autoqec.results.reasons import reason_words
from autoqec.results.sought_found import OUTCOMES, Outcome, SoughtFound
from autoqec.results.verdict_parts import ExactRate
from autoqec.views.figures_text import rate_text, ratio_text
from autoqec.views.tables import count_text

#: The object of the record that has what is the same for all: the level of intervals. No round and no environment has this name.
_ALL = ""

#: How rounds came out, in words.
OUTCOME_WORDS: Mapping[Outcome, str] = {
    "VERIFIED": "VERIFIED",
    "SUSPICIOUS": "SUSPICIOUS",
    "FAILED": "FAILED",
    "unjudged": "without a verdict",
    "void": "with a verdict that does not count",
    "ignored": "ignored by the Analyst",
    "stopped": "ended before a result",
    "open": "not finished",
}


def three_sentences(environment: RecordedEnvironment) -> tuple[Sentence, Sentence, Sentence]:
    """What was sought and what was found on an environment: who looked, the best round, and how it compares."""
    found, key = environment.found, _about(environment)
    return _sought(found, environment.name, key), _best(found, environment, key), _compared(found, key)


def _about(environment: RecordedEnvironment) -> str:
    """The object that figures of an environment are of; no round has a blank in its name."""
    return f"environment {environment.key}"


def spent_sentence(environment: RecordedEnvironment) -> Sentence:
    """What the rounds on an environment took."""
    found, key = environment.found.spent, _about(environment)

    def whole(name: str) -> Quoted:
        return Quoted(f"{getattr(found, name):,.0f}", key, f"spent.{name}")

    parts: list[Part | Iterable[Part]] = [
        "The rounds took ", whole("seconds"), " seconds from claim to close, of which training ", whole("train_seconds"),
        " and scoring ", whole("score_seconds"), "; the verdicts took ", whole("verify_seconds"), "; ",
        _count(found.calls, key, "spent.calls", "call"), " to agents took ",
        _count(found.tokens, key, "spent.tokens", "token"), " and ", Quoted(f"{found.cost:,.2f}", key, "spent.cost"), " USD",
    ]  # fmt: skip
    for name, one, many in _NOT_KNOWN:
        count = getattr(found, name)
        if count:
            parts += ["; ", _count(count, key, f"spent.{name}", one, many)]
    return sentence(*parts, ".")


#: What may be missing from what rounds took, for one and for several.
_NOT_KNOWN = (
    ("unpriced", "call has no known price and is not in that sum", "calls have no known price and are not in that sum"),
    ("untimed", "round has no known duration", "rounds have no known duration"),
    (
        "unread",
        "round has a damaged trace, and its calls are not counted",
        "rounds have a damaged trace, and their calls are not counted",
    ),
)


def _count(count: int, about: str, field: str, what: str, many: str | None = None) -> tuple[Part, ...]:
    return Quoted(f"{count:,}", about, field), f" {what if count == 1 else many or f'{what}s'}"


def _sought(found: SoughtFound, name: str, key: str) -> Sentence:
    parts: list[Part | Iterable[Part]] = [
        _count(found.rounds, key, "rounds", "round"), " of ", _count(found.runs, key, "runs", "run"),
        " looked for a predecoder with which the decoder of ", Named(name), " fails less often",
    ]  # fmt: skip
    for place, outcome in enumerate(each for each in OUTCOMES if each in found.outcomes):
        count = Quoted(f"{found.outcomes[outcome]:,}", key, f"outcomes.{outcome}")
        parts += [", " if place else ": ", count, f" {OUTCOME_WORDS[outcome]}"]
    return sentence(*parts, ".")


def within(about: str, field: str, ends: Sequence[float | None], digits: int) -> tuple[Part, ...]:
    """An interval in brackets, with its level."""
    low, high = ("∞" if end is None else rate_text(end, digits) for end in ends)
    level = Quoted("95 %", _ALL, "level")
    return " (", level, " interval ", Quoted(low, about, f"{field}.0"), " to ", Quoted(high, about, f"{field}.1"), ")"


def _best(found: SoughtFound, environment: RecordedEnvironment, key: str) -> Sentence:
    if found.best is None or found.figures is None:
        return _nearest(found)
    name, figures = found.best.round, found.figures
    row = environment.by_name[name].row.holdout
    where = " recorded shots" if row and row.sampling == "recorded" else " shots drawn after its commit"
    worth: tuple[Part, ...] = ()
    if row and row.sampling == "stratified" and row.effective_shots is not None:
        worth = (
            " by strata, worth ",
            Quoted(f"{row.effective_shots:.3g}", name, "holdout.effective_shots"),
            " plain ones",
        )
    return sentence(
        "The best VERIFIED round is ", Named(name), ", whose logical error rate is ",
        Quoted(rate_text(figures.ler_candidate, 5), name, "holdout.ler_candidate"), " where plain decoding has ",
        Quoted(rate_text(figures.ler_baseline, 5), name, "holdout.ler_baseline"), ": a ratio of ",
        Quoted(ratio_text(figures.ler_ratio, 3), name, "holdout.ler_ratio"),
        within(name, f"holdout.{RATIO_CI}", figures.ratio_interval, 3), " over ",
        Quoted(f"{figures.shots:,}", name, "holdout.shots"), where, worth, ".",
    )  # fmt: skip


def _nearest(found: SoughtFound) -> Sentence:
    if found.nearest is None:
        return sentence("No round is VERIFIED, and none has figures.")
    name, figures = found.nearest
    return sentence(
        "No round is VERIFIED; the smallest ratio to plain decoding is ",
        Quoted(ratio_text(figures.ler_ratio, 3), name, "best.ler_ratio"),
        within(name, f"best.{RATIO_CI}", figures.ratio_interval, 3), " of ", Named(name), " over ",
        Quoted(f"{figures.shots:,}", name, "best.shots"), " shots, and no verdict confirms it.",
    )  # fmt: skip


def _compared(found: SoughtFound, key: str) -> Sentence:
    parts: list[Part | Iterable[Part]] = []
    if found.share is not None and found.share.share is not None:
        parts += [_closed(found.share), "; "]
    elif found.reference is not None and found.best is not None:
        parts += [_reference(found.reference, found.best.round), "; "]
    elif found.best is not None:
        parts += ["No reference decoder was run on its shots; "]
    count = len(found.front)
    if not count:
        return sentence(*parts, "the front is empty." if parts else "The front is empty.")
    parts += ["the front has " if parts else "The front has ", _count(count, key, "front.rounds", "round")]
    if found.flops is not None:
        low, high = (count_text(each) for each in found.flops)
        ends = ("from ", Quoted(low, key, "front.flops.0"), " to ", Quoted(high, key, "front.flops.1"))
        parts += [", ", ends if low != high else ("at ", Quoted(low, key, "front.flops.0")), " FLOPs per shot"]
    return sentence(*parts, ".")


def _closed(share: GapShare) -> tuple[Part, ...]:
    low, high = ("∞" if end is None else f"{100 * end:.0f} %" for end in share.interval)
    level, name = Quoted("95 %", _ALL, "level"), share.round
    within: tuple[Part, ...] = (
        " (", level, " interval ", Quoted(low, name, "share_of_gap.share_ci.0"), " to ",
        Quoted(high, name, "share_of_gap.share_ci.1"), ")",
    )  # fmt: skip
    if share.interval == (None, None):
        within = (" (the counts exclude no share)",)
    return (
        "It closes ", Quoted(f"{100 * (share.share or 0.0):.0f} %", name, "share_of_gap.share"), *within, " of the gap to ",
        Named(share.reference), ", on ", Quoted(f"{share.shots:,}", name, "share_of_gap.shots"), " of these shots",
    )  # fmt: skip


def _reference(reference: tuple[str, ExactRate], best: str) -> tuple[Part, ...]:
    label, rate = reference
    return (
        "On the same shots the strongest reference, ",
        Named(label),
        ", has ",
        Quoted(rate_text(rate.ler, 5), best, "reference.ler"),
        *(within(best, "reference.ler_ci", rate.ler_ci, 5) if rate.ler_ci[0] < rate.ler_ci[1] else ()),
    )


def share_sentence(found: RecordedRound) -> Sentence | None:
    """How much of the gap to a stronger decoder a round closes; None if its verdict does not say."""
    share = found.share
    if share is None:
        return None
    if share.share is not None:
        return sentence(_closed(share), ".")
    shots = Quoted(f"{share.shots:,}", share.round, "share_of_gap.shots")
    return sentence(
        "On ", shots, " shots ", Named(share.reference), " fails no less often than plain decoding: there is no gap."
    )


def costs_sentence(found: RecordedRound) -> Sentence | None:
    """What a candidate costs; None without metrics."""
    costs, holdout, name = found.row.costs, found.row.holdout, found.name
    if costs is None:
        return None
    parts: list[Part | Iterable[Part]] = [Quoted(f"{costs.flops_per_shot:,}", name, "costs.flops_per_shot"), " FLOPs"]
    if found.row.sent_on is not None:
        parts += [
            ", as the mean of all shots, of which the gate sends ",
            Quoted(f"{100 * found.row.sent_on:.2f} %", name, "best.sent_on"),
        ]
        parts += [" on,"]
    timed = holdout is not None and holdout.us_per_shot is not None
    took = holdout.us_per_shot if holdout is not None and holdout.us_per_shot is not None else costs.latency_us_per_shot
    field = "holdout.us_per_shot" if timed else "metrics.latency_us_per_shot"
    parts += [" and ", Quoted(f"{took:.3g}", name, field), " µs per shot, "]
    parts += [_count(costs.params, name, "costs.params", "parameter")]
    if holdout is not None and holdout.bytes is not None:
        parts += [", ", _count(round(holdout.bytes), name, "holdout.bytes", "byte"), " of files and weights"]
    return sentence(*parts, ".")


def took_sentence(found: RecordedRound) -> Sentence | None:
    """What a round took; None if nothing is known of it."""
    spent, name = found.spent, found.name
    pieces: list[tuple[Part, ...]] = []
    for field, words in (
        ("train_seconds", "training "),
        ("score_seconds", "scoring "),
        ("verify_seconds", "the verdict "),
    ):
        if getattr(spent, field):
            pieces.append((words, Quoted(f"{getattr(spent, field):,.0f}", name, f"spent.{field}"), " s"))
    if spent.calls:
        calls = _count(spent.calls, name, "spent.calls", "call")
        tokens, cost = (
            _count(spent.tokens, name, "spent.tokens", "token"),
            Quoted(f"{spent.cost:,.2f}", name, "spent.cost"),
        )
        pieces.append((*calls, " to agents with ", *tokens, " and ", cost, " USD"))
    whole: tuple[Part, ...] = () if spent.untimed else (Quoted(f"{spent.seconds:,.0f}", name, "spent.seconds"), " s")
    if not pieces and not whole:
        return None
    parts: list[Part | Iterable[Part]] = ["The round took ", whole]
    for place, piece in enumerate(pieces):
        parts += [", " if place else ": " if whole else "", piece]
    return sentence(*parts, ".")


def verdict_sentence(found: RecordedRound) -> Sentence | None:
    """The verdict's word and reason, its number and level, and who gave it; None without one."""
    verdict, name = found.results.verdict, found.name
    if verdict is None:
        return None
    parts: list[Part | Iterable[Part]] = [Named(verdict.verdict), " (", Named(reason_words(verdict.reason)), ")"]
    attempt = verdict.evidence.attempt
    if attempt is not None:
        parts += [", attempt ", Quoted(f"{attempt.attempt:,}", name, "note.attempt"), " of the run at level "]
        parts += [Quoted(f"{attempt.alpha_attempt:.2g}", name, "note.alpha_attempt")]
    if verdict.evidence.verifier:
        parts += [", by ", Named(verdict.evidence.verifier)]
    return sentence(*parts, ".")


def facts_of(environment: RecordedEnvironment) -> dict[str, JsonObject]:
    """The objects that figures of the prose about an environment are of.

    They come from the rounds' own JSON, apart from the typed figures that the prose is made of.
    """
    rows = [each.row.to_json() for each in environment.rounds]
    members = [member.point.flops for member in environment.front.members]
    outcomes = Counter[str](each.outcome for each in environment.rounds)
    outcomes |= {word: sum(row["verdict"] == word for row in rows) for word in ("VERIFIED", "SUSPICIOUS", "FAILED")}
    about: dict[str, Any] = {
        "rounds": len(rows),
        "runs": len({row["run"] for row in rows}),
        "outcomes": outcomes,
        "front": {"rounds": len(members), "flops": [min(members), max(members)] if members else None},
        "spent": environment.climb[-1].spent.to_json() if environment.climb else {},
    }
    named = {about for told in three_sentences(environment) for about in (part.about for part in told.quoted)}
    rounds = {name: _round_facts(environment.by_name[name]) for name in named if name in environment.by_name}
    return {_ALL: {"level": 0.95}, _about(environment): about, **rounds}


def facts_of_round(found: RecordedRound) -> dict[str, JsonObject]:
    """The objects that figures of the prose about a round are of."""
    return {_ALL: {"level": 0.95}, found.name: _round_facts(found)}


def _round_facts(found: RecordedRound) -> JsonObject:
    """A round's JSON object and its verdict note, with the intervals that follow from its counts."""
    row = found.row.to_json()
    metrics, holdout = row["metrics"] or {}, row["holdout"] or {}
    counted = {
        name: int(holdout[name]) if holdout.get(name) is not None else metrics.get(name)
        for name in ("flops_per_shot", "params")
    }
    return row | {
        "best": row["holdout"] or row["metrics"],
        "costs": counted,
        "note": found.record.verdict or {},
        "reference": _strongest(found, holdout),
        "share_of_gap": found.share.to_json() if found.share else None,
        "spent": found.spent.to_json(),
    }


def _strongest(found: RecordedRound, holdout: JsonObject) -> JsonObject | None:
    """The reference that fails least, by the round's JSON object, with the interval that its counts give."""
    rates = {name: ler for name, ler in (holdout.get("references") or {}).items() if 0 <= ler <= 1}
    target = found.target_rates
    if not rates or target is None:
        return None
    name = min(rates, key=lambda each: (rates[each], each))
    return {"ler": rates[name], "ler_ci": target.references[name].ler_ci if name in target.references else None}


def founded(told: Sentence, record: Mapping[str, JsonObject]) -> Sentence:
    """A sentence, after checking that each figure of it is what the record says, digit for digit.

    Raises:
        AutoQECError: One is not (`unfounded_figure`).
    """
    problems = unfounded([told], record)
    if problems:
        raise AutoQECError(
            f"the text would say what the record does not: {problems[0]}",
            hint="nothing was written; try again, and report it if it happens twice",
            code="unfounded_figure",
        )
    return told
