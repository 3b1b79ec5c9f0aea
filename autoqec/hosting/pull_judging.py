"""Judges the round of a pull request in a CI job: audits its verdict and draws its shots again. It writes nothing to git."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from autoqec.errors import UsageError
from autoqec.hosting.host_places import TOKEN
from autoqec.hosting.judged_rounds import JudgedRound, could_not_judge, judged
from autoqec.hosting.pull_events import PullRequest
from autoqec.loop.auditing import audit_round
from autoqec.loop.drawn_again import replay_faults
from autoqec.loop.round_state import RoundState
from autoqec.loop.session import Session
from autoqec.plugins import Registry


def require_no_token(registry: Registry, environ: Mapping[str, str]) -> None:
    """Refuse to judge where a token of a host is among the variables, because judging runs code of the pull request.

    That code is behind the sandbox's lock; a token that is not there cannot be lost if the lock has a hole.

    Raises:
        UsageError: There is one; names the variable.
    """
    names = {TOKEN, *(each for entry in registry.all("host") for each in entry.capabilities.get("tokens", ()))}
    there = sorted(name for name in names if environ.get(name))
    if there:
        raise UsageError(
            f"{there[0]} is set: code of a pull request is judged without a token of the host",
            hint=f"give it to the job that runs autoqec ci tell, and here: env -u {' -u '.join(there)} autoqec ci judge",
        )


def judge_pull(
    state: RoundState, pull: PullRequest, open_session: Callable[[], AbstractContextManager[Session]], *, replay: bool
) -> JudgedRound:
    """Audit the verdict that counts of a pull request's round, and draw its shots again.

    Args:
        state: The round, as it was pulled.
        pull: The pull request.
        open_session: Opens a session of its run.
        replay: Whether to draw the shots again.
    """
    if state.commit != pull.commit:
        why = f"the branch is at {pull.commit[:10]}, but the round is commit {str(state.commit)[:10]}"
        return could_not_judge(pull.name, pull.commit, why)
    if state.verdict is None:
        why = "the round has no verdict" if state.trust is None else f"no verdict counts: {state.trust.why}"
        return could_not_judge(pull.name, pull.commit, why)
    if replay and state.weights is None:
        why = "its weights are not in the repository of the pull request: autoqec push --artifacts"
        return could_not_judge(pull.name, pull.commit, why)
    with open_session() as session:
        findings = audit_round(session, state, state.verdict, state.trust)
        if replay:
            findings += replay_faults(session, state, state.verdict)
    return judged(pull.name, pull.commit, state.verdict, findings, replayed=replay)
