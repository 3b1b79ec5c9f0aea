"""The Pareto front of an environment as a Python object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoqec.api.lab_rounds import Round, Rounds
from autoqec.api.row_tables import Table
from autoqec.counted_words import counted
from autoqec.errors import NotFoundError, UsageError
from autoqec.history import Ledger, find_record, parse_round_name, take_snapshot
from autoqec.results.lab_front import Front as FrontRecord
from autoqec.views.front_json import left_out, whole_fronts
from autoqec.views.log_lines import RunLines, read_lines, require_environment

_DIGITS = 12


class Front(Table[Round]):
    """The VERIFIED rounds of one environment that no other is shown to beat in gain, FLOPs and parameters, best gain first.

    Args:
        rounds: The members.
        record: What the members dominate, and which pairs are open.
        env: The environment's name.
        env_id: Its identity.
        left_out: See below.

    Attributes:
        env, env_id: As above.
        left_out: A sentence about each VERIFIED round of the environment that is on no front.
    """

    shown = (*Rounds.shown, "confirmed")

    def __init__(
        self, rounds: Sequence[Round], record: FrontRecord, env: str, env_id: str, left_out: Sequence[str]
    ) -> None:
        super().__init__(rounds, f"front of {env}: {counted(len(rounds), 'round')}")
        self._record, self.env, self.env_id, self.left_out = record, env, env_id, tuple(left_out)

    @property
    def dominates(self) -> Mapping[str, tuple[str, ...]]:
        """The rounds that each member is shown to beat at no more cost, `<run>/<N>`, by the member's name, `exp/<run>/<N>`."""
        return {f"exp/{member.point.name}": member.dominates for member in self._record.members}

    @property
    def confirmed(self) -> Mapping[str, bool]:
        """Whether each member is on the front for any true gains within the intervals, by its name."""
        return {f"exp/{member.point.name}": member.confirmed for member in self._record.members}

    @property
    def open_pairs(self) -> Sequence[tuple[str, str]]:
        """Pairs that `autoqec verify --head-to-head` would decide: the first costs no more and may gain as much."""
        return [(f"exp/{a.name}", f"exp/{b.name}") for a, b in self._record.open_pairs]

    def rows(self) -> list[dict[str, Any]]:
        """As of rounds, with `dominates` and `confirmed`."""
        dominates, confirmed = self.dominates, self.confirmed
        return [
            {**each.to_row(), "dominates": ", ".join(dominates[each.name]), "confirmed": confirmed[each.name]}
            for each in self
        ]


def read_front(ledger: Ledger, env: str | None, env_id: str | None) -> Front:
    """The front of one environment.

    Args:
        ledger: The lab.
        env: The environment's name, or its name and the beginning of its identity, `name@hex`; None for the only one.
        env_id: The environment's whole identity, if it is known.

    Raises:
        NotFoundError: No round is on that environment.
        UsageError: There are several of that name.
        AutoQECError: A VERIFIED round that may belong on the front cannot be read.
    """
    runs = read_lines(ledger)
    name, _, start = (env or "").partition("@")
    require_environment(ledger, runs, name or None)
    known = _environments(runs)
    fitting = [
        each
        for each in known
        if name in ("", each[0]) and each[1].startswith(start) and (env_id is None or each[1] == env_id)
    ]
    if len(fitting) != 1:
        raise _not_one(fitting, known, env)
    ((found, identity),) = fitting
    names = take_snapshot(ledger).names
    for each in whole_fronts(ledger, runs, found):
        members = [each.lines[member.point.name] for member in each.front.members]
        if members and members[0][1].env_id == identity:
            parsed = [parse_round_name(member.point.name) for member in each.front.members]
            rounds = [Round(ledger, find_record(ledger, run, number), names) for run, number in parsed]
            return Front(rounds, each.front, found, identity, left_out(runs, found))
    return Front((), FrontRecord(), found, identity, left_out(runs, found))


def _environments(runs: Sequence[RunLines]) -> list[tuple[str, str]]:
    """Name and identity of each environment that a round is on."""
    return sorted({(line.env, line.env_id) for run in runs for line in run.lines if line.env and line.env_id})


def _not_one(fitting: Sequence[tuple[str, str]], known: Sequence[tuple[str, str]], env: str | None) -> Exception:
    shown = ", ".join(f"{name}@{identity[:_DIGITS]}" for name, identity in fitting or known)
    if not fitting:
        there = f"the rounds are on {shown}" if known else "the lab has no rounds yet"
        return NotFoundError(
            f"no round is on {env or 'any environment'}; {there}", hint="lab.rounds() lists the rounds"
        )
    what = f"several versions of {env}" if env else "rounds on several environments"
    name, identity = fitting[-1]
    return UsageError(f"there are {what}: {shown}", hint=f'lab.front("{name}@{identity[:_DIGITS]}")')
