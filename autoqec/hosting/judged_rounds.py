"""What a CI job found out about a round: the few words that go on from the job that judges to the job that writes.

The job that judges runs code of the pull request, behind the sandbox's lock, and has no token. So what it says is data for the
job that has one: read strictly, bounded, and without a word of markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from autoqec.counted_words import cut_line
from autoqec.errors import UsageError
from autoqec.hosting.host_contract import CommitStatus, State
from autoqec.reporting.round_sections import ratio_and_interval
from autoqec.results.reasons import verdict_words
from autoqec.results.verdict import Verdict

SCHEMA = "autoqec.judged/1"

#: The size of a result.
JUDGED_BYTES = 64 * 2**10  # a job's output goes on as one environment variable, of which Linux takes 128 KiB
_MOST = 20
_LONGEST = 300


@dataclass(frozen=True)
class JudgedRound:
    """A round of a pull request, judged again.

    Attributes:
        round: Its name, `run/number`.
        commit: The last commit of the pull request.
        state: What the commit's status says: `success` if the verdict is VERIFIED and all was found as it is noted, `failure`
            if not, `error` if it could not be judged.
        description: The same in a line.
        verdict: The verdict's word; None if none counts.
        replayed: Whether its shots were drawn again.
        findings: What does not agree with the verdict's note, or why it could not be judged.
    """

    round: str
    commit: str
    state: State
    description: str
    verdict: str | None = None
    replayed: bool = False
    findings: tuple[str, ...] = ()

    def status(self, url: str | None = None) -> CommitStatus:
        """The commit's status, with the address of a page that says more."""
        return CommitStatus(self.state, self.description, url).fitted()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"schema": SCHEMA, **vars(self), "findings": list(self.findings)}


def could_not_judge(round_name: str, commit: str, why: str) -> JudgedRound:
    """The result where a round could not be judged."""
    return JudgedRound(round_name, commit, "error", f"not judged: {why}", findings=_bounded([why]))


def judged(round_name: str, commit: str, verdict: Verdict, findings: Iterable[str], *, replayed: bool) -> JudgedRound:
    """The result of an audit, and of a replay if there was one.

    Args:
        round_name: `run/number`.
        commit: The round's.
        verdict: The one that counts.
        findings: What was not found as it is noted.
        replayed: Whether the shots were drawn again.
    """
    found = _bounded(findings)
    done = "audited and replayed" if replayed else "audited, not replayed"
    if found:
        what = f"{verdict.verdict} does not hold: {found[0]}"
        return JudgedRound(round_name, commit, "failure", what, verdict.verdict, replayed, found)
    figures = verdict.figures
    ratio = ""
    if figures is not None and figures.ler_ratio is not None:
        ratio = f", ratio {ratio_and_interval(figures.ler_ratio, figures.ratio_interval)}"
    what = f"{verdict_words(verdict.verdict, verdict.reason)}{ratio}; {done}"
    return JudgedRound(
        round_name, commit, "success" if verdict.verified else "failure", what, verdict.verdict, replayed
    )


def read_judged(text: str) -> JudgedRound:
    """Read a result, as `autoqec ci judge` prints it.

    Raises:
        UsageError: It is none.
    """
    try:
        told = json.loads(text) if len(text.encode()) <= JUDGED_BYTES else None
    except (ValueError, RecursionError):
        told = None
    fields = dict(told) if isinstance(told, dict) and told.get("schema") == SCHEMA else {}
    fields.pop("schema", None)
    findings = fields.get("findings")
    texts = [fields.get(name) for name in ("round", "commit", "description")]
    texts += findings if isinstance(findings, list) else [None]
    texts += [] if fields.get("verdict") is None else [fields["verdict"]]
    sound = set(fields) == set(JudgedRound.__dataclass_fields__) and all(isinstance(each, str) for each in texts)
    if not sound or fields["state"] not in get_args(State) or not isinstance(fields["replayed"], bool):
        raise UsageError("this is not what autoqec ci judge printed", hint="autoqec ci judge > judged.json")
    lines = {name: cut_line(fields[name], _LONGEST) for name in ("description", "verdict") if fields[name] is not None}
    return JudgedRound(**{**fields, **lines, "findings": _bounded(fields["findings"])})


def _bounded(findings: Iterable[str]) -> tuple[str, ...]:
    """The first of the findings, each as one line of bounded length."""
    cut = [cut_line(found, _LONGEST) for found in findings]
    return tuple(cut[:_MOST]) + ((f"and {len(cut) - _MOST} more",) if len(cut) > _MOST else ())
