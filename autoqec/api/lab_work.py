"""Runs, resumes and verifies rounds from Python: as the commands do, with a function that is told of the progress."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from autoqec.config import BUILTIN, Settings, load_settings
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.history import Claim, Ledger, RoundRecord, load_run, push, require_writable
from autoqec.loop.judging import Asked, judge
from autoqec.loop.machine_share import memory_share
from autoqec.loop.many_rounds import run_rounds
from autoqec.loop.one_round import interrupted_rounds, open_rounds, resume_round
from autoqec.loop.opened_session import opened_session, require_plugins
from autoqec.loop.parallel_rounds import ParallelRounds, Told
from autoqec.loop.preflight import begin_run
from autoqec.loop.round_state import read_state
from autoqec.loop.session import Session, open_run
from autoqec.nearest_names import unknown_name
from autoqec.plugins import load_plugins
from autoqec.problem.environment import LoadedEnvironment
from autoqec.results.verdict import Verdict
from autoqec.round_events import RoundEvent

#: Called with each event of a round; see `autoqec.round_events`.
Progress = Callable[[RoundEvent], None]


def lab_settings(ledger: Ledger, given: Mapping[str, Any]) -> Settings:
    """The lab's settings, with those that the caller gives in the place of flags.

    Raises:
        UsageError: There is no such setting, or a value is wrong.
    """
    for name in sorted(given.keys() - BUILTIN.keys()):
        hint = "docs/settings.md explains the settings"
        raise UsageError(f"there is no setting {name!r}{unknown_name(name, BUILTIN)}", hint=hint)
    settings = load_settings(ledger.workdir, given)
    if settings.withheld:
        names = ", ".join(each.name for each in settings.withheld)
        told = (
            f"not used, because you do not trust the settings file of the lab {ledger.workdir}: {names}; autoqec trust"
        )
        warnings.warn(told, stacklevel=4)
    ledger.network_seconds = settings["network_seconds"]
    return settings


def run_in_lab(
    ledger: Ledger,
    env: str | LoadedEnvironment | None,
    rounds: tuple[int, int],
    *,
    run: str | None,
    new: bool,
    seed: int | None,
    progress: Progress | None,
    given: Mapping[str, Any],
) -> list[RoundRecord]:
    """Run rounds, so many in all and so many at once; see `autoqec.api.opened_lab.Lab.run`."""
    wanted, at_once = rounds
    for name, count in ("rounds", wanted), ("parallel", at_once):
        if count < 1:
            raise UsageError(f"{name} must be at least 1, not {count}", hint=f"lab.run(env, {name}=1)")
    settings, registry = lab_settings(ledger, given), load_plugins()
    require_writable(ledger)
    require_plugins(settings, registry)
    memory_share(settings, at_once)  # refuses, before anything is written, more rounds than there is memory for
    chosen = open_run(
        ledger,
        registry,
        env=env if env is not None else settings["default_env"],
        env_given=env is not None,
        run_name=run,
        fresh=new,
        seed=seed,
        dry=True,
        remote=settings["claim_remote"],
    )
    with opened_session(ledger, registry, settings, chosen, progress or _unheard) as session:
        begin_run(session, fresh=new, seed=seed)
        shared = partial(_shared, session)
        return run_rounds(session, wanted, shared)[0] if at_once == 1 else _at_once(session, wanted, at_once, shared)


def _at_once(session: Session, wanted: int, at_once: int, finished: Callable[[RoundRecord], None]) -> list[RoundRecord]:
    """Run rounds, several of them at once; if one is not closed, the others are, and its error is raised then."""
    told = Told(
        event=lambda place, event: session.report(event),
        over=lambda place: None,
        finished=finished,
        failed=lambda failure: None,
    )
    rounds = ParallelRounds(session, wanted, at_once, told)
    rounds.run()
    for failure in rounds.failures:
        raise failure.error
    return rounds.records


def resume_in_lab(
    ledger: Ledger, run: str | None, *, progress: Progress | None, given: Mapping[str, Any]
) -> list[RoundRecord]:
    """Finish interrupted rounds; see `autoqec.api.opened_lab.Lab.resume`."""
    settings, registry = lab_settings(ledger, given), load_plugins()
    require_writable(ledger)
    only = load_run(ledger, run).name if run else None
    found = []
    for claim in _to_resume(ledger, only):
        with opened_session(ledger, registry, settings, load_run(ledger, claim.run), progress or _unheard) as session:
            found.append(resume_round(session, claim))
            _shared(session, found[-1])
    return found


def _to_resume(ledger: Ledger, run: str | None) -> list[Claim]:
    """Open rounds at which nobody works, those that were interrupted in this process among them."""
    from autoqec.history.store.owner import this_process

    mine = asdict(this_process())
    own = [claim for claim in open_rounds(ledger, run) if mine.items() <= asdict(claim).items()]
    waiting = [claim for claim in interrupted_rounds(ledger, run) if claim not in own]
    return sorted([*own, *waiting], key=lambda claim: (claim.started, claim.number))


def verify_in_lab(
    ledger: Ledger, run: str, number: int, asked: Asked, *, progress: Progress | None, given: Mapping[str, Any]
) -> Verdict:
    """Judge a round again; see `autoqec.api.opened_lab.Lab.verify`."""
    settings, registry = lab_settings(ledger, given), load_plugins()
    of, state = load_run(ledger, run), read_state(ledger, run, number)
    if state.commit is None or state.weights is None:
        raise NotFoundError(
            f"round {run}/{number} has no weights in this lab, so you cannot verify it here",
            hint="lab.resume() if it was interrupted here, autoqec pull --artifacts if it is from a remote",
        )
    with opened_session(ledger, registry, settings, of, progress or _unheard) as session:
        return judge(session, state, asked)


def _shared(session: Session, record: RoundRecord) -> None:
    """Push the run of a session that shares its rounds (`claim_remote`); a failed push is only a warning."""
    remote = session.settings["claim_remote"]
    if not remote:
        return
    try:
        push(session.ledger, remote, session.run.name, own_weights=True)
    except AutoQECError as error:
        told = f"the results of {record.branch} are not on {remote} yet: {error.problem}; try autoqec push {remote}"
        warnings.warn(told, stacklevel=2)


def _unheard(event: RoundEvent) -> None:
    """Nobody asked."""
