"""`autoqec verify`: judge a round again, on fresh shots; or audit a verdict against its own note."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab, run_session, say_loading

if TYPE_CHECKING:
    from autoqec.history import Ledger
    from autoqec.loop.front_verification import OpenSession
    from autoqec.loop.judging import Asked
    from autoqec.loop.round_state import RoundState
    from autoqec.loop.session import Session
    from autoqec.results.trust.line_trust import Standing
    from autoqec.results.verdict import Verdict


@click.command()
@click.argument("round_name", metavar="[ROUND]", required=False)
@click.option("--max-shots", default=None, type=click.IntRange(50_000), help="Stop undecided after this many shots.")
@click.option(
    "--max-seconds",
    default=None,
    type=click.FloatRange(0),
    help="Stop undecided after this long; 0 for no limit. The profile's verify_seconds by default.",
)
@click.option(
    "--alpha",
    default=None,
    type=click.FloatRange(0, 0.5, True, True),
    help="A smaller error budget than the environment's.",
)
@click.option("--beacon", default="", help="Public randomness, newer than the commit, to mix into the holdout key.")
@click.option(
    "--certificate",
    default="sampled",
    type=click.Choice(["sampled", "full"]),
    help="Pairs of faults in the distance certificate: a random sample, or all of them (up to four million).",
)
@click.option(
    "--seed-key", default=None, help="Holdout key (64 hex digits) of a verdict to replay; a replay is not recorded."
)
@click.option("--audit", is_flag=True, help="Recompute the latest verdict (or that of --seed-key) from its own note.")
@click.option("--replay", is_flag=True, help="With --audit: also draw its shots again, if this machine can.")
@click.option(
    "--attest",
    default=None,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the verdict that counts to this file as an in-toto statement, signed if signing_key is set. Judges nothing.",
)
@click.option(
    "--front", is_flag=True, help="Judge all rounds on the front again; give a run instead of ROUND to limit it."
)
@click.option("--head-to-head", is_flag=True, help="Decide close pairs of the front on shots that both rounds share.")
@options.work_options
def command(
    round_name: str | None,
    max_shots: int | None,
    max_seconds: float | None,
    alpha: float | None,
    beacon: str,
    certificate: str,
    seed_key: str | None,
    audit: bool,
    replay: bool,
    attest: Path | None,
    front: bool,
    head_to_head: bool,
    as_json: bool,
    quiet: bool,
    **settings_flags: Any,
) -> int:
    """Judge a round again, on fresh shots, from git alone. ROUND is exp/<run>/<N>.

    Exit code 0 if VERIFIED, 1 otherwise. Every verification spends a share of the run's error budget. A replay spends none: it
    draws the shots of an earlier verdict again and compares the results.

    --audit judges nothing: it recomputes the verdict's evidence, level, figures, checks and word from its counts. Exit code 0
    if they agree. --attest judges nothing either: it audits the verdict that counts and writes it for tools that read in-toto.
    With --front, exit code 0 if all rounds are VERIFIED again.
    """
    from functools import partial

    from autoqec.errors import NotFoundError, UsageError
    from autoqec.history import load_run, parse_round_name

    if replay and not audit:
        raise UsageError("--replay needs --audit", hint="add --audit, or name a verdict with --seed-key")
    if attest is not None and (audit or seed_key or front or head_to_head):
        raise UsageError("--attest goes alone", hint="leave the others out: it audits the verdict before it attests it")
    if front or head_to_head:
        if audit or seed_key or (front and head_to_head):
            raise UsageError(
                "--front, --head-to-head and --audit or --seed-key each go alone", hint="leave all but one out"
            )
    elif round_name is None:
        raise UsageError(
            "the round is missing", hint="autoqec verify exp/<run>/<N>, or --front for all rounds on the front"
        )
    if attest is not None:
        from autoqec.whole_files import require_place

        require_place(attest)
    ledger, settings = open_lab(settings_flags)
    say_loading(quiet=quiet)
    from autoqec.loop.judging import Asked
    from autoqec.loop.round_state import find_verdict, read_state
    from autoqec.plugins import load_plugins

    asked = Asked(max_shots, alpha, beacon, certificate == "full", max_seconds)
    if front or head_to_head:
        open_session = partial(run_session, ledger, load_plugins(), settings, quiet=quiet)
        if head_to_head:
            return _decide_pairs(ledger, round_name, max_shots, open_session, as_json=as_json)
        return _front(ledger, round_name, asked, open_session, as_json=as_json)
    run_name, number = parse_round_name(str(round_name))
    run = load_run(ledger, run_name)
    state = read_state(ledger, run_name, number)
    noted, standing = find_verdict(state, seed_key) if seed_key is not None else (None, state.trust)
    needs_weights = attest is None and (not audit or replay)
    if state.commit is None or (state.weights is None and needs_weights):
        raise NotFoundError(
            f"round {run_name}/{number} has no weights in this lab, so you cannot verify it here",
            hint="autoqec resume if it was interrupted here, autoqec pull --artifacts if it is from a remote",
        )
    with run_session(ledger, load_plugins(), settings, run, quiet=quiet) as session:
        if attest is not None:
            return _attest(session, state, attest, as_json=as_json)
        if audit:
            return _audit(session, state, standing, replay=replay, as_json=as_json)
        return _judge(session, state, noted, asked, as_json=as_json)


def _decide_pairs(
    ledger: Ledger, run_name: str | None, max_shots: int | None, open_session: OpenSession, *, as_json: bool
) -> int:
    from autoqec.loop.front_verification import decide_pairs
    from autoqec.views.console import print_json, say
    from autoqec.views.front_json import empty_front, read_fronts
    from autoqec.views.log_lines import read_lines
    from autoqec.views.verify_text import print_head_to_head

    runs = read_lines(ledger, run_name)
    fronts = [each.front for each in read_fronts(ledger, runs)]
    if not any(front.members for front in fronts):
        say(empty_front(runs, run_name))
    elif not any(front.open_pairs for front in fronts):
        say("no pair of rounds on the front is close and undecided")
    for found, second in decide_pairs(ledger, fronts, max_shots, open_session):
        fields = {"schema": "autoqec.duel/1", **found.to_note(), "pair": [found.rival_name, second]}
        print_json([fields]) if as_json else print_head_to_head(found, second)
    return 0


def _front(ledger: Ledger, run_name: str | None, asked: Asked, open_session: OpenSession, *, as_json: bool) -> int:
    from autoqec.loop.front_verification import refute
    from autoqec.views.console import print_json, say
    from autoqec.views.front_json import empty_front, kept_fronts
    from autoqec.views.log_lines import read_lines
    from autoqec.views.verify_text import print_refuted

    whole, runs = True, read_lines(ledger, run_name)
    fronts = kept_fronts(ledger, runs)
    if not any(front.members for front in fronts):
        say(empty_front(runs, run_name))
    for front in fronts:
        for row in refute(ledger, front, asked, open_session):
            print_json([{"schema": "autoqec.verdict/1", **row.to_json()}]) if as_json else print_refuted(row)
            whole &= row.verdict is not None and row.verdict.verified
    return 0 if whole else 1


def _judge(session: Session, state: RoundState, replay: Verdict | None, asked: Asked, *, as_json: bool) -> int:
    from autoqec.loop.auditing import replay_differences
    from autoqec.loop.judging import judge
    from autoqec.views.console import print_json
    from autoqec.views.verdict_text import print_verdict

    verdict = judge(session, state, asked, replay=replay)
    agrees = None if replay is None else not replay_differences(replay, verdict)
    if as_json:
        told = {"schema": "autoqec.verdict/1", **verdict.to_note()}
        print_json([told if agrees is None else {**told, "replay_agrees": agrees}])
    else:
        print_verdict(verdict, replay_agrees=agrees)
    return 0 if verdict.verified and agrees is not False else 1


def _attest(session: Session, state: RoundState, file: Path, *, as_json: bool) -> int:
    from autoqec.canonical import dump_json
    from autoqec.loop.attesting import attest
    from autoqec.views.console import print_json
    from autoqec.views.verify_text import print_attested
    from autoqec.whole_files import write_file

    found = attest(session, state)
    write_file(file, f"{dump_json(found)}\n".encode())
    run, number, signed = state.claim.run, state.claim.number, "payload" in found
    if as_json:
        print_json(
            [{"schema": "autoqec.attestation/1", "run": run, "round": number, "file": str(file), "signed": signed}]
        )
    else:
        print_attested(f"{run}/{number}", str(file), signed=signed)
    return 0


def _audit(session: Session, state: RoundState, standing: Standing | None, *, replay: bool, as_json: bool) -> int:
    from autoqec.errors import NotFoundError
    from autoqec.loop.auditing import audit_round
    from autoqec.results.verdict import parse_verdict
    from autoqec.views.console import print_json
    from autoqec.views.verify_text import print_audit

    name = f"{state.claim.run}/{state.claim.number}"
    verdict = parse_verdict(standing.record).record if standing is not None else None
    if standing is None or verdict is None:
        raise NotFoundError(f"round {name} has no verdict", hint=f"autoqec verify exp/{name}")
    found = audit_round(session, state, verdict, standing)
    if replay:
        from autoqec.loop.drawn_again import replay_faults

        found += replay_faults(session, state, verdict)
    if as_json:
        fields = {"schema": "autoqec.audit/1", "run": state.claim.run, "round": state.claim.number}
        evidence = verdict.evidence
        fields |= {"commit": evidence.commit or None, "id": evidence.id or None}
        fields |= {"verdict": verdict.verdict, "reason": verdict.reason}
        print_json([{**fields, "replayed": replay, "disagreements": found, "trust": standing.to_json()}])
    else:
        print_audit(name, verdict, found)
    return 1 if found else 0
