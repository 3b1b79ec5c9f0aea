"""Prints what `autoqec drop` did, and what is dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoqec.counted_words import counted, some_of
from autoqec.errors import NotFoundError
from autoqec.history import DroppedRounds, Ledger, dropped_snapshot, list_dropped, read_run
from autoqec.json_values import JsonObject
from autoqec.views.console import out, plain, print_json, say
from autoqec.views.round_json import RoundRow, round_row

SCHEMA = "autoqec.drop/1"


def print_drop(dropped: DroppedRounds, children: Mapping[str, Sequence[str]], *, back: bool, as_json: bool) -> None:
    """What was dropped or restored, and what follows for rounds that start from it.

    Args:
        dropped: What was dropped or restored.
        children: Names of its rounds that a round in the lists starts from, by the name of that round.
        back: Whether it was restored.
        as_json: Print a JSON object.
    """
    if as_json:
        named = {child: list(parents) for child, parents in children.items()}
        print_json([{**_fields(dropped), "restored": back, "children": named}])
    else:
        what = (
            dropped.name if dropped.number is not None else f"{dropped.name}: {counted(len(dropped.rounds), 'round')}"
        )
        out().print(plain(f"{'restored' if back else 'dropped'} {what}"), soft_wrap=True)
    if children:
        one = len(children) == 1
        parents = sorted({parent for named in children.values() for parent in named})
        say(
            f"{some_of(list(children))} {'starts' if one else 'start'} from {some_of(parents)} and"
            f" {'stays' if one else 'stay'}: {'it shows' if one else 'they show'} a commit in place of a name, and a composition"
            " of it cannot be judged beside its parents"
        )
    if not back and not as_json:
        say(f"error budget and numbers stay spent; autoqec drop --restore {dropped.name} brings it back")


def print_dropped(ledger: Ledger, run: str | None, *, as_json: bool) -> None:
    """What is dropped: all of it, or what is of one run.

    Raises:
        NotFoundError: A run is asked for, and nothing of it is dropped.
    """
    found = [each for each in list_dropped(ledger) if run in (None, each.run)]
    if run is not None and not found:
        raise NotFoundError(f"nothing of {run} is dropped", hint="autoqec log --dropped lists all that is")
    rows = _rows(ledger, {each.run for each in found})
    items = [(each, [row for number in each.rounds if (row := rows.get((each.run, number)))]) for each in found]
    if as_json:
        print_json({**_fields(each), "verdicts": _verdicts(own)} for each, own in items)
        return
    for each, own in items:
        out().print(plain(_line(each, own)), soft_wrap=True)
    say("autoqec drop --restore NAME brings it back" if found else "nothing is dropped")


def _fields(dropped: DroppedRounds) -> JsonObject:
    return {
        "schema": SCHEMA,
        "run": dropped.run,
        "round": dropped.number,
        "dropped": dropped.time,
        "message": dropped.message,
        "rounds": list(dropped.rounds),
    }


def _rows(ledger: Ledger, runs: set[str]) -> dict[tuple[str, int], RoundRow]:
    snapshot = dropped_snapshot(ledger)
    found = [
        record for run in sorted(runs & snapshot.runs.keys()) for record in read_run(ledger, snapshot, run).records
    ]
    return {(record.run, record.number): round_row(record, snapshot.names) for record in found}


def _verdicts(rows: Sequence[RoundRow]) -> dict[str, int]:
    words = [row.verdict for row in rows if row.verdict]
    return {word: words.count(word) for word in sorted(set(words))}


def _line(dropped: DroppedRounds, rows: Sequence[RoundRow]) -> str:
    when = dropped.time[:16].replace("T", " ") or "at an unknown time"
    parts = [row.verdict or row.status for row in rows]
    if dropped.number is None:
        verdicts = (f"{count} {word}" for word, count in _verdicts(rows).items())
        parts = [counted(len(dropped.rounds), "round"), *verdicts]
    why = f": {' '.join(dropped.message.split())}" if dropped.message else ""
    return f"{dropped.name}  {', '.join(parts)}, dropped {when}{why}"
