"""A lab, a run or an environment as blocks: what was sought and found, front, climb, all rounds, what it took, how to repeat it.

A report of thousands of rounds has a line for each round, and shows so many in full: those on the front, those that were the
best when they came, and the newest.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from autoqec.counted_words import counted
from autoqec.installed_package import __version__
from autoqec.reporting.lab_diagnoses import NO_DIAGNOSES, Diagnoses
from autoqec.reporting.page_blocks import (
    Block,
    Code,
    Fence,
    Grid,
    Heading,
    Inline,
    Items,
    Line,
    Link,
    Paragraph,
    commands,
    flat,
    joined,
    parts_of,
    with_commands,
)
from autoqec.reporting.recorded_lab import RecordedEnvironment, RecordedLab, RecordedRound
from autoqec.reporting.report_prose import facts_of, founded, spent_sentence, three_sentences
from autoqec.reporting.round_sections import (
    Detail,
    anchor_of,
    cut,
    exact_text,
    finding_line,
    rates_grid,
    ratio_and_interval,
    round_blocks,
    word_of,
)
from autoqec.results.diagnosis_finding import DiagnosisFinding
from autoqec.results.reasons import reason_words
from autoqec.results.round_spending import Spending, total
from autoqec.views.figures_text import rate_text
from autoqec.views.tables import count_text, gain_text

#: How many rounds a report shows in full.
FULL_ROUNDS = 100

#: Characters of a hypothesis in a line of a table, of an environment's file, and of the diff of a round shown in full.
_IDEA, _FILE, _DIFF = 160, 8_000, 6_000


def lab_blocks(lab: RecordedLab, diagnoses: Diagnoses = NO_DIAGNOSES, *, full: int = FULL_ROUNDS) -> list[Block]:
    """A lab as blocks.

    Args:
        lab: The lab, or a run or an environment of it.
        diagnoses: What is wrong with its rounds.
        full: How many rounds are shown in full at most.
    """
    blocks: list[Block] = [Heading(1, ("Report of ", Code(lab.name)))]
    if not lab.environments:
        none = "There are no rounds" if lab.dropped else "There are no rounds yet"
        return [*blocks, Paragraph((none, ". ", Code("autoqec round"), " runs one.")), *_dropped_blocks(lab)]
    shown = {each.name for each in shown_in_full(lab, full)}
    for environment in lab.environments:
        blocks += environment_blocks(environment, diagnoses, shown)
    blocks += [Heading(2, "Rounds in full"), Paragraph(_how_many(len(shown), len(lab.rounds)))]
    for found in lab.rounds:
        if found.name in shown:
            blocks += round_blocks(found, diagnoses.of(found.name), level=3, detail=Detail(diff=_DIFF))
    return [*blocks, *_dropped_blocks(lab), Heading(2, "How to repeat it"), *repeat_blocks(lab)]


def _dropped_blocks(lab: RecordedLab) -> list[Block]:
    return [Heading(2, "Dropped rounds"), Items([*dropped_lines(lab)])] if lab.dropped else []


def _how_many(shown: int, rounds: int) -> Line:
    if shown == rounds:
        return f"All {counted(rounds, 'round')}." if rounds != 1 else "The only round."
    return (
        f"{shown:,} of {counted(rounds, 'round')}: those on the front, those that were the best when they came, and the newest. ",
        Code("autoqec show ROUND --markdown"),
        " shows any other one.",
    )


def shown_in_full(lab: RecordedLab, most: int) -> list[RecordedRound]:
    """The rounds that are shown in full: of the front, then of the climb, then the newest; at most so many."""
    members = [name for environment in lab.environments for name in environment.front.names]
    steps = [point.round for environment in lab.environments for point in environment.climb if point.new]
    newest = sorted(lab.rounds, key=lambda each: -each.record.time)
    chosen = list(dict.fromkeys([*members, *reversed(steps), *(each.name for each in newest)]))[:most]
    known = {each.name: each for each in lab.rounds}
    return [known[name] for name in chosen if name in known]


def environment_blocks(environment: RecordedEnvironment, diagnoses: Diagnoses, shown: set[str]) -> list[Block]:
    """One environment: its sentences, tables and file.

    Args:
        environment: The environment.
        diagnoses: What is wrong with its rounds.
        shown: The rounds that have a section of their own on the page.
    """
    facts = facts_of(environment)
    told = [founded(each, facts) for each in three_sentences(environment)]
    blocks: list[Block] = [Heading(2, Code(environment.key)), Paragraph(joined(map(parts_of, told), " "))]
    blocks += [Heading(3, "Pareto front"), *front_blocks(environment, shown)]
    blocks += [Heading(3, "Best so far"), *climb_blocks(environment, shown)]
    best = environment.by_name.get(environment.best.round) if environment.best else None
    if best is not None and best.rates:
        blocks += [Heading(3, ("Rates of ", _link(best.name, shown))), rates_grid(best.rates)]
    shares = [*share_rows(environment, shown)]
    if shares:
        names = ("round", "reference", "shots", "share of the gap closed", "95 % interval")
        blocks += [Heading(3, "Share of the gap"), Grid(names, shares, frozenset({2, 3, 4}))]
    blocks += [Heading(3, "All rounds"), rounds_grid(environment.rounds, shown)]
    lost = [*lost_lines(environment, diagnoses, shown)]
    if lost:
        blocks += [Heading(3, "Failed, ignored and unfinished rounds"), Items(lost)]
    blocks += [Heading(3, "What it took"), Paragraph(parts_of(founded(spent_sentence(environment), facts)))]
    return [*blocks, spending_grid(environment), *file_blocks(environment)]


def _link(name: str, shown: set[str]) -> Inline:
    return Link(name, f"#{anchor_of(name)}") if name in shown else Code(name)


def front_blocks(environment: RecordedEnvironment, shown: set[str]) -> list[Block]:
    """The front, with plain decoding and the references on the best round's shots, and what is on no front."""
    rows = [*_front_rows(environment, shown)]
    names = ("round", "LER (95 %)", "ΔLER·1e-3 (95 %)", "ratio (95 %)", "FLOPs", "parameters", "beats", "hypothesis")
    blocks: list[Block] = [Grid(names, rows, frozenset(range(1, 7)))] if rows else []
    if not environment.front.members:
        blocks.append(Paragraph("No round is on the front."))
    if any(member.confirmed for member in environment.front.members):
        blocks.append(Paragraph("A star marks rounds that are on the front for any true gains within the intervals."))
    if environment.left_out:
        blocks.append(Items([cut(each, 500) for each in environment.left_out[:50]]))
    return blocks


def _front_rows(environment: RecordedEnvironment, shown: set[str]) -> Iterator[tuple[Line, ...]]:
    for member in environment.front.members:
        found = environment.by_name.get(member.point.name)
        holdout = found.row.holdout if found else None
        if found is None or holdout is None:
            continue
        figures, target = holdout.figures, found.target_rates
        within = f" {exact_text(target.candidate)}" if target is not None and target.exact else ""
        yield (
            (_link(found.name, shown), " *" if member.confirmed else ""),
            f"{rate_text(figures.ler_candidate, 5)}{within}",
            gain_text(figures),
            ratio_and_interval(figures.ler_ratio, figures.ratio_interval),
            count_text(member.point.flops),
            count_text(member.point.params),
            str(len(member.dominates)),
            cut(found.row.hypothesis or "", _IDEA),
        )
    yield from _reference_rows(environment)


def _reference_rows(environment: RecordedEnvironment) -> Iterator[tuple[Line, ...]]:
    """Plain decoding and the references, on the shots of the best round."""
    best = environment.by_name.get(environment.best.round) if environment.best else None
    target = best.target_rates if best else None
    if best is None or target is None:
        return
    named = {"plain decoding": target.plain, **target.references}
    near_ml = set((best.results.verdict.evidence.near_ml or ()) if best.results.verdict else ())
    for name, rate in named.items():
        kind = "reference near maximum likelihood" if name in near_ml else "reference"
        what = f"{kind}, on the shots of {best.name}"
        beside = f"{rate.ler / target.plain.ler:.3f}" if target.plain.ler else "–"
        yield Code(name), f"{rate_text(rate.ler, 5)} {exact_text(rate)}", "–", beside, "–", "–", "–", what


def climb_blocks(environment: RecordedEnvironment, shown: set[str]) -> list[Block]:
    """The rounds that were the best when they came, against rounds, seconds, tokens and money."""
    points = [point for point in environment.climb if point.new]
    if not points:
        return [Paragraph("No round is VERIFIED.")]
    rows = [
        (
            _link(point.round, shown),
            f"{point.rounds:,}",
            f"{point.spent.seconds:,.0f}",
            f"{point.spent.tokens:,}",
            f"{point.spent.cost:,.2f}",
            ratio_and_interval(point.best.ratio, point.best.interval),
            "yes" if point.best.sure else "not shown",
        )
        for point in points
        if point.best is not None
    ]
    names = ("round", "rounds", "seconds", "tokens", "USD", "ratio (95 %)", "surely better")
    verified = environment.found.outcomes.get("VERIFIED", 0)
    caveat = (
        "The interval is that of one round. The smallest of several estimates is a little too small,"
        " so judge the best round again before you quote it alone: "
    )
    blocks: list[Block] = [Grid(names, rows, frozenset(range(1, 6)))]
    if verified > 1:
        blocks.append(Paragraph((caveat, Code("autoqec verify --front"), ".")))
    return blocks


def share_rows(environment: RecordedEnvironment, shown: set[str]) -> Iterator[tuple[Line, ...]]:
    """The share of the gap to a stronger decoder, of each round whose verdict says it."""
    for found in environment.rounds:
        share = found.share
        if share is not None:
            said = "no gap" if share.share is None else f"{100 * share.share:.0f} %"
            low, high = ("–" if end is None else f"{100 * end:.0f} %" for end in share.interval)
            yield _link(found.name, shown), Code(share.reference), f"{share.shots:,}", said, f"{low} to {high}"


def rounds_grid(rounds: Sequence[RecordedRound], shown: set[str]) -> Grid:
    """A line for each round."""
    rows = [
        (
            _link(each.name, shown),
            word_of(each),
            " + ".join(name.removeprefix(f"{each.row.run}/")[:60] for name in each.row.fork_from) or "baseline",
            ratio_and_interval(each.row.best.ler_ratio, each.row.best.ratio_interval) if each.row.best else "–",
            f"{each.row.best.shots:,} {'holdout' if each.row.holdout else 'development'}" if each.row.best else "–",
            "–" if each.spent.untimed else f"{each.spent.seconds:,.0f}",
            cut(each.row.hypothesis or "", _IDEA),
        )
        for each in rounds
    ]
    names = ("round", "came out", "from", "ratio (95 %)", "shots", "seconds", "hypothesis")
    return Grid(names, rows, frozenset({3, 4, 5}))


def lost_lines(environment: RecordedEnvironment, diagnoses: Diagnoses, shown: set[str]) -> Iterator[Line]:
    """Every round that is not VERIFIED, with why it ended so and its diagnosis; and what is wrong with a run as a whole."""
    for run in dict.fromkeys(each.row.run for each in environment.rounds):
        for finding in diagnoses.of(run):
            yield "run ", Code(run), ": ", *flat(finding_line(finding))
        if run in diagnoses.failures:
            yield "run ", Code(run), f" could not be diagnosed: {cut(diagnoses.failures[run], 300)}"
    for found in environment.rounds:
        if found.outcome == "VERIFIED":
            continue
        verdict, analysis = found.results.verdict, found.results.analysis
        parts: list[Inline] = [_link(found.name, shown), f", {word_of(found)}"]
        parts.append(f" ({reason_words(verdict.reason)})" if verdict else "")
        if found.row.reason:
            parts += [": ", *with_commands(cut(found.row.reason, 300).rstrip("."))]
        if verdict is None and analysis is not None:
            parts.append(f": the Analyst says {analysis.decision}: {cut(analysis.summary, 300).rstrip('.')}")
        findings = [each for each in diagnoses.of(found.name) if not _is_at_work(found, each)][:3]
        for finding in findings:
            parts += ["; ", *flat(finding_line(finding))]
        if not findings and not found.row.reason and found.row.problems:
            parts.append(f"; {cut(found.row.problems[0], 300)}")
        yield parts


def _is_at_work(found: RecordedRound, finding: DiagnosisFinding) -> bool:
    """Whether a finding only says that the round runs now, which is no fault and which its word says."""
    return found.row.status == "open" and finding.severity == "info"


def dropped_lines(lab: RecordedLab) -> Iterator[Line]:
    """What left the lists by `autoqec drop`: it is in no other table and in no figure of a report."""
    for each in lab.dropped:
        rounds = "" if each.number is not None else f", {counted(len(each.rounds), 'round')}"
        why = f": {cut(each.message, 300)}" if each.message else ""
        back = Code(f"autoqec drop --restore {each.name}")
        yield Code(each.name), f"{rounds}, dropped {each.time[:10]}{why}; ", back, " brings it back"


def spending_grid(environment: RecordedEnvironment) -> Grid:
    """What each run took."""
    runs: dict[str, list[Spending]] = {}
    for each in environment.rounds:
        runs.setdefault(each.row.run, []).append(each.spent)
    rows: list[tuple[Line, ...]] = [(Code(run), f"{len(each):,}", *_spent(total(each))) for run, each in runs.items()]
    names = ("run", "rounds", "seconds", "training", "scoring", "verdicts", "calls", "tokens", "USD")
    return Grid(names, rows, frozenset(range(1, 9)))


def _spent(spent: Spending) -> tuple[str, ...]:
    seconds = spent.seconds, spent.train_seconds, spent.score_seconds, spent.verify_seconds
    return *(f"{each:,.0f}" for each in seconds), f"{spent.calls:,}", f"{spent.tokens:,}", f"{spent.cost:,.2f}"


def file_blocks(environment: RecordedEnvironment) -> list[Block]:
    """An environment's identity and file, as they were when its first run began."""
    blocks: list[Block] = [Heading(3, "The environment")]
    if environment.env_id is not None:
        blocks.append(Paragraph(("Its identity is ", Code(environment.env_id), ".")))
    if not environment.text:
        return [*blocks, Paragraph("No record of a run on it is here, so its file is not known.")]
    others = sorted(set(environment.files) - {"environment.yaml"})
    blocks.append(Fence(cut(environment.text, _FILE), "yaml"))
    if others:
        blocks.append(Paragraph(("Files beside it: ", *joined(map(Code, others[:20]), ", "), ".")))
    return blocks


def repeat_blocks(lab: RecordedLab) -> list[Block]:
    """What the rounds were made with, and the commands that check or repeat them."""
    versions: Counter[str] = Counter()
    machines: Counter[str] = Counter()
    for each in lab.rounds:
        made = each.results.metrics.measured.provenance if each.results.metrics else None
        if made is not None:
            versions[", ".join(f"{name} {version}" for name, version in sorted(made.versions.items()))] += 1
            machines[f"Python {made.python} on {made.machine}"] += 1
    told: list[Line] = [
        f"{counted(count, 'round')} with {cut(words, 500)}" for words, count in versions.most_common(10)
    ]
    told += [f"{counted(count, 'round')} with {cut(words, 200)}" for words, count in machines.most_common(10)]
    told += [_seed(run.name, run.settings.get("seed"), run.base) for run in lab.runs]
    seeds = {run.name: (run.settings.get("seed"), run.env_name) for run in lab.runs}
    best = next((each.best.round for each in lab.environments if each.best), None) or (
        lab.rounds[-1].name if lab.rounds else "ROUND"
    )
    checks = (
        ("fetches rounds, notes and weights into a clone", "autoqec pull REMOTE"),
        ("works a verdict out again from its counts", f"autoqec verify --audit exp/{best}"),
        ("draws the same shots again, and counts them", f"autoqec verify --audit --replay exp/{best}"),
        ("judges the round again, on fresh shots", f"autoqec verify exp/{best}"),
        *_again(*seeds.get(best.partition("/")[0], (None, ""))),
    )
    return [
        *([Items(told)] if told else []),
        commands(checks),
        Paragraph(f"Written by AutoQEC {__version__}."),
    ]


def _again(seed: object, environment: str) -> Iterator[tuple[str, str]]:
    """The command that repeats a run, with what must be the same for it; nothing without the run's seed."""
    if isinstance(seed, str) and re.fullmatch("[0-9a-f]{64}", seed) and environment:
        what = "in a new lab with the same environment, settings and versions, repeats the run, if no LLM proposes"
        yield what, f"autoqec round --env {shlex.quote(environment)} --seed {seed}"


def _seed(run: str, seed: object, base: str) -> Line:
    known: tuple[Inline, ...] = (" with the seed ", Code(cut(seed, 64))) if isinstance(seed, str) else ()
    return "run ", Code(run), *known, ", from commit ", Code(base[:12])
