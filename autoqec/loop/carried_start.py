"""A round that starts from a round as it is, in another run: *train small, use large*."""

from __future__ import annotations

from autoqec.agents.role_messages import Hypothesis, Proposal
from autoqec.candidate_paths import TRAINING_FILE
from autoqec.canonical import dump_yaml, told_fields
from autoqec.errors import UsageError
from autoqec.history import Ledger, Run, load_run, parse_round_name
from autoqec.loop.candidate_files import canonical_files, sources_of
from autoqec.loop.parents import check_parents, find_start
from autoqec.loop.session import Session


def check_origin(ledger: Ledger, run: Run, name: str) -> None:
    """Refuse a round that no round of this run can start from.

    Raises:
        NotFoundError, UsageError: There is no such round, or it is of another family.
    """
    check_parents(ledger, run, Hypothesis(text="a start", fork_from=("/".join(map(str, parse_round_name(name))),)))


def carried_start(session: Session, name: str, *, untrained: bool) -> tuple[Hypothesis, Proposal]:
    """A person's hypothesis and candidate: the round's own files, trained further from its weights, or not at all.

    Args:
        session: Of the run in which to start.
        name: The round to start from, `run/number`, in any run of the environment's family.
        untrained: Whether its weights are used as they are.

    Raises:
        NotFoundError, UsageError, AutoQECError: There is no such round, it is of another family, or its candidate does not fit
            this environment.
    """
    run, number = parse_round_name(name)
    name = f"{run}/{number}"  # of the forms that a person may type, a hypothesis knows this one
    there, here = load_run(session.ledger, run).env_name, session.run.env_name
    where = f"from {there} on {here}" if there != here else f"on {here}"
    text = f"The weights of {name} decode {where}" + (" as they are" if untrained else " after training there")
    hypothesis = Hypothesis(text=text, fork_from=(name,))
    check_origin(session.ledger, session.run, name)
    start = find_start(session.ledger, session.run, hypothesis).files
    if not any(path.startswith("stages/") for path in start):
        raise UsageError(f"{name} has no stage, so it has no weights to start from", hint="autoqec log --run RUN")
    changes = {"init": "parents", **({"shots": 0} if untrained else {})}
    told = {**told_fields(start, TRAINING_FILE), **changes}
    proposal = Proposal(files={TRAINING_FILE: dump_yaml(told)}, edit=True, message=f"{text}.")
    canonical_files(session, sources_of(proposal, start))
    return hypothesis, proposal
