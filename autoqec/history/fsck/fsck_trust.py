"""Checks what the lines of notes are worth: which of them do not count, and why."""

from __future__ import annotations

from collections.abc import Iterator

import pygit2

from autoqec.errors import AutoQECError
from autoqec.history.fsck.examination import Examined, Finding, Severity, Survey
from autoqec.history.rounds.notes import NOTES
from autoqec.history.rounds.signatures import examine
from autoqec.results.trust.line_trust import Standing


def _finding(code: str, severity: Severity = "error") -> tuple[str, Severity]:
    """The code and severity of a finding."""
    return code, severity


_INVALID = {
    "verdict": _finding("verdict-invalid"),
    "metrics": _finding("metrics-invalid"),
    "analysis": _finding("analysis-invalid"),
}
_ALTERED, _UNSIGNED = _finding("verdict-altered"), _finding("verdict-unsigned", "warning")
_FOREIGN = {"commit": _finding("verdict-copied"), "environment": _finding("verdict-environment")}
_FOREIGN_OTHERWISE = _finding("verdict-foreign")


def check_trust(survey: Survey) -> Iterator[Finding]:
    """Find lines of notes that do not count, and what the verdicts that count contradict."""
    for found in survey.rounds.values():
        if found.commit is not None:
            yield from _lines(survey, found)
            yield from _counting(survey, found)
    for run in sorted({found.run for found in survey.rounds.values()}):
        yield from _strays(survey, run)


def _lines(survey: Survey, found: Examined) -> Iterator[Finding]:
    """Report the lines on a round's commit that do not count, one finding for each code."""
    notes, commit = survey.trusted(found), str(found.commit)
    groups: dict[tuple[str, tuple[str, Severity]], list[str]] = {}
    for kind, line, why in notes.broken:
        groups.setdefault((kind, _INVALID[kind]), []).append(f"{line.id[:40]}: {why}")
    asked = survey.trust(found.run).examined.asked.signed_only
    for each in notes.ruling.standings:
        what = _code(each, asked)
        if what is not None:
            groups.setdefault(("verdict", what), []).append(f"{each.line.id[:40]}: {each.why}")
    for (kind, (code, severity)), lines in groups.items():
        ref = f"{NOTES}{found.run}/{kind}"
        count = (
            f"{len(lines)} lines of its note on {commit[:10]}"
            if len(lines) > 1
            else f"a line of its note on {commit[:10]}"
        )
        verb = "do" if len(lines) > 1 else "does"
        problem = f"{count} (round {found.name}) {verb} not count, {lines[0][:300]}"
        hint = f"git notes --ref={ref} show {commit[:10]}; no reader believes what does not count"
        if severity == "warning":
            hint = f"autoqec verify exp/{found.name}, with signing_key; or set trust to any"
        yield Finding(code, severity, ref, problem, hint)
    for sentence in notes.ruling.conflicts:
        hint = f"git notes --ref={NOTES}{found.run}/verdict show {commit[:10]}; autoqec verify exp/{found.name}"
        yield Finding(
            "verdict-conflict", "error", f"{NOTES}{found.run}/verdict", f"round {found.name}: {sentence}", hint
        )


def _code(standing: Standing, asked: bool) -> tuple[str, Severity] | None:
    """The code and severity of the finding about a line; None if there is none."""
    if standing.state == "invalid":
        return _ALTERED if standing.field == "signature" else _INVALID["verdict"]
    if standing.state == "foreign":
        return _FOREIGN.get(standing.field, _FOREIGN_OTHERWISE)
    return _UNSIGNED if standing.state == "unsigned" and asked else None


def _counting(survey: Survey, found: Examined) -> Iterator[Finding]:
    """Check the signature and the metrics of the verdict that counts."""
    notes, ref = survey.trusted(found), f"{NOTES}{found.run}/verdict"
    verdict = notes.ruling.verdict
    if verdict is None:
        return
    name, again = f"the verdict {verdict.line.id[:40]} on {str(found.commit)[:10]}", f"autoqec verify exp/{found.name}"
    # Without allowed signers nobody has looked at its signature yet.
    unseen = verdict.state != "signed" and "signature" in verdict.record
    try:
        altered = unseen and examine(dict(verdict.record), None).word == "altered"
    except AutoQECError as error:
        altered = False
        yield Finding(
            "signature-unchecked",
            "warning",
            ref,
            f"the signature of {name} was not checked: {error.problem}",
            error.hint or again,
        )
    if altered:
        problem = f"{name} (round {found.name}) was changed after it was signed"
        yield Finding("verdict-altered", "error", ref, problem, f"git log -p {ref}; {again}")
    named = verdict.record.get("metrics")
    lines = survey.lines(found.run, "metrics").get(str(found.commit), [])
    if named is None:
        return
    if all(line.id != named for line in lines):
        problem = f"{name} (round {found.name}) names metrics that are missing, {str(named)[:40]}"
        yield Finding(
            "metrics-absent", "warning", ref, problem, f"autoqec pull <remote>, which may have them; otherwise {again}"
        )
    elif any(line.record.get("supersedes") == named for line in lines):
        problem = f"{name} (round {found.name}) names metrics that others say they supersede, {str(named)[:40]}"
        yield Finding("metrics-superseded", "warning", ref, problem, again)


def _strays(survey: Survey, run: str) -> Iterator[Finding]:
    """Report verdicts that would count if their commit were one of a round of the run."""
    commits = {found.commit for found in survey.rounds.values() if found.run == run}
    commits |= survey.dropped.get(run, set())
    trust, strays = survey.trust(run), []
    for commit, lines in survey.lines(run, "verdict").items():
        here = isinstance(survey.ledger.repo.get(commit), pygit2.Commit)  # else there is another finding
        if here and commit not in commits and trust.read(commit, (), None, {"verdict": lines}).verdict is not None:
            strays.append(commit)
    if strays:
        ref, places = f"{NOTES}{run}/verdict", f"refs/heads/exp/{run}/*"
        more = f", and {len(strays) - 1} more" if len(strays) > 1 else ""
        problem = f"it has a verdict on {strays[0][:10]}{more}, which is of no round that is here, so it does not count"
        hint = f"git fetch <remote> '{places}:{places}', if it has such rounds"
        yield Finding("verdict-astray", "warning", ref, problem, hint)
