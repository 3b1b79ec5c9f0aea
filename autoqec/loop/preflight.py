"""What work needs, checked before any of it begins: before a round is claimed, an attempt is noted or a key is drawn.

A round that begins and then finds no key for its agent, no such decoder, or a place that cannot be written stays open, and may
have trained for minutes first. So everything that can be known beforehand is asked here, by whatever begins work.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from autoqec.agents.agent_contract import ROLES, CheckingAgent, Role
from autoqec.config import Settings
from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.errors import AutoQECError, BudgetSpentError, MissingPackageError, UsageError
from autoqec.history import Claim, list_runs, looks_at, read_chain, require_writable
from autoqec.history.reading.trust_policy import trusted
from autoqec.history.rounds.signatures import NAMESPACE, sign_bytes
from autoqec.history.store.git_program import find_remote
from autoqec.loop.round_state import PERSON, RoundState, read_state
from autoqec.loop.session import Session, agent_of, recorded_run
from autoqec.loop.tracing import read_calls
from autoqec.plugins import Registry, missing_packages
from autoqec.problem.environment import Choice
from autoqec.results.statistics import next_look
from autoqec.scoring.executor_contract import Task

#: The value of the setting `strong_reference` that switches it off.
NO_STRONG_REFERENCE = "none"

NEW_RUN = "start a new run, which has a budget of its own: autoqec round --new"


def require_ready(session: Session, agents: Mapping[Role, str]) -> None:
    """Refuse to begin or to resume a round that could not be carried to its end.

    What was found in order is not asked again in this session.

    Args:
        session: Where.
        agents: The agents that will be asked, by their roles.

    Raises:
        AgentUnavailable: An agent lacks a key or a program.
        BudgetSpentError: The run's error budget is spent, so that no round of it can be verified.
        AutoQECError: Something else is missing, and is named.
    """
    asked = tuple(agents.items())
    if asked in session.ready_for:
        return
    require_agents(session.registry, session.settings, agents)
    require_judge(session)
    if session.settings["claim_remote"]:
        find_remote(session.ledger, session.settings["claim_remote"])
    chain = read_chain(session.ledger, session.run.name, unsigned_too=not session.settings["signing_key"])
    if chain.next_attempt is None:
        spent = f"the error budget of run {session.run.name} is spent, by {len(chain.intents)} verifications"
        raise BudgetSpentError(spent, hint=NEW_RUN)
    next_recorded_look(session, unsigned_too=not session.settings["signing_key"])
    session.ready_for.add(asked)


def begin_run(session: Session, *, fresh: bool = False, seed: int | None = None, carried_alone: bool = False) -> None:
    """Record the session's run if it is new, once all is there that its rounds need.

    If another process, or another clone that shares the run, has started a run of that name meanwhile, the session continues that
    one.

    Args:
        session: Where.
        fresh, seed: What was asked of the run; see `autoqec.loop.session.open_run`.
        carried_alone: Whether the only round is carried over from another run, for which only the Analyst is asked.

    Raises:
        AutoQECError: As for `require_ready`.
        UsageError: Another process has started another run of that name meanwhile.
    """
    asked = agents_to_ask(session)
    require_ready(session, {role: name for role, name in asked.items() if role == "analyst" or not carried_alone})
    if session.run not in list_runs(session.ledger):
        remote = session.settings["claim_remote"]
        session.run = recorded_run(session.ledger, session.run, fresh=fresh, seed=seed, remote=remote)


def agents_to_ask(session: Session, claim: Claim | None = None) -> dict[Role, str]:
    """The agents that a round has still to ask, by role: none whose reply is on a tape, in git, or a person's.

    Args:
        session: Where.
        claim: The round's claim; None for one that is not claimed yet.
    """
    if session.tape is not None:
        return {}
    if claim is None:
        return {role: session.settings[role] for role in ROLES}
    state = read_state(session.ledger, claim.run, claim.number)
    named = claim.details.get("agents")
    agents: Mapping[str, object] = named if isinstance(named, dict) else {}
    heard = {call.role for call in read_calls(session.ledger, claim.run, claim.number) if call.reply is not None}
    return {
        role: str(agents[role])
        for role in ROLES
        if role in agents and agents[role] != PERSON and role not in heard and not _has_answered(state, role)
    }


def _has_answered(state: RoundState, role: Role) -> bool:
    told = {"ideator": state.hypothesis or state.commit, "coder": state.proposal or state.commit}
    return bool(told.get(role, state.analysis))


def require_agents(registry: Registry, settings: Settings, agents: Mapping[Role, str]) -> None:
    """Refuse agents that cannot be asked.

    Raises:
        AgentUnavailable: A key or a program is missing.
        NotFoundError, UsageError, AutoQECError: There is no such agent, its options are wrong, or its package is missing.
    """
    for role, name in agents.items():
        entry = registry.get("agent", name)
        line = missing_packages(registry, [entry]).get(entry.name)
        if line is not None:
            raise MissingPackageError(f"agent {name!r} needs a package that is not installed", hint=line)
        agent = agent_of(registry, settings, role, name)
        if isinstance(agent, CheckingAgent):
            agent.require_ready()


def require_judge(session: Session) -> None:
    """Refuse settings with which no verdict could be reached or noted.

    Raises:
        NotFoundError: There is no such verifier, executor or decoder.
        NoWorkers: The executor has workers elsewhere, and none is there.
        UsageError: The signing key cannot sign, there is no GPU, or the strong reference cannot be compared with here.
        AutoQECError: The lab is not writable, or a plugin cannot be loaded.
    """
    require_writable(session.ledger)
    for kind in ("verifier", "executor"):
        session.registry.get(kind, session.settings[kind]).load()
    decoder = session.environment.environment.decoder
    session.registry.get("decoder", decoder.kind).create(**decoder.fields)
    trusted(session.ledger)
    if session.settings["signing_key"]:
        sign_bytes(b"", Path(session.settings["signing_key"]).expanduser(), NAMESPACE)
    session.device  # noqa: B018 - raises if there is none
    _require_strong_reference(session)
    _require_executor(session)


def _require_executor(session: Session) -> None:
    """Open the executor, if it has options or workers elsewhere: training and an attempt would be spent before that fails.

    A worker elsewhere does a task. Once in a session: what is lost later is the executor's to replace.
    """
    name = session.settings["executor"]
    far = hasattr(session.registry.get("executor", name).load(), "watch")
    if name in session.executors_found or not (far or session.settings.executors.get(name)):
        return
    with session.executor() as executor:
        if far:
            executor.submit(Task("autoqec.testing.example_tasks:echo")).result()
    session.executors_found.add(name)


def _require_strong_reference(session: Session) -> None:
    kind = session.settings["strong_reference"]
    if kind in ("", NO_STRONG_REFERENCE):
        return
    if session.environment.environment.protocol.by_strata:
        raise UsageError(
            f"strong_reference: {kind} cannot be compared on shots by strata",
            hint="set strong_reference to none, or leave out protocol.sampling",
            code="no_strata",
        )
    if kind in session.strong_references:
        return
    try:
        compile_decoder(Choice(kind=kind), session.problem, session.registry)
    except AutoQECError as error:
        raise error.at("strong_reference") from error
    session.strong_references.add(kind)


def next_recorded_look(session: Session, *, unsigned_too: bool) -> int | None:
    """The number of the next look at the recording; None where shots are drawn.

    Raises:
        BudgetSpentError: Its error budget is spent.
    """
    if session.recording is None:
        return None
    looks = looks_at(session.ledger, session.recording, unsigned_too=unsigned_too)
    look = next_look(begun.look or 1 for begun in looks.values())
    if look is None:
        raise recording_spent(session.recording, len(looks))
    return look


def recording_spent(recording: str, looks: int) -> BudgetSpentError:
    """The error that no look at a recording is left, after so many."""
    return BudgetSpentError(
        f"the error budget of the recording {recording[:12]} is spent, by {looks} looks at its holdout",
        hint="record further shots, which have a budget of their own",
    )
