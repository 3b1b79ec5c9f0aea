"""Prints rounds: the log, the front, a round that has just ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from rich.console import Console
from rich.text import Text

from autoqec.counted_words import counted
from autoqec.results.best_so_far import BestSoFar
from autoqec.results.figures import Figures, Gain
from autoqec.results.reference_ratio import ReferenceRatio
from autoqec.views.console import out, plain
from autoqec.views.figures_text import interval_text, rate_text, ratio_text, reference_text
from autoqec.views.fitted_console import wrapped
from autoqec.views.fitted_table import Column, print_table
from autoqec.views.outcome_words import is_signed, next_step, outcome_meaning, outcome_text
from autoqec.views.round_json import DevelopmentRow, HoldoutRow, RoundRow


def _rate(value: float | None) -> str:
    return "–" if value is None else rate_text(value, 5)


def gain_text(gain: Gain | Figures | None) -> str:
    """Gain per shot in units of 1e-3, with its interval."""
    if gain is None:
        return "–"
    values = [1e3 * value for value in (gain.delta_ler, *gain.gain_interval)]
    digits = (
        "+.2f" if max(map(abs, values)) >= 0.1 else "+.2g"
    )  # where failures are rare, two decimals would show nothing
    middle, low, high = (f"{value:{digits}}" for value in values)
    return f"{middle} [{low}, {high}]"


def count_text(value: float | None) -> str:
    """A cost in few characters, such as `2.1M`."""
    if value is None:
        return "–"
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= 10 * limit:
            return f"{value / limit:.0f}{unit}"
        if value >= limit:
            return f"{value / limit:.1f}{unit}"
    return str(value)


def sent_text(row: RoundRow) -> str:
    """The share of the shots that a gate sent on, or a dash."""
    return "–" if row.sent_on is None else _share_text(row.sent_on)


def _share_text(share: float) -> str:
    """A share in per cent; a small one to two figures."""
    return f"{100 * share:.1f} %" if share >= 1e-3 or share == 0 else f"{100 * share:.2g} %"


def _us_text(us: float) -> str:
    """Microseconds, whole ones from one on."""
    return f"{us:.0f}" if us >= 1 else f"{us:.1g}"


def any_gated(rows: Iterable[RoundRow]) -> bool:
    """Whether a table of these rounds needs a column for that share."""
    return any(row.sent_on is not None for row in rows)


#: The mark of a round that was the best VERIFIED one of its environment when it came, and what follows it where there is room.
BEST_MARK = "↑"
_BEST_WORDS = {False: "best", True: "sure"}


def best_mark(row: RoundRow, *, words: bool = False) -> str:
    """A mark if the round was the best VERIFIED one of its environment when it came, with a blank before it; else nothing."""
    best = row.best_so_far
    if best is None or not best.new:
        return ""
    return f" {BEST_MARK}{' ' + _BEST_WORDS[best.sure] if words else ''}"


def best_lines(
    ends: Sequence[tuple[str, BestSoFar]], rows: Sequence[RoundRow], *, words: bool = False
) -> Iterator[str]:
    """What the mark means, if any of the rows has it, and the best round of each environment.

    Args:
        ends: Names of environments, each with its best round.
        rows: What was printed above.
        words: Whether words follow the marks there.
    """
    if any(map(best_mark, rows)):
        sure = "; sure: intervals or a head-to-head show it" if words else ""
        yield f"{BEST_MARK} best VERIFIED round of its environment when it came{sure}"
    runs = sorted({row.run for row in rows})
    for env, best in ends:
        where = f"best so far on {env}: " if len(ends) > 1 else "best so far: round "
        name = best.round.removeprefix(f"{runs[0]}/") if len(runs) == 1 else best.round
        since = f"{counted(best.since, 'round')} since"
        figures = f"ratio {ratio_text(best.ratio, 3)} {interval_text(best.interval, 3)}"
        yield f"{where}{name}, {figures}, {since}"


def _percent(figures: Figures | None) -> str:
    ratio = figures.ler_ratio if figures else None
    return "–" if ratio is None else f"{100 * (ratio - 1):+.1f} %"


#: With less room than this, the hypothesis gets no column.
_LEAST_WORDS = 20

#: From this width on, columns give way to the hypothesis; below it, only to the width itself.
_WIDE = 100

#: The time of a development shot, where not every verdict of a front says that of a shot of its own.
_DEVELOPMENT_US = "µs (dev.)"

#: Columns that may give way, the first to go first; before them all goes the hypothesis of a narrow terminal.
_LOG_GIVES_WAY = ("params", "LER", "sent", "from", "FLOPs", "vs plain")
_FRONT_GIVES_WAY = ("bytes", "beats", "LER", "sent", "µs", _DEVELOPMENT_US, "vs plain", "params", "FLOPs")

#: Columns of words; the others are figures, which stand at the right.
_WORDS = ("#", "verdict", "from", "round")

_GAIN = "ΔLER·1e-3 (95 %)"
_HYPOTHESIS = "hypothesis"

#: Words that may be cut, and how short they get.
_SHORTEST = {"round": 16, "verdict": 18}

_Row = dict[str, str | Text]


def _print_rounds(console: Console, rows: Sequence[_Row], give_way: Sequence[str]) -> None:
    """Print rounds by column, and last the hypothesis in the rest of the line.

    Args:
        console: Where to.
        rows: Each has the same columns.
        give_way: Columns to leave out where there is no room, the first to go first.
    """
    columns = [_column(name, give_way, wide=console.width >= _WIDE) for name in rows[0]]
    print_table(console, columns, [list(row.values()) for row in rows])


def _column(name: str, give_way: Sequence[str], *, wide: bool) -> Column:
    if name == _HYPOTHESIS:
        return Column(name, leaves=0 if wide else 1, least=_LEAST_WORDS)
    leaves = give_way.index(name) + 2 if name in give_way else 0
    shortest = _SHORTEST.get(name, 0)
    return Column(name, right=name not in _WORDS, leaves=leaves, least=shortest, ends=name == "round", last=True)


def print_log(items: Sequence[RoundRow], ends: Sequence[tuple[str, BestSoFar]] = (), *, none: str = "") -> None:
    """One line a round, run by run, newest last; below, the best round of each environment in `ends`; `none` if there is none."""
    console = out()
    if not items:
        console.print(plain(none))
    for run, group in groupby(items, key=lambda item: item.run):
        rounds = list(group)
        env, gated = next((item.env for item in rounds if item.env), ""), any_gated(rounds)
        console.print(Text(run, style="bold") + plain(f"  {env}"))
        _print_rounds(console, [_log_row(item, gated) for item in rounds], _LOG_GIVES_WAY)
    for line in best_lines(ends, items, words=True):
        console.print(plain(line))


def _log_row(item: RoundRow, gated: bool) -> _Row:
    costs = item.costs
    return {
        "#": str(item.round),
        "verdict": outcome_text(item) + best_mark(item, words=True),
        "from": plain(" + ".join(_short(parent, item.run) for parent in item.fork_from) or "baseline"),
        "LER": _rate(item.best.ler_candidate if item.best else None),
        "vs plain": _percent(item.best),
        _GAIN: gain_text(item.best),
        "FLOPs": count_text(costs.flops_per_shot if costs else None),
        **({"sent": sent_text(item)} if gated else {}),
        "params": count_text(costs.params if costs else None),
        _HYPOTHESIS: plain(item.hypothesis or item.reason or ""),
    }


def print_outcome(item: RoundRow, reference: ReferenceRatio | None = None) -> None:
    """How a round ended: its branch, its verdict, what that means, the figures that support it, and what to do next.

    Args:
        item: The round.
        reference: How it compares with the best reference on the same shots.
    """
    console = out()
    head = Text(item.branch, style="bold") + Text(f"  {(item.commit or 'no commit')[:10]}  ") + outcome_text(item)
    console.print(head)
    _print_indented(console, item.hypothesis or "")
    meaning = outcome_meaning(item)
    if item.verdict is None and item.status == "ok" and item.analysis:
        meaning += f": {item.analysis}"
    _print_indented(console, meaning)
    if item.best is not None:
        _print_figures(console, item, item.best, reference)
    if item.verdict != "VERIFIED" and item.status not in ("open", "waiting", "interrupted"):
        console.print_whole(Text("  why, and what to do: ") + plain(next_step(item)))


def _print_figures(console: Console, item: RoundRow, best: Figures, reference: ReferenceRatio | None) -> None:
    origin = "shots drawn after the commit" if item.holdout else "development shots"
    if item.holdout is not None and item.holdout.sampling == "stratified":
        worth = item.holdout.effective_shots
        origin += ", stratified" + (f" and worth {worth:.3g} plain ones" if worth is not None else "")
    if item.holdout is not None and item.holdout.sampling == "recorded":
        origin = f"recorded shots, look {item.holdout.look} at this holdout"
    said = (
        f"LER {rate_text(best.ler_candidate, 5)}, plain {rate_text(best.ler_baseline, 5)} ({_percent(best)}):"
        f" ratio {ratio_text(best.ler_ratio, 3)} {interval_text(best.ratio_interval, 3)} (95 %) over {best.shots:,} {origin}"
    )
    if best.ler_candidate == best.ler_baseline == 0:
        said = f"no failure in {best.shots:,} {origin}, with the candidate or without: too few shots to compare them"
    _print_indented(console, said)
    references = (item.holdout.references if item.holdout else None) or item.references or {}
    if references:
        rates = ", ".join(f"{name} {rate_text(ler, 5)}" for name, ler in sorted(references.items()))
        compared = f"; {reference_text(reference)}" if reference is not None else ""
        _print_indented(console, f"{rates}{compared}")
    if item.metrics is not None and item.costs is not None:
        shown = replace(
            item.metrics, costs=item.costs, sent_on=item.sent_on, passes_per_sent_shot=item.passes_per_sent_shot
        )
        _print_indented(console, costs_text(shown, item.holdout))


def _print_indented(console: Console, text: str) -> None:
    """A paragraph below a heading: every line of it is indented, also those that a narrow terminal makes of it."""
    for line in wrapped(plain(" ".join(text.split())), max(console.width - 2, 1)) if text else ():
        console.print(Text("  ") + line, soft_wrap=True)


def costs_text(row: DevelopmentRow, holdout: HoldoutRow | None = None) -> str:
    """Costs, and how many of the planned steps of training the time allowed, where it did not allow all.

    Args:
        row: What the round cost; FLOPs and shares of the shots that are shown above.
        holdout: The verdict, if those shots are its shots. The time of a shot is then its too; an old verdict says none.
    """
    costs, steps = row.costs, row.steps
    cut = f" ({steps[0]:,.0f} of {steps[1]:,.0f} steps, no time for more)" if steps else ""
    gated = "" if row.sent_on is None else f" as the mean of all shots, {_share_text(row.sent_on)} of which are sent on"
    passes = "1.0" if row.passes_per_sent_shot is None else f"{row.passes_per_sent_shot:.1f}"
    if passes != "1.0":
        gated += f" and take {passes} passes each"
    took, elsewhere = costs.latency_us_per_shot, ""
    if holdout is not None:
        took, elsewhere = (
            (holdout.us_per_shot, "") if holdout.us_per_shot is not None else (took, " on development shots")
        )
    return (
        f"{count_text(costs.flops_per_shot)} FLOPs and {_us_text(took)} µs{elsewhere} per shot{gated},"
        f" {count_text(costs.params)} parameters; trained {costs.train_seconds:.0f} s{cut}, scored {costs.score_seconds:.0f} s"
    )


def _short(parent: str, run: str) -> str:
    return parent.removeprefix(f"{run}/") if parent.startswith(f"{run}/") else parent[:16]


def print_front(items: Sequence[RoundRow], ends: Sequence[tuple[str, BestSoFar]] = (), *, none: str = "") -> None:
    """The Pareto front, environment by environment, best gain first; figures are the verdicts'. Below, as in the log, `ends`.

    Without any round, `none`.
    """
    console = out()
    if not items:
        console.print(plain(none))
    for env, group in groupby(items, key=lambda item: f"{item.env}@{str(item.env_id)[:12]}"):
        console.print(plain(env))
        members = list(group)
        gated, timed = (
            any_gated(members),
            all(each.holdout and each.holdout.us_per_shot is not None for each in members),
        )
        _print_rounds(console, [_front_row(item, gated, timed=timed) for item in members], _FRONT_GIVES_WAY)
    if any(item.confirmed for item in items):
        console.print("* confirmed: on the front for any true gains within the intervals")
    if any(map(is_signed, items)):
        console.print("✓ the verdict is signed by an allowed signer")
    for line in best_lines(ends, items):
        console.print(plain(line))


def _front_row(item: RoundRow, gated: bool, *, timed: bool) -> _Row:
    """A row of the front; `timed`: each verdict has the time of a shot, so that the column need not mix it with another."""
    holdout, costs = item.holdout, item.costs
    figures = holdout.figures if holdout else None
    # A verdict may say what a metrics note that is damaged no longer does.
    flops = costs.flops_per_shot if costs else holdout.flops_per_shot if holdout else None
    params = costs.params if costs else holdout.params if holdout else None
    return {
        "round": " ".join(
            filter(None, (item.name, "✓" * is_signed(item) + "*" * bool(item.confirmed) + best_mark(item).strip()))
        ),
        "LER": _rate(figures.ler_candidate if figures else None),
        "vs plain": _percent(figures),
        _GAIN: gain_text(figures),
        "FLOPs": count_text(flops),
        **({"sent": sent_text(item)} if gated else {}),
        "params": count_text(params),
        "bytes": count_text(holdout.bytes if holdout else None),
        **_took(item, timed=timed),
        "beats": str(len(item.dominates)),
        _HYPOTHESIS: plain(item.hypothesis or ""),
    }


def _took(item: RoundRow, *, timed: bool) -> _Row:
    if timed and item.holdout and item.holdout.us_per_shot is not None:
        return {"µs": _us_text(item.holdout.us_per_shot)}
    return {_DEVELOPMENT_US: "–" if item.costs is None else _us_text(item.costs.latency_us_per_shot)}
