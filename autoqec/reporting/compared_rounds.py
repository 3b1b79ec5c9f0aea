"""Two rounds beside each other, for a review: read from git, and as blocks for Markdown and for a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from autoqec.errors import UsageError
from autoqec.history import Ledger, candidate_diff
from autoqec.json_values import JsonObject
from autoqec.reporting.markdown_text import written
from autoqec.reporting.page_blocks import Block, Code, Fence, Grid, Heading, Items, Line, Paragraph, said
from autoqec.reporting.recorded_lab import RecordedRound, read_round
from autoqec.reporting.report_prose import facts_of_round, founded, within
from autoqec.reporting.review_page import HOST_LIMIT
from autoqec.reporting.round_sections import cut, diff_fence, exact_text, ratio_and_interval, why_blocks, word_of
from autoqec.results.figures import RATIO_CI
from autoqec.results.quoted_figures import Named, Part, Quoted, Sentence, sentence
from autoqec.results.reasons import reason_words
from autoqec.results.two_rounds import Compared, SameShots, TwoRounds, two_rounds
from autoqec.views.figures_text import rate_text, ratio_text
from autoqec.views.log_lines import head_to_heads_of
from autoqec.views.tables import gain_text

REVIEW_SCHEMA = "autoqec.review/1"

#: The object of the record that the figures of the comparison itself are of.
_PAIR = "pair"

#: Times per shot that differ by more than this factor are told apart, though they were measured in two runs.
_OTHER_TIME = 1.5

#: Characters of the words of an agent, and of a note on what was cut.
_WORDS, _SLACK = 2_000, 300


@dataclass(frozen=True)
class ComparedRounds:
    """Two rounds, or a round and plain decoding.

    Attributes:
        base: What the round is compared with; None for plain decoding, which has no candidate.
        round: The round.
        found: What the record shows of the two; None without a base.
    """

    base: RecordedRound | None
    round: RecordedRound
    found: TwoRounds | None

    @property
    def base_name(self) -> str:
        """The base, as it is typed."""
        return self.base.row.branch if self.base else "plain decoding"

    @cached_property
    def diff(self) -> str:
        """How the round's candidate differs from the base's, as a unified diff."""
        return candidate_diff(self.base.files if self.base else {}, self.round.files)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        rows = {"base": self.base.row.to_json() if self.base else None, "round": self.round.row.to_json()}
        return {
            "schema": REVIEW_SCHEMA,
            **rows,
            "comparison": self.found.to_json() if self.found else None,
            "diff": self.diff,
        }


def read_review(ledger: Ledger, asked: str) -> ComparedRounds:
    """Read two rounds for a review.

    Args:
        ledger: The lab.
        asked: `BASE..ROUND`, two rounds; the second one may be a number of the same run. Or `ROUND` alone, which is compared with
            its first parent, or with plain decoding if it has none.

    Raises:
        UsageError: It names no rounds.
        NotFoundError: There is no such round.
    """
    before, dots, after = asked.partition("..")
    if dots and not (before and after and ".." not in after):
        raise UsageError(f"{asked!r} is not BASE..ROUND", hint="such as autoqec review exp/<run>/1..exp/<run>/2")
    if not dots:
        new = read_round(ledger, asked)
        parent = next(iter(new.row.fork_from), None)
        base = read_round(ledger, parent) if parent and "/" in parent else None
    else:
        base = read_round(ledger, before)
        new = read_round(ledger, f"{base.row.run}/{after}" if after.isdecimal() else after)
    if base is None:
        return ComparedRounds(None, new, None)
    runs = {each.row.run for each in (base, new)}
    commits = [each.record.commit for each in (base, new) if each.record.commit]
    return ComparedRounds(
        base, new, two_rounds(_compared(base), _compared(new), head_to_heads_of(ledger, runs, commits))
    )


def _compared(found: RecordedRound) -> Compared:
    environment = found.record.environment[1] if found.record.environment else found.row.env_id
    costs = found.row.costs
    flops, params = (costs.flops_per_shot, costs.params) if costs else (None, None)
    time, machine = _time_of(found)
    return Compared(found.name, found.record.commit, environment, found.results, flops, params, time, machine)


def _time_of(found: RecordedRound) -> tuple[float | None, str]:
    """Microseconds per shot, of the verdict or else of the metrics, and the kind of machine that took them."""
    holdout, costs, results = found.row.holdout, found.row.costs, found.results
    if holdout is not None and holdout.us_per_shot is not None:
        return holdout.us_per_shot, results.verdict.evidence.machine if results.verdict else ""
    made = results.metrics.measured.provenance if results.metrics else None
    kind = f"{made.machine} {made.device}" if made and made.device != "cpu" else made.machine if made else ""
    return costs.latency_us_per_shot if costs else None, kind


def compared_text(pair: ComparedRounds, *, most: int = HOST_LIMIT) -> str:
    """The comparison as Markdown of at most so many characters; the diff gives way, and the page says so."""
    text, room = written(compared_blocks(pair)), len(pair.diff)
    while len(text) > most and room > 0:
        room = max(room - (len(text) - most) - _SLACK, 0)
        text = written(compared_blocks(pair, diff=room, words=_WORDS if room else _WORDS // 4))
    return text


def compared_blocks(pair: ComparedRounds, *, diff: int | None = None, words: int = _WORDS) -> list[Block]:
    """The comparison as blocks.

    Args:
        pair: The two.
        diff: Characters of the diff; None for all.
        words: Characters of the words of agents.
    """
    facts = _facts(pair)
    blocks: list[Block] = [Heading(1, ("Review of ", Code(pair.round.row.branch), " against ", Code(pair.base_name)))]
    blocks += [said(founded(told, facts)) for told in (_word_sentence(pair), _cost_sentence(pair)) if told is not None]
    why = why_blocks(pair.round, words)
    blocks += [Heading(2, "What and why"), *why] if why else []
    changed = diff_fence(pair.diff, diff, f"autoqec review {_typed(pair)}")
    blocks += [Heading(2, "Diff"), *(changed or [Paragraph("The two candidates are the same.")])]
    blocks += [Heading(2, "Figures"), _figures_grid(pair)]
    if pair.found is not None and pair.found.same_shots:
        blocks += [Heading(2, "On the same shots"), _same_shots_grid(pair.found)]
    checks = [*_check_rows(pair)]
    if checks:
        blocks += [Heading(2, "Checks"), Grid(("check", *_heads(pair)), checks)]
    problems: list[Line] = [
        (Code(each.name), f": {cut(problem, 300)}")
        for each in (pair.base, pair.round)
        if each
        for problem in each.row.problems[:10]
    ]
    blocks += [Heading(2, "Problems of the record"), Items(problems)] if problems else []
    return [*blocks, Heading(2, "What is better, and what is not decided"), Items([*_decided(pair)]), *_how(pair)]


def _typed(pair: ComparedRounds) -> str:
    return f"{pair.base.row.branch}..{pair.round.row.branch}" if pair.base else pair.round.row.branch


def _short(found: RecordedRound | None) -> str:
    return found.name if found else "plain decoding"


def _heads(pair: ComparedRounds) -> tuple[str, str]:
    """The two as columns of a table are headed."""
    if pair.base is not None and pair.base.row.run == pair.round.row.run:
        return f"round {pair.base.row.round}", f"round {pair.round.row.round}"
    return _short(pair.base), _short(pair.round)


def _facts(pair: ComparedRounds) -> Mapping[str, JsonObject]:
    base = facts_of_round(pair.base) if pair.base else {}
    return {**base, **facts_of_round(pair.round), _PAIR: pair.found.to_json() if pair.found else {}}


def _word_sentence(pair: ComparedRounds) -> Sentence:
    """Which of the two fails less often, and what shows it."""
    found, names = pair.found, (Named(pair.round.name), Named(_short(pair.base)))
    if found is None:
        told, parents = pair.round.results.verdict, pair.round.row.fork_from
        word = f"is {told.verdict}" if told else "has no verdict that counts"
        start: list[Part] = [" starts from the baseline"]
        if parents:
            start = [" starts from ", Named(parents[0][:60]), ", which is no round of this lab"]
        return sentence(names[0], start, ", and ", word, ".")
    if found.word == "not_comparable":
        return sentence(names[0], " and ", names[1], " cannot be compared: ", Named(found.why), ".")
    if found.word == "not_decided":
        return sentence("The record does not decide whether ", names[0], " fails less often than ", names[1], ".")
    verb = " fails less often than " if found.word == "better" else " fails more often than "
    if found.shown == "intervals":
        return sentence(names[0], verb, names[1], ": the intervals of their ratios to plain decoding do not overlap.")
    place = next(number for number, each in enumerate(found.same_shots) if each.decided == found.word)
    each = found.same_shots[place]
    shots = Quoted(f"{each.counts.shots:,}", _PAIR, f"same_shots.{place}.shots")
    ratio = Quoted(ratio_text(each.ratio, 3), _PAIR, f"same_shots.{place}.ler_ratio")
    ends = within(_PAIR, f"same_shots.{place}.{RATIO_CI}", each.ratio_interval, 3)
    return sentence(
        names[0], verb, names[1], " on the same ", shots, " shots: the ratio of their rates is ", ratio, ends, "."
    )


def _cost_sentence(pair: ComparedRounds) -> Sentence | None:
    """What the round costs beside the base."""
    found = pair.found
    if found is None or found.flops_ratio is None:
        return None
    parts: list[Part] = ["It takes ", *_times(found.flops_ratio, "flops_ratio", "FLOPs per shot")]
    if found.params_ratio is not None:
        parts += [" and has ", *_times(found.params_ratio, "params_ratio", "parameters")]
    if _takes_other_time(found):
        us_of = [Quoted(f"{us or 0:.3g}", _PAIR, f"us_per_shot.{place}") for place, us in enumerate(found.us_per_shot)]
        parts += [", and takes ", *_times(found.us_ratio or 0, "us_ratio", "time per shot")]
        parts += [" (", us_of[1], " µs against ", us_of[0], " µs, measured in two runs)"]
    return sentence(parts, ".")


def _takes_other_time(found: TwoRounds) -> bool:
    """Whether the two differ so much in time that two measurements can tell: FLOPs leave out the decoder's own work."""
    return found.us_ratio is not None and not 1 / _OTHER_TIME <= found.us_ratio <= _OTHER_TIME


def _times(ratio: float, field: str, what: str) -> tuple[Part, ...]:
    if ratio == 1:
        return (f"as many {what}",)
    return Quoted(f"{ratio:.3g}", _PAIR, field), f" times the {what}"


def _figures_grid(pair: ComparedRounds) -> Grid:
    sides = [_figures_of(pair.base) if pair.base else _plain_of(pair.round), _figures_of(pair.round)]
    names = list(dict.fromkeys([*sides[1], *sides[0]]))
    rows = [(name, *(side.get(name, "–") for side in sides)) for name in names]
    return Grid(("", *_heads(pair)), rows, frozenset({1, 2}))


def _figures_of(found: RecordedRound) -> dict[str, str]:
    """What is said of a round, by what it is."""
    row, spent, verdict = found.row, found.spent, found.results.verdict
    told = {"came out": word_of(found)}
    if verdict is not None:
        told["reason"] = reason_words(verdict.reason)
    if found.record.trust is not None:
        told["trust"] = found.record.trust.state
    if row.holdout is not None:
        figures = row.holdout.figures
        target = found.target_rates
        exact = f" {exact_text(target.candidate)}" if target is not None and target.exact else ""
        told["LER (95 %)"] = f"{rate_text(figures.ler_candidate, 5)}{exact}"
        told["plain LER"] = rate_text(figures.ler_baseline, 5)
        told["ΔLER·1e-3 (95 %)"] = gain_text(figures)
        told["ratio (95 %)"] = ratio_and_interval(figures.ler_ratio, figures.ratio_interval)
        told["shots"] = f"{figures.shots:,}"
    if row.metrics is not None:
        figures = row.metrics.figures
        told["development ratio (95 %)"] = ratio_and_interval(figures.ler_ratio, figures.ratio_interval)
    told |= _costs_of(found)
    for name, seconds, known in (
        ("training s", spent.train_seconds, row.costs),
        ("scoring s", spent.score_seconds, row.costs),
        ("verdict s", spent.verify_seconds, verdict),
    ):
        told[name] = "–" if known is None else f"{seconds:,.0f}"
    return told | {"tokens": f"{spent.tokens:,}", "USD": f"{spent.cost:,.2f}"}


def _costs_of(found: RecordedRound) -> dict[str, str]:
    costs, holdout = found.row.costs, found.row.holdout
    if costs is None:
        return {}
    took = holdout.us_per_shot if holdout and holdout.us_per_shot is not None else costs.latency_us_per_shot
    told = {
        "FLOPs per shot": f"{costs.flops_per_shot:,}",
        "parameters": f"{costs.params:,}",
        "µs per shot": f"{took:.3g}",
    }
    return told if holdout is None or holdout.bytes is None else told | {"bytes": f"{holdout.bytes:,.0f}"}


def _plain_of(found: RecordedRound) -> dict[str, str]:
    """Plain decoding, on the shots of a round's verdict."""
    target = found.target_rates
    if target is None:
        return {}
    plain = f"{rate_text(target.plain.ler, 5)} {exact_text(target.plain)}"
    return {"LER (95 %)": plain, "ratio (95 %)": "1", "shots": f"{target.shots:,}"}


def _same_shots_grid(found: TwoRounds) -> Grid:
    return Grid(
        ("counted for", "shots", "both fail", "base only", "round only", "ΔLER·1e-3 (95 %)", "ratio (95 %)", "shows"),
        [_same_shots_row(each) for each in found.same_shots],
        frozenset(range(1, 7)),
    )


def _same_shots_row(each: SameShots) -> tuple[str, ...]:
    c = each.counts
    counts = f"{c.shots:,}", f"{c.both:,}", f"{c.baseline_only:,}", f"{c.candidate_only:,}"
    figures = gain_text(each.gain), ratio_and_interval(each.ratio, each.ratio_interval)
    return each.by.replace("_", "-"), *counts, *figures, each.decided.replace("_", " ")


def _check_rows(pair: ComparedRounds) -> Iterator[tuple[Line, ...]]:
    results = [_checks(pair.base), _checks(pair.round)]
    for name in list(dict.fromkeys([*results[1], *results[0]]))[:60]:
        yield Code(name), *(side.get(name, "–") for side in results)


def _checks(found: RecordedRound | None) -> dict[str, str]:
    verdict = found.results.verdict if found else None
    checks = (verdict.evidence.checks or ()) if verdict else ()
    return {each.check: each.result.replace("_", " ") for each in checks}


def _decided(pair: ComparedRounds) -> Iterator[Line]:
    """What the record decides between the two, and what it does not."""
    found = pair.found
    if found is None:
        why = "The round's parent is not here" if pair.round.row.fork_from else "The round has no parent"
        yield f"{why}: its verdict compares it with plain decoding on the same shots."
        return
    if found.word == "not_comparable":
        yield f"Failures: {found.why}."
    elif found.word == "not_decided":
        yield "Failures: not decided. Neither the intervals nor shots that both decoded tell the two apart."
    else:
        by = {"head_to_head": "a head-to-head", "composition": "the shots of the composed round's verdict"}
        yield f"Failures: the round is {found.word}; {by.get(found.shown, 'intervals that do not overlap')} show it."
    for what, ratio in (("FLOPs per shot", found.flops_ratio), ("Parameters", found.params_ratio)):
        if ratio is None:
            yield f"{what}: not known of both."
        else:
            yield f"{what}: the {'same' if ratio == 1 else 'round takes less' if ratio < 1 else 'base takes less'}."
    cheaper = all(each is not None and each <= 1 for each in (found.flops_ratio, found.params_ratio))
    if found.word == "better" and cheaper:
        slower = found.us_ratio is not None and found.us_ratio > _OTHER_TIME
        cost = "takes no more FLOPs and parameters, but more time" if slower else "costs no more"
        yield f"The round replaces the base on the front: it fails less often and {cost}."
    yield "Microseconds per shot were measured in two runs, so a small difference says nothing."


def _how(pair: ComparedRounds) -> list[Block]:
    """The commands that decide what is not decided, and that check what is."""
    rounds = [each for each in (pair.base, pair.round) if each is not None]
    names = [each.row.branch for each in rounds]
    lines = [f"autoqec verify --audit {each.row.branch}" for each in rounds if each.results.verdict is not None]
    lines = ["# works a verdict out again from its counts", *lines] if lines else []
    if pair.found is not None and pair.found.word == "not_decided":
        lines += ["# decides close pairs of the front on the same shots"]
        lines += [f"autoqec verify --head-to-head {pair.round.row.run}"]
    if len(names) == 2 and pair.round.row.env:
        lines += [
            "# decodes the same fresh shots with both",
            f"autoqec compare {' '.join(names)} --env {shlex.quote(pair.round.row.env)}",
        ]
    return [Heading(2, "How to check it"), Fence("\n".join(lines), "sh")] if lines else []
