"""Prints a comparison of decoders: rates, who fails together, a word on each pair, times, and what is needed to repeat it.

No line is wider than 80 columns, in a wider terminal and in a pipe too: it is a table that people paste into an issue.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from math import exp

from rich.text import Text

from autoqec.counted_words import counted
from autoqec.results.comparison_replay import Replay
from autoqec.results.decoder_comparison import NOT_BETTER_RATIO, Comparison, DecodingTime, Pair
from autoqec.views.console import out, plain, print_lines
from autoqec.views.fitted_console import bind, unbind
from autoqec.views.fitted_table import Column, cut, figures, table_lines

#: The width of lines, where the terminal is not narrower.
_WIDTH = 80

#: Columns of a decoder's name, at that width and in a narrower terminal; a longer one is written out below the table.
_NAME, _SHORT_NAME = 26, 14

#: Sets of decoders that failed together, at most; there are 2^n of them.
_MOST_SETS = 12

#: Why counting stopped, in words.
_STOPPED = {
    "decided": "every pair is decided",
    "shots": "all shots are decoded",
    "seconds": "the time is over",
    "interrupted": "interrupted",
    "failed": "fewer than two decoders give answers",
    "": "not finished",
}

#: How a word and an interval that seems to deny it are both right.
_WIDER = (
    " A word is about one side. An interval has two ends, each at half the level, so it may include what the word beside it"
    " rules out."
)

#: Converts a rate per shot, and what it is per.
Unit = tuple[str, Callable[[float], float]]


def _same(rate: float) -> float:
    return rate


PER_SHOT: Unit = ("shot", _same)


def print_decoders(comparison: Comparison, unit: Unit = PER_SHOT) -> None:
    """Print a comparison as tables."""
    print_lines(comparison_lines(comparison, unit, _terminal_width()))


def _terminal_width() -> int:
    return min(out().width, _WIDTH)


def comparison_lines(comparison: Comparison, unit: Unit = PER_SHOT, width: int = _WIDTH) -> list[str]:
    """The lines of `print_decoders`.

    Args:
        comparison: What was counted.
        unit: What rates are per, and how one per shot is converted.
        width: Of the lines.
    """
    sections = [
        _what(comparison, width),
        _rates(comparison, unit, width),
        _together(comparison, width),
        _pairs(comparison, width),
        _times(comparison, width),
        _how(comparison, width),
    ]
    return [line.rstrip() for number, part in enumerate(sections) if part for line in ([""] if number else []) + part]


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    shown = plain(text).plain.replace("\n", " ")
    lines = textwrap.wrap(bind(shown, width), width, subsequent_indent=indent, break_on_hyphens=False)
    return [unbind(line) for line in lines] or [""]


def _table(columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int) -> list[str]:
    return [line.plain for line in table_lines(columns, [list(row) for row in rows], width)]


def _name(comparison: Comparison, place: int, width: int) -> str:
    label = plain(comparison.decoders[place].label).plain.replace("\n", " ")
    return cut(Text(label), _NAME if width >= _WIDTH else _SHORT_NAME).plain


def _number(place: int) -> str:
    return str(place + 1)


def _what(comparison: Comparison, width: int) -> list[str]:
    source = comparison.source
    at = "" if source.p is None else f" at p = {source.p:g}"
    sizes = ", ".join(
        counted(number, word)
        for number, word in (
            (source.detectors, "detector"),
            (source.mechanisms, "mechanism"),
            (source.observables, "observable"),
        )
    )
    why = _STOPPED[comparison.stopped]
    return [
        *_wrapped(f"{source.name}{at}: {sizes}", width, "  "),
        *_wrapped(f"{counted(comparison.total, 'shot')}, the same for all decoders; stopped: {why}", width, "  "),
    ]


def _rates(comparison: Comparison, unit: Unit, width: int) -> list[str]:
    per, convert = unit
    rows, notes = [], []
    for place in range(len(comparison.decoders)):
        rate = comparison.rate(place)
        cells = [_number(place), _name(comparison, place, width), "–", "–", "–"]
        if rate is not None:
            low, high = convert(rate.low), convert(rate.high)
            cells[2:] = [f"{rate.failures:,}", f"{convert(rate.rate):.3e}", f"[{low:.3e}, {high:.3e}]"]
        rows.append(cells)
        notes += _notes(comparison, place, width)
    if per != "shot":
        notes += _wrapped(f"Rates per {per} are converted from those per shot; docs: Compare decoders.", width, "  ")
    columns = (
        Column(),
        Column("decoder"),
        figures("failures", leaves=1),
        figures(f"LER per {per}"),
        figures("95 % interval"),
    )
    return _table(columns, rows, width) + notes


def _notes(comparison: Comparison, place: int, width: int) -> list[str]:
    """What a reader of a decoder's row must know."""
    decoder, number = comparison.decoders[place], _number(place)
    said = []
    if place == comparison.baseline and place != 0:
        said.append(f"{number} is the baseline")
    if _name(comparison, place, width) != decoder.label:
        said.append(f"{number} is {decoder.label}")
    if decoder.failed is not None:
        failed = decoder.failed
        where = f" ({failed.file.rpartition('/')[2]}, line {failed.line})" if failed.file else ""
        hint = f"; {failed.hint}" if failed.hint else ""
        said.append(
            f"{number} failed after {counted(failed.at, 'shot')}, {failed.reason}: {failed.problem}{where}{hint}"
        )
    if decoder.most_shots is not None:
        said.append(f"{number} decodes the first {counted(decoder.most_shots, 'shot')} only, as was asked")
    if (gate := comparison.gate(place)) is not None:
        chooser = next((_number(n) for n, each in enumerate(comparison.decoders) if each.label == decoder.gate), "?")
        said.append(
            f"{number} decodes the {gate.share:.1%} of shots that {chooser} is least sure of, as was asked, and elsewhere has"
            f" {chooser}'s answer; of {gate.sampled:,} others it answers {gate.differing:,} otherwise, so at most"
            f" {gate.missed_at_most:.2%} of all shots"
        )
    if decoder.fits in ("rate", "family"):
        other = "other error rates of the same graph" if decoder.fits == "rate" else "another size of its code"
        said.append(f"{number} was trained at {other}; its weights are carried to this one")
    if comparison.invalid(place):
        said.append(
            f"{number} gave no valid answer to {counted(comparison.invalid(place), 'shot')}, which count as failures"
        )
    return [line for each in said for line in _wrapped(each, width, "  ")]


def _together(comparison: Comparison, width: int) -> list[str]:
    found = comparison.together()
    if not found:
        return []
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    told = [f"{' '.join(map(_number, places))}: {number:,}" for places, number in ordered[:_MOST_SETS]]
    more = len(ordered) - len(told)
    rest = f"; and {counted(more, 'other set')}, see --json" if more > 0 else ""
    return _wrapped(f"Shots failed by exactly these decoders: {'; '.join(told)}{rest}", width, "  ")


def _pairs(comparison: Comparison, width: int) -> list[str]:
    pairs = list(comparison.pairs())
    rows = [
        [
            f"{_number(pair.other)} against {_number(pair.base)}",
            "–" if pair.ratio is None else f"{pair.ratio:.3f}",
            interval_text(pair),
            _evidence(comparison, pair),
            e_text(pair.log_e_not_better),
            pair.word,
        ]
        for pair in pairs
    ]
    share = round(100 * (1 - NOT_BETTER_RATIO))
    number = len(rows)
    said = (
        f"The words on all {number} pairs together are wrong" if number > 1 else "The word is wrong"
    ) + f" with probability at most 5 %{_needed(comparison)}"
    corrected = " (Bonferroni, for which the intervals are corrected too)" if number > 1 else ""
    meaning = f" Not better: a gain of {share} % or more is ruled out."
    columns = (
        Column("pair"),
        figures("ratio"),
        figures("interval"),
        figures(_evidence_head(comparison), leaves=2),
        figures("e not better", leaves=1),
        figures("word"),
    )
    wide = _WIDER if any(map(_interval_seems_to_deny, pairs)) else ""
    return _table(columns, rows, width) + _wrapped(f"{said}{corrected}.{meaning}{wide}", width)


def _interval_seems_to_deny(pair: Pair) -> bool:
    """Whether the interval of a pair's ratio includes what the word on it rules out."""
    low, high = pair.interval
    if pair.word == "better":
        return high is None or high >= 1
    return pair.word == "not better" and low < NOT_BETTER_RATIO


def _evidence_head(comparison: Comparison) -> str:
    """What stands for "better": McNemar's exact test on recorded shots, else the bets, which may be looked at any time."""
    return "p better" if comparison.recorded else "e better"


def _evidence(comparison: Comparison, pair: Pair) -> str:
    if not comparison.recorded:
        return e_text(pair.log_e_better)
    return "–" if pair.p_better is None else f"{pair.p_better:.3g}"


def _needed(comparison: Comparison) -> str:
    """What a word needs."""
    who = "each" if len(comparison.decoders) > 2 else "it"
    if not comparison.recorded:
        return f", whenever counting stops: {who} needs an e-value of {comparison.needed:g}"
    look = "" if comparison.complete else "; not all shots are decoded yet, so there are none"
    return (
        f": the shots are recorded, their number was fixed. Better needs p (McNemar, exact, one-sided) of at most"
        f" {comparison.pair_alpha:.3g}, not better an e-value of {comparison.needed:g}{look}"
    )


def interval_text(pair: Pair) -> str:
    """The interval of a ratio; its upper end may be open."""
    low, high = pair.interval
    return f"[{low:.3f}, {'∞' if high is None else f'{high:.3f}'}]"


def e_text(log_e: float) -> str:
    """An e-value; a huge one by its power of ten."""
    return f"{exp(log_e):.3g}" if log_e < 690 else "> 1e+300"


def _times(comparison: Comparison, width: int) -> list[str]:
    measured = [(place, each.time) for place, each in enumerate(comparison.decoders) if each.time is not None]
    if not measured:
        return []
    names = ("p50", "p90", "p99", "p99.9")
    rows = [
        [
            _number(place),
            *(_us(time, name) for name in names),
            f"{time.batch.median:.3g} [{time.batch.least:.3g}, {time.batch.most:.3g}]",
            f"{time.shots_per_second:,.0f}",
        ]
        for place, time in measured
    ]
    sizes = sorted({time.batch_shots for _, time in measured})
    batch = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    note = (
        f"µs per shot on one core: percentiles of single shots, and batches of {batch} shots, with the spread over"
        f" {measured[0][1].repeats} repeats"
    )
    leaves = {"p90": 1, "p99.9": 4, "p99": 3}
    columns = (
        Column(),
        *(figures(name, leaves.get(name, 0)) for name in names),
        figures("batch", leaves=5),
        figures("shots/s", leaves=2),
    )
    return _table(columns, rows, width) + _wrapped(note, width)


def _us(time: DecodingTime, name: str) -> str:
    found = time.percentiles.get(name)
    return "–" if found is None else f"{found.median:.3g}" if found.median < 1000 else f"{found.median:,.0f}"


def _how(comparison: Comparison, width: int) -> list[str]:
    source, machine = comparison.source, comparison.machine
    versions = ", ".join(f"{name} {number}" for name, number in comparison.versions.items())
    lines = _wrapped(f"{source.kind} sha256 {_digest(source.identity, width)}", width, "  ")
    if comparison.shots.key:
        lines += _wrapped(f"shots by key {_digest(comparison.shots.key, width)}", width, "  ")
    for name, digest in comparison.shots.files.items():
        lines += _wrapped(f"shots of {name} sha256 {_digest(digest, width)}", width, "  ")
    lines += _wrapped(versions, width, "  ")
    told = ", ".join(value for name in ("processor", "system") if (value := machine.get(name)))
    return lines + _wrapped(
        f"{told}, {machine.get('cores', '?')} cores, Python {machine.get('python', '?')}", width, "  "
    )


def _digest(text: str, width: int) -> str:
    """A digest; in a terminal that it does not fit into, its beginning: `--json` has all of it."""
    return text if len(text) + len("circuit sha256 ") <= width else f"{text[:16]}…"


def markdown_lines(comparison: Comparison, unit: Unit = PER_SHOT) -> list[str]:
    """The comparison as tables of Markdown."""
    per, convert = unit
    lines = [
        f"| | decoder | failures | shots | LER per {per} | 95 % interval | µs p50 | µs p99.9 | µs batch | |",
        "|-" * 10 + "|",
    ]
    for place, decoder in enumerate(comparison.decoders):
        rate, time = comparison.rate(place), decoder.time
        cells = ["–"] * 4
        if rate is not None:
            interval = f"[{convert(rate.low):.3e}, {convert(rate.high):.3e}]"
            cells = [f"{rate.failures:,}", f"{rate.shots:,}", f"{convert(rate.rate):.3e}", interval]
        times = ["–"] * 3 if time is None else [_us(time, "p50"), _us(time, "p99.9"), f"{time.batch.median:.3g}"]
        word = "baseline" if place == comparison.baseline else "failed" if decoder.failed else ""
        lines.append(_row([_number(place), f"`{decoder.label}`", *cells, *times, word]))
    lines += [
        "",
        "| pair | shots | both fail | first only | second only | ratio | interval"
        f" | {_evidence_head(comparison)} | e not better | word |",
    ]
    lines.append("|-" * 10 + "|")
    for pair in comparison.pairs():
        c = pair.counts
        numbers = [f"{n:,}" for n in (c.shots, c.both, c.baseline_only, c.candidate_only)]
        ratio = "–" if pair.ratio is None else f"{pair.ratio:.3f}"
        evidence = [interval_text(pair), _evidence(comparison, pair), e_text(pair.log_e_not_better), pair.word]
        names = f"{_number(pair.other)} against {_number(pair.base)}"
        lines.append(_row([names, *numbers, ratio, *evidence]))
    return [*lines, "", *(f"- {plain(line).plain}" for line in _how_whole(comparison))]


def _row(cells: Sequence[str]) -> str:
    shown = (plain(cell).plain.replace("\n", " ").replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(shown)} |"


def _how_whole(comparison: Comparison) -> list[str]:
    """As `_how`, with what is decoded, without line breaks."""
    source = comparison.source
    at = "" if source.p is None else f" at p = {source.p:g}"
    notes = [
        f"{each.label} failed, {each.failed.reason}: {each.failed.problem}"
        for each in comparison.decoders
        if each.failed is not None
    ]
    return [
        f"{source.name}{at}, sha256 {source.identity}",
        f"words are wrong with probability at most 5 %{_needed(comparison)}"
        if comparison.recorded
        else f"words need an e-value of {comparison.needed:g}; intervals of ratios hold whenever counting stops",
        *([f"shots by key {comparison.shots.key}"] if comparison.shots.key else []),
        *(f"shots of {name}, sha256 {digest}" for name, digest in comparison.shots.files.items()),
        ", ".join(f"{name} {number}" for name, number in comparison.versions.items()),
        *notes,
    ]


def print_replay(found: Replay) -> None:
    """Say whether a comparison came out the same."""
    total, width = found.saved.total, _terminal_width()
    lines = []
    if found.other_shots is not None:
        lines += _wrapped(
            f"The shots differ from shot {found.other_shots:,} on: this machine or its stim draws others from the same key,"
            " or the file was changed.",
            width,
        )
    for label, differs in found.differing.items():
        lines += _wrapped(
            f"{label} differs in the part that begins at shot {differs.first:,}: {differs.why}", width, "  "
        )
    if found.same:
        again = "read again from the files" if found.saved.recorded else "drawn again by the key"
        lines += _wrapped(f"{counted(total, 'shot')} {again}: all shots and all answers are the same.", width)
    for each in found.saved.decoders:
        if each.failed is not None:
            lines += _wrapped(
                f"{each.label} gave no answers there ({each.failed.reason}), and was not tried again", width, "  "
            )
    for name, (there, here) in found.versions.items():
        lines += _wrapped(f"{name} is {there} in the file and {here} here", width, "  ")
    for label, why in found.settings.items():
        lines += _wrapped(f"{label}: {why}", width, "  ")
    print_lines(lines)


def replay_object(found: Replay) -> dict[str, object]:
    """A replay as a JSON object."""
    return {
        "schema": "autoqec.decoder_replay/1",
        "same": found.same,
        "shots": found.shots,
        "other_shots": found.other_shots,
        "differing": {label: vars(each) for label, each in found.differing.items()},
        "versions": {name: list(both) for name, both in found.versions.items()},
        "settings": dict(found.settings),
    }
