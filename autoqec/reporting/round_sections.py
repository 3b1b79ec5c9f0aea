"""One round as blocks, for reports, reviews and published pages: what and why, diff, figures, verdict, checks, trust, words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from autoqec.counted_words import counted
from autoqec.reporting.page_blocks import (
    Block,
    Code,
    Fence,
    Folded,
    Grid,
    Heading,
    Inline,
    Items,
    Line,
    Paragraph,
    Quote,
    Strong,
    said,
    section,
    with_commands,
)
from autoqec.reporting.recorded_lab import RecordedRound
from autoqec.reporting.report_prose import (
    OUTCOME_WORDS,
    costs_sentence,
    facts_of_round,
    founded,
    share_sentence,
    took_sentence,
    verdict_sentence,
)
from autoqec.results.diagnosis_finding import DiagnosisFinding
from autoqec.results.figures import Figures
from autoqec.results.rates_by_p import RatePoint
from autoqec.results.reasons import reason_words
from autoqec.results.round_results import RoundResults
from autoqec.results.sought_found import Outcome
from autoqec.results.verdict_parts import ExactRate
from autoqec.views.conflict_text import conflicts_text
from autoqec.views.figures_text import interval_text, rate_text, ratio_text
from autoqec.views.verdict_text import verdict_lines

#: Characters of the words of others in one place; what is longer is cut, and says so.
_WORDS = 4_000

#: Lines of problems, of pieces of evidence and of parents, and rows of a table: no honest round has more.
_LINES, _ROWS = 20, 60

_SOURCES = {
    "target": "verdict",
    "cell": "verdict, another cell",
    "harm": "verdict, next to the target",
    "development": "development",
}


@dataclass(frozen=True)
class Detail:
    """How much of a round is shown.

    Attributes:
        diff: Characters of the diff; None for all.
        formulas: Whether the verdict's formulas are there.
        words: Characters of the words of agents in one place.
    """

    diff: int | None = None
    formulas: bool = True
    words: int = _WORDS


def round_blocks(
    found: RecordedRound, findings: Sequence[DiagnosisFinding] = (), *, level: int = 2, detail: Detail = Detail()
) -> list[Block]:
    """One round as blocks.

    Args:
        found: The round.
        findings: Its diagnosis.
        level: Of its heading.
        detail: How much of it is shown.
    """
    below = level + 1
    blocks: list[Block] = [Heading(level, Code(found.row.branch), anchor_of(found.name)), Paragraph(headline(found))]
    blocks += section(below, "What and why", why_blocks(found, detail.words))
    blocks += section(below, "Diff", diff_blocks(found, detail.diff))
    blocks += section(below, "Figures", figure_blocks(found))
    blocks += section(below, "Verdict", verdict_blocks(found, formulas=detail.formulas))
    blocks += section(below, "Checks", check_blocks(found.results))
    blocks += section(
        below, "The agents' words", [*word_blocks(found, detail.words), *reply_blocks(found, detail.words)]
    )
    blocks += section(below, "Diagnosis", diagnosis_blocks(findings))
    blocks += section(below, "Problems of the record", problem_blocks(found))
    return blocks


def anchor_of(name: str) -> str:
    """The name of a round's section, for links within a page."""
    return f"round-{name.replace('/', '-')}"


def headline(found: RecordedRound) -> Line:
    """How a round came out, in a line: the word with its reason, the environment, the commit and the parents."""
    row, verdict = found.row, found.results.verdict
    parts: list[Inline] = [Strong(word_of(found))]
    if verdict is not None:
        parts.append(f" ({reason_words(verdict.reason)})")
    if row.reason:
        parts.append(f": {cut(row.reason, 300)}")
    parts.append(f"; status {row.status}")
    if row.env:
        parts += ["; environment ", Code(row.env)]
    parts += ["; commit ", Code(row.commit[:12])] if row.commit else ["; no commit"]
    parts += ["; from ", *_named(row.fork_from[:_LINES])] if row.fork_from else ["; from the baseline"]
    if row.compose not in (None, "none"):
        parts.append(f"; compose {row.compose}")
    if row.renumbered_from:
        parts.append(f"; made as round {row.renumbered_from}, as its commit still says")
    return (*parts, ".")


def _named(names: Sequence[str]) -> Iterator[Inline]:
    for place, name in enumerate(names):
        yield from (" + ", Code(name[:60])) if place else (Code(name[:60]),)


def word_of(found: RecordedRound) -> str:
    """How a round came out, in a word or a few."""
    outcome: Outcome = found.outcome
    if outcome == "void" and found.record.trust is not None:
        return f"verdict {found.record.trust.state}"
    if outcome in ("stopped", "open"):
        return found.row.status
    return OUTCOME_WORDS[outcome]


def why_blocks(found: RecordedRound, limit: int = _WORDS) -> list[Block]:
    """The hypothesis, and the Coder's words on it: of at most so many characters."""
    said = [text for text in (found.row.hypothesis, found.record.body) if text]
    return [Quote(cut("\n\n".join(said), limit))] if said else []


def diff_blocks(found: RecordedRound, limit: int | None) -> list[Block]:
    """The diff in a fence; what does not fit is cut, with a note of how much and how to see it all."""
    conflicts = conflicts_text(found.conflicts, found.row.fork_from)
    blocks: list[Block] = [Fence(cut(conflicts, limit or len(conflicts)))] if conflicts else []
    return [*blocks, *diff_fence(found.diff or "", limit, f"autoqec show {found.row.branch}")]


def diff_fence(diff: str, limit: int | None, command: str) -> list[Block]:
    """A diff in a fence; what does not fit is cut, with a note of how much and which command shows it all."""
    if not diff:
        return []
    shown, left = first_lines(diff, limit)
    blocks: list[Block] = [Fence(shown, "diff")] if shown else []
    if left:
        blocks.append(Paragraph((f"{counted(left, 'more line')} of the diff did not fit here: ", Code(command), ".")))
    return blocks


def first_lines(text: str, limit: int | None) -> tuple[str, int]:
    """As many whole lines of a text as fit into so many characters, and how many lines are left."""
    lines = text.split("\n")
    if limit is None or len(text) <= limit:
        return text, 0
    shown: list[str] = []
    for line in lines:
        limit -= len(line) + 1
        if limit < 0:
            break
        shown.append(line)
    return "\n".join(shown), len(lines) - len(shown)


def cut(text: str, limit: int) -> str:
    """A text of at most so many characters, and how many more there are."""
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit:,} more characters)"


def figure_blocks(found: RecordedRound) -> list[Block]:
    """The figures of a round: rates, gain and ratio with intervals, references, rates by p, the share of the gap, and costs."""
    rows = [*figure_rows(found)]
    blocks: list[Block] = [Grid(FIGURE_COLUMNS, rows, frozenset(range(1, 6)))] if rows else []
    references = [*reference_rows(found)][:_ROWS]
    if references:
        blocks.append(
            Grid(("reference on the same shots", "LER", "95 % interval", "vs plain"), references, frozenset({1, 2, 3}))
        )
    if len(found.rates) > 1:
        blocks.append(rates_grid(found.rates))
    facts = facts_of_round(found)
    sentences = share_sentence(found), costs_sentence(found), took_sentence(found)
    return [*blocks, *(said(founded(told, facts)) for told in sentences if told is not None)]


#: The columns of `figure_rows`.
FIGURE_COLUMNS = ("shots", "number", "LER", "plain LER", "ΔLER (95 %)", "ratio (95 %)")


def figure_rows(found: RecordedRound) -> Iterator[tuple[str, ...]]:
    """The figures of the verdict, and those of development."""
    row = found.row
    if row.holdout is not None:
        yield ("holdout, recorded" if row.holdout.sampling == "recorded" else "holdout", *_figures(row.holdout.figures))
    if row.metrics is not None:
        yield "development", *_figures(row.metrics.figures)


def _figures(figures: Figures) -> tuple[str, ...]:
    return (
        f"{figures.shots:,}",
        rate_text(figures.ler_candidate, 5),
        rate_text(figures.ler_baseline, 5),
        f"{rate_text(figures.delta_ler, 5, '+')} {interval_text(figures.gain_interval, 5)}",
        ratio_and_interval(figures.ler_ratio, figures.ratio_interval),
    )


def ratio_and_interval(ratio: float | None, ends: Sequence[float | None]) -> str:
    """A ratio with its interval."""
    return f"{ratio_text(ratio, 3)} {interval_text(ends, 3)}"


def reference_rows(found: RecordedRound) -> Iterator[tuple[Line, ...]]:
    """References on the shots of the verdict, or else of development, with exact intervals where the counts say them."""
    target = found.target_rates
    if target is not None:
        for name, rate in target.references.items():
            yield Code(name), rate_text(rate.ler, 5), exact_text(rate), _beside(rate.ler, target.plain.ler)
        return
    metrics = found.results.metrics
    for name, ler in sorted((metrics.references or {}).items()) if metrics else ():
        yield Code(name), rate_text(ler, 5), "–", _beside(ler, metrics.figures.ler_baseline if metrics else 0.0)


def exact_text(rate: ExactRate) -> str:
    """The interval of a rate; a dash where the counts do not give one."""
    return "–" if rate.ler_ci[0] == rate.ler_ci[1] else interval_text(rate.ler_ci, 5)


def _beside(rate: float, plain: float) -> str:
    return f"{100 * (rate / plain - 1):+.1f} %" if plain else "–"


def rates_grid(rates: Sequence[RatePoint]) -> Grid:
    """Rates against p."""
    rows = [
        (
            "–" if each.p is None else f"{each.p:g}",
            _SOURCES[each.source],
            f"{each.shots:,}",
            f"{rate_text(each.plain.ler, 5)} {exact_text(each.plain)}",
            f"{rate_text(each.candidate.ler, 5)} {exact_text(each.candidate)}",
            ratio_and_interval(each.ratio, each.ratio_interval),
        )
        for each in rates
    ]
    return Grid(
        ("p", "shots", "number", "plain LER (95 %)", "LER (95 %)", "ratio (95 %)"), rows, frozenset({0, 2, 3, 4, 5})
    )


def verdict_blocks(found: RecordedRound, *, formulas: bool) -> list[Block]:
    """The verdict: the word, what it is worth, and its formulas with the numbers filled in."""
    verdict, told = found.results.verdict, verdict_sentence(found)
    blocks: list[Block] = [said(founded(told, facts_of_round(found)))] if told is not None else []
    if found.trust:
        blocks.append(Paragraph(f"Trust: {cut(found.trust, 500)}."))
    if verdict is not None and formulas:
        blocks.append(Folded("The verdict's formulas, with its counts", [Fence(verdict_lines(verdict))]))
    elif verdict is not None:
        blocks.append(
            Paragraph(("Its formulas did not fit here: ", Code(f"autoqec show {found.row.branch} --full"), "."))
        )
    return blocks


def check_blocks(results: RoundResults) -> list[Block]:
    """The checks of a verdict, those that failed first."""
    checks = results.verdict.evidence.checks if results.verdict else None
    if not checks:
        return []
    order = {name: place for place, name in enumerate(("failed", "warned", "not_made", "passed", "by_construction"))}
    rows = [
        (Code(each.check), each.result.replace("_", " "), cut(each.says, 600))
        for each in sorted(checks, key=lambda each: order.get(each.result, 0))[:_ROWS]
    ]
    return [Grid(("check", "result", "what it saw"), rows)]


def word_blocks(found: RecordedRound, limit: int = _WORDS) -> list[Block]:
    """What the Analyst said of the round, and who the agents were."""
    analysis, identity = found.results.analysis, found.record.identity
    blocks: list[Block] = []
    if analysis is not None:
        seed = f"\nNext: {analysis.next_seed}" if analysis.next_seed else ""
        blocks += [Paragraph(f"The Analyst says {analysis.decision}:"), Quote(cut(f"{analysis.summary}{seed}", limit))]
    if identity is not None and identity.agent:
        blocks.append(Paragraph(("Proposed by ", Code(identity.agent[:200]), ".")))
    return blocks


def reply_blocks(found: RecordedRound, limit: int = _WORDS) -> list[Block]:
    """What agents said in their replies, where nothing else on the page says it: of a round that has no commit, all of it."""
    if isinstance(found.calls, str):
        return [Paragraph(f"What its agents said cannot be read: {cut(found.calls, 300)}.")]
    analysis = found.results.analysis
    shown = [found.row.hypothesis or "", found.record.body]
    shown += [analysis.summary, analysis.next_seed] if analysis is not None else []
    blocks: list[Block] = []
    for call in found.calls:
        message = call.reply.message if call.reply is not None else None
        told = [text for text in message.values() if isinstance(text, str)] if isinstance(message, Mapping) else []
        told += [f"Not usable: {call.reply.problem}"] if call.reply is not None and call.reply.problem else []
        words = [text for text in told if len(text.split()) > 1 and not any(text in each for each in shown)]
        prose = [text for text in words if not _is_json(text)]
        # The JSON of an idea is its candidate, whose files the diff shows if there is one.
        data = [text for text in words if text not in prose] if found.row.commit is None else []
        if prose or data:
            again = " the second time" if call.attempt > 1 else ""
            blocks.append(Paragraph((Code(call.agent[:200]), f" as {call.role} says{again}:")))
            blocks += [Quote(cut("\n\n".join(prose), limit))] if prose else []
            blocks += [Folded("What it says as JSON", [Fence(cut("\n".join(data), limit))])] if data else []
    return blocks


def _is_json(text: str) -> bool:
    """Whether a text is an object or a list for programs, and no prose."""
    if text.strip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def diagnosis_blocks(findings: Sequence[DiagnosisFinding]) -> list[Block]:
    """What is wrong with a round, why, and what to do."""
    return [Items([finding_line(each) for each in findings])] if findings else []


def finding_line(finding: DiagnosisFinding) -> Line:
    """A finding in a line: its cause, what it means, its evidence and the next step."""
    evidence = "; ".join(finding.evidence[:_LINES])
    says = with_commands(cut(finding.says, 600).rstrip("."))
    parts: list[Inline] = [f"{finding.severity} ", Code(finding.cause), ": ", *says]
    if evidence:
        parts.append(f" ({cut(evidence.rstrip('.'), 600)})")
    return (*parts, ". Next: ", *with_commands(cut(finding.next_step, 600)))


def problem_blocks(found: RecordedRound) -> list[Block]:
    """What is damaged, contradicts itself or does not count in its record."""
    problems = found.row.problems
    if not problems:
        return []
    shown: list[Line] = [cut(each, 500) for each in problems[:_LINES]]
    more = len(problems) - len(shown)
    return [Items([*shown, f"and {more:,} more"] if more > 0 else shown)]
