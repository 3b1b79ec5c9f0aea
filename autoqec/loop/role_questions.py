"""The question to each role in a round, and the checks of its answer: one function per role."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from autoqec.agents.agent_contract import Context, PastRound, Role
from autoqec.agents.asking import ask
from autoqec.agents.past_rounds import failed_composes, past_rounds
from autoqec.agents.role_messages import Hypothesis, Proposal
from autoqec.agents.same_ideas import same_idea
from autoqec.agents.tape import TapedAgent
from autoqec.candidate.schema import candidate_hash
from autoqec.errors import AutoQECError, UsageError
from autoqec.loop.agent_contexts import build_context
from autoqec.loop.candidate_files import canonical_files, sources_of, texts_of
from autoqec.loop.parents import check_parents, find_start
from autoqec.loop.round_state import RoundState
from autoqec.loop.round_view import RoundView, round_view
from autoqec.loop.rounds_beside import family_rounds
from autoqec.loop.session import Session, make_agent
from autoqec.loop.tracing import TracedCalls


@dataclass(frozen=True)
class Question:
    """The question to a role.

    Attributes:
        role: The role.
        context: The context that it receives.
        check: Raises UsageError or NotFoundError if a well-formed answer cannot be used here.
    """

    role: Role
    context: Context
    check: Callable[[Any], None]


def detail(state: RoundState, name: str) -> Any:
    """Read a detail that the round's claim must have.

    Raises:
        AutoQECError: The detail is missing; other software wrote the claim.
    """
    try:
        return state.claim.details[name]
    except KeyError as error:
        name = f"{state.claim.run}/{state.claim.number}"
        raise AutoQECError(f"the claim of {name} is damaged", hint=f"autoqec resume --abandon {name}") from error


def hypothesis_of(state: RoundState) -> Hypothesis:
    """The round's hypothesis, once it has one.

    Raises:
        AutoQECError: Its trace is gone or is none of ours: the round's branch and claim can come from elsewhere.
    """
    try:
        return Hypothesis.model_validate(state.hypothesis)
    except ValidationError as error:
        name = f"{state.claim.run}/{state.claim.number}"
        problem = (
            f"the hypothesis of {name} is {'missing from' if state.hypothesis is None else 'damaged in'} its trace"
        )
        raise AutoQECError(problem, hint=f"autoqec resume --abandon {name}") from error


def check_hypothesis(session: Session, view: RoundView, message: Hypothesis) -> None:
    """Refuse a hypothesis that no round can start from.

    Args:
        session: Where.
        view: The run, as the hypothesis' round sees it.
        message: The hypothesis.

    Raises:
        UsageError, NotFoundError: A parent is not there, or this merge is known to conflict.
    """
    check_parents(session.ledger, session.run, message)
    if tuple(sorted(message.fork_from)) in failed_composes(past_rounds(view.closed, lambda commit: {})):
        raise UsageError(f"composing {', '.join(message.fork_from)} conflicted before; choose other rounds")


def check_beside(message: Hypothesis, open_rounds: Iterable[PastRound]) -> None:
    """Refuse an agent's hypothesis that starts from an open round, or is the idea of one.

    Args:
        message: The hypothesis.
        open_rounds: The open rounds, as its round sees them.

    Raises:
        UsageError: It is one of these.
    """
    for other in open_rounds:
        if other.name in message.fork_from:
            problem = f"{other.name} is open, and has no weights and no results yet; start from a round that is closed"
            raise UsageError(problem, code="parent_open", about={"round": other.name})
        if same_idea(message, other):
            problem = f"this idea is tried now, by {other.name}; propose another"
            raise UsageError(problem, code="same_idea", about={"round": other.name})


def ask_ideator(session: Session, state: RoundState) -> Question:
    """The Ideator's question."""
    told, view = _told(session, state, family=family_rounds(session)), round_view(session, state.claim.number)

    def usable(message: Hypothesis) -> None:
        check_beside(message, told.open_rounds)
        check_hypothesis(session, view, message)

    return Question("ideator", told, usable)


def ask_coder(session: Session, state: RoundState, start: Mapping[str, bytes]) -> Question:
    """The Coder's question, with the files that the candidate starts from."""
    hypothesis = hypothesis_of(state).model_dump(mode="json")
    told = _told(session, state, hypothesis=hypothesis, parent_files=texts_of(start))
    known = (*told.open_rounds, *told.history)
    tried = {candidate_hash({p: t.encode() for p, t in r.files.items()}): r.name for r in known if r.files}

    def usable(message: Proposal) -> None:
        written = canonical_files(session, sources_of(message, start))
        if not any(path.startswith("stages/") for path in written):
            raise UsageError("a candidate needs at least one stage; the empty pipeline is the baseline itself")
        if (twin := tried.get(candidate_hash(written))) is not None:
            problem = f"this candidate is the same as {twin}; propose another"
            raise UsageError(problem, code="same_candidate", about={"round": twin})

    return Question("coder", told, usable)


def ask_analyst(session: Session, state: RoundState) -> Question:
    """The Analyst's question: whether the round is worth a verification."""
    files = texts_of(state.files)
    metrics = state.metrics
    told = _told(session, state, hypothesis=state.hypothesis, parent_files=files, metrics=metrics)
    return Question("analyst", told, lambda message: None)


def question_to(session: Session, state: RoundState, role: Role) -> Question:
    """The question to a role, in a round that has reached that step.

    Raises:
        AutoQECError: The result of an earlier step is missing or damaged.
    """
    if role == "ideator":
        return ask_ideator(session, state)
    if role == "coder":
        return ask_coder(session, state, find_start(session.ledger, session.run, hypothesis_of(state)).files)
    return ask_analyst(session, state)


def put(session: Session, state: RoundState, question: Question) -> Any:
    """Put a question to the agent that plays the role, or to the tape in its place; see `autoqec.agents.asking.ask`."""
    agents = detail(state, "agents")
    agent = TapedAgent(session.tape) if session.tape else make_agent(session, question.role, agents[question.role])
    calls = TracedCalls(session, state.claim, agents)
    return ask(agent, question.role, question.context, question.check, calls)


def _told(session: Session, state: RoundState, **fields: Any) -> Context:
    return build_context(session, state.claim.number, detail(state, "profile"), **fields)
