"""What `autoqec verify` does to a whole front: judge every member again on new shots, or decide close pairs head to head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from autoqec.cli.lab import run_session

if TYPE_CHECKING:
    from autoqec.config import Settings
    from autoqec.history import Ledger
    from autoqec.loop.judging import Asked


def refute(
    ledger: Ledger, settings: Settings, run_name: str | None, asked: Asked, *, quiet: bool
) -> Iterator[dict[str, Any]]:
    """Judge each member of the front again.

    Whoever is the best of many was lucky too; new shots have no part in that luck. A member that is no longer VERIFIED is off
    the front from then on.

    Args:
        ledger, settings: The lab.
        run_name: Only members of this run.
        asked: How they are to be judged.
        quiet: No progress display.

    Yields:
        Of each member `run`, `round`, its gain `before`, and the new verdict; or, where its run has no error budget left, the
        reason `budget_spent` and no verdict.
    """
    from autoqec.errors import BudgetSpentError
    from autoqec.history import load_run
    from autoqec.loop.judging import judge
    from autoqec.loop.round_state import read_state
    from autoqec.plugins import load_plugins
    from autoqec.views.front_json import front_objects
    from autoqec.views.log_lines import read_lines

    registry = load_plugins()
    for item in front_objects(ledger, read_lines(ledger, run_name)):
        row = {"run": item["run"], "round": item["round"], "before": item["holdout"]["delta_ler"]}
        state = read_state(ledger, item["run"], item["round"])
        _require_weights(state.weights, f"{item['run']}/{item['round']}")
        with run_session(ledger, registry, settings, load_run(ledger, item["run"]), quiet=quiet) as session:
            try:
                yield {**row, **judge(session, state, asked)}
            except BudgetSpentError as error:
                yield {**row, "verdict": None, "reason": "budget_spent", "fault": error.problem}


def decide_pairs(
    ledger: Ledger, settings: Settings, run_name: str | None, max_shots: int | None, *, quiet: bool
) -> Iterator[Mapping[str, Any]]:
    """Decide the pairs of the front of which one costs no more and may gain as much.

    Args:
        ledger, settings, run_name, quiet: As for `refute`.
        max_shots: Leave a pair undecided after this many shots.

    Yields:
        The note of each pair, with `pair`, the names of its two rounds. A pair of which one was dominated in the meantime is
        left out.
    """
    from autoqec.history import load_run, parse_round_name
    from autoqec.loop.front_pairs import MOST_SHOTS, head_to_head
    from autoqec.loop.round_state import read_state
    from autoqec.plugins import load_plugins
    from autoqec.results.head_to_head import DOMINATES, pair_alpha
    from autoqec.views.front_json import read_fronts
    from autoqec.views.log_lines import read_lines

    registry = load_plugins()
    for found in read_fronts(ledger, read_lines(ledger, run_name)):
        alpha, gone = pair_alpha(len(found.members)), set()
        for a, b in found.open_pairs:
            if a.name in gone or b.name in gone:
                continue
            states = [read_state(ledger, *parse_round_name(point.name)) for point in (a, b)]
            for point, state in zip((a, b), states, strict=True):
                _require_weights(state.weights, point.name)
            run = load_run(ledger, states[1].claim.run)
            with run_session(ledger, registry, settings, run, quiet=quiet) as session:
                pair = ((a, states[0]), (b, states[1]))
                note = head_to_head(session, pair, alpha, max_shots=max_shots or MOST_SHOTS)
            gone |= {b.name} if note["word"] == DOMINATES else set()
            yield {**note, "pair": [a.name, b.name]}


def _require_weights(weights: bytes | None, name: str) -> None:
    from autoqec.errors import NotFoundError

    if weights is None:
        hint = "autoqec pull --artifacts, from a lab that has them"
        raise NotFoundError(f"round {name} is on the front and has no weights here", hint=hint)
