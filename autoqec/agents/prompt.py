"""A context in words: the prompt of a role, what stays the same first, what changes each round last, bounded in tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from autoqec.agents.agent_contract import Context, PastRound, Role
from autoqec.agents.dead_ends import dead_ends
from autoqec.agents.diagnosis.all_rules import findings_of
from autoqec.agents.quoting import count_tokens, quoted, section, shortened, trimmed, without_empty
from autoqec.agents.role_messages import MESSAGES
from autoqec.json_values import JsonObject
from autoqec.results.figures import row_of

#: Tokens of a prompt, all parts together, unless an agent asks for other.
PROMPT_TOKENS = 60_000

#: Characters of one round's words in the table of rounds, and of a reply that is shown again.
_WORDS = 300
_PREVIOUS = 4_000

#: Of what the lab's owner wrote.
_STEERING = 20_000

#: How many open rounds the prompt names; the share of what is left for files that says what their candidates change, and the
#: characters of one file.
_OPEN, _OPEN_FILES, _OPEN_TEXT = 16, 0.25, 2_000

#: How many findings about a run the prompt contains.
_FINDINGS = 8


@dataclass(frozen=True)
class Prompt:
    """The prompt of a role.

    Attributes:
        system: The rules and the role, and the schema of the reply: the same for all calls of the role.
        stable: Environment, stage kinds, limits, knowledge and steering: the same for all rounds of a run.
        volatile: History, front, dead ends, machine, budget, and what this call is about.
        schema: JSON schema of the reply.
    """

    system: str
    stable: str
    volatile: str
    schema: JsonObject

    @property
    def text(self) -> str:
        """All of it, for what takes one text."""
        return "\n\n".join((self.system, self.stable, self.volatile)) + "\n"

    @property
    def tokens(self) -> int:
        """About how many tokens it has."""
        return count_tokens(self.text)


@cache
def _ours(name: str) -> str:
    return (files("autoqec.agents") / "texts" / f"{name}.md").read_text("utf-8").rstrip("\n")


def schema_of(role: Role) -> dict[str, Any]:
    """JSON schema of the message a role sends."""
    return MESSAGES[role].model_json_schema()


def render(role: Role, context: Context, *, limit: int = PROMPT_TOKENS) -> Prompt:
    """The prompt of a role.

    Args:
        role: Who is asked.
        context: What it knows.
        limit: Approximate limit on the tokens of all parts; to keep it, past rounds are shortened and the oldest left out.
    """
    schema = schema_of(role)
    system = "\n\n".join(
        (_ours("rules").replace("{role}", role), _ours(role), f"The schema of your reply:\n{quoted(schema)}")
    )
    stable = "\n\n".join(
        (
            section("environment", trimmed(context.environment)),
            section("stage_kinds", *({"kind": name, **about} for name, about in sorted(context.stages.items()))),
            section("formats", *({"path": path, "schema": schema} for path, schema in sorted(context.formats.items()))),
            section("limits", context.limits),
            f"What is known:\n\n{_ours('knowledge')}",
            section("steering", shortened(context.steering, _STEERING)),
        )
    )
    now = _now(role, context)
    left = limit - sum(map(count_tokens, (system, stable, now)))
    past = _past(role, context, left) if role != "analyst" else section("front", *_front(context))
    return Prompt(system, stable, f"{past}\n\n{now}", schema)


def _now(role: Role, context: Context) -> str:
    """What this call is about."""
    parts = [section("round", {"run": context.run, "round": context.round, "you_are": role})]
    if role == "ideator":
        parts.append(section("machine", trimmed(context.machine)))
        parts.append(section("budget", context.budget))
    else:
        parts.append(section("hypothesis", context.hypothesis))
        parts.append(section("parent_files" if role == "coder" else "candidate_files", trimmed(context.parent_files)))
    if role == "analyst":
        parts.append(section("metrics", trimmed(context.metrics.to_note() if context.metrics else None)))
    if context.repair is not None:
        parts.append(section("previous_reply", shortened(context.previous, _PREVIOUS)))
        parts.append(section("problem", context.repair))
        parts.append("Your previous reply could not be used, for that reason. Answer again, whole.")
    else:
        parts.append("Answer now, with one JSON object.")
    return "\n\n".join(parts)


def _front(context: Context) -> list[dict[str, Any]]:
    by_name = {past.name: past for past in context.history}
    return [_row(by_name[name]) for name in context.front if name in by_name]


def _row(past: PastRound) -> dict[str, Any]:
    """A round in a line."""
    metrics, holdout = past.metrics, past.holdout
    costs = metrics.costs if metrics else None
    figures = row_of(holdout.figures, holdout) if holdout else row_of(metrics.figures if metrics else None, costs)
    return without_empty(
        {
            "round": past.name,
            "fork_from": list(past.fork_from),
            "compose": past.compose if past.compose != "none" else None,
            "status": past.status,
            "reason": shortened(past.reason or "", _WORDS),
            "hypothesis": shortened(past.hypothesis, _WORDS),
            "verdict": past.verdict,
            "verdict_reason": past.verdict_reason,
            **figures,
            "train_seconds": costs.train_seconds if costs else None,
            "decision": past.decision,
            "summary": shortened(past.summary, _WORDS),
            "next_seed": shortened(past.next_seed, _WORDS),
        }
    )


def _past(role: Role, context: Context, tokens: int) -> str:
    """Everything about earlier rounds, within so many tokens."""
    ends = [{**end, "reason": shortened(str(end["reason"]), _WORDS)} for end in dead_ends(context.history)]
    fixed = [
        section("baseline", _baseline(context)),
        section("front", *context.front),
        section("dead_ends", *ends[-64:]),
        *([section("findings", *_findings(context))] if role == "ideator" else []),
        *(section(name, told) for name, told in _where_to_aim(context) if role == "ideator"),
        section("failed_composes", *map(list, context.failed_composes[-64:])),
        *(section(name, *rows) for name, rows in _beside(context) if role == "ideator" and rows),
    ]
    left = tokens - sum(map(count_tokens, fixed))
    kept, gone = _rows(context, left // 2)
    left -= sum(count_tokens(quoted(row)) for row in kept)
    changed = _open_files(context, int(_OPEN_FILES * left)) if role == "ideator" else []
    left -= sum(count_tokens(quoted(item)) for item in changed)
    fixed += [section("open_files", *changed)] if changed else []
    shown = section("history", *([{"left_out": gone, "why": "older, and not on the front"}] if gone else []), *kept)
    return "\n\n".join((shown, *fixed, section("files", *_files(context, left))))


def _findings(context: Context) -> list[dict[str, Any]]:
    """What is wrong with the run as a whole."""
    return [
        {
            "cause": finding.cause,
            "evidence": [shortened(each, _WORDS) for each in finding.evidence],
            "means": finding.says,
            "next_step": shortened(finding.next_step, _WORDS),
        }
        for finding in findings_of(context.run, context.history, context.stages, context.formats)[:_FINDINGS]
    ]


def _where_to_aim(context: Context) -> Iterator[tuple[str, dict[str, Any]]]:
    """How much room is left to a decoder near maximum likelihood, and where failures are: of the best round that has them."""
    by_name = {past.name: past for past in context.history}
    order = [*(by_name[name] for name in context.front if name in by_name), *reversed(context.history)]
    for past in order:
        gap = past.share_of_gap
        if gap is not None and gap.share is not None:
            rates = {"plain": gap.baseline.ler, "candidate": gap.candidate.ler, gap.reference: gap.strong.ler}
            told = {"share_closed": round(gap.share, 3), "share_left": round(1 - gap.share, 3), "shots": gap.shots}
            yield "room_left", {"round": past.name, "near_ml": gap.reference, **told, "ler": rates}
            break
    for past in order:
        bands = past.metrics.failure_bands if past.metrics else ()
        if bands and past.metrics:
            kinds: dict[str, list[dict[str, Any]]] = {}
            for band in bands:
                row = {"up_to": band.up_to, "shots": band.shots, "plain": band.baseline, "candidate": band.candidate}
                kinds.setdefault(f"by_{band.by}", []).append(row)
            yield "failures", {"round": past.name, "development_shots": past.metrics.figures.shots, **kinds}
            break


def _beside(context: Context) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Ideas that are being tried now, and the best round of each other environment of the family, a line each."""
    yield (
        "open_rounds",
        [
            without_empty(
                {
                    "round": past.name,
                    "fork_from": list(past.fork_from),
                    "compose": past.compose if past.compose != "none" else None,
                    "hypothesis": shortened(past.hypothesis, _WORDS),
                }
            )
            for past in context.open_rounds[-_OPEN:]
        ],
    )
    best = {str(each.environment.get("name")): each.past for each in context.family}  # the last one is the best
    yield (
        "family",
        [
            {
                "environment": name,
                "round": past.name,
                "hypothesis": shortened(past.hypothesis, _WORDS),
                "ler_ratio": past.metrics.figures.ler_ratio if past.metrics else None,
            }
            for name, past in sorted(best.items())
        ],
    )


def _open_files(context: Context, tokens: int) -> list[dict[str, Any]]:
    """The files of open rounds' candidates that their first parents have not, the newest rounds', as many as fit."""
    by_name = {past.name: past.files for past in context.history}
    found: list[dict[str, Any]] = []
    for past in reversed(context.open_rounds[-_OPEN:]):
        before = by_name.get(past.fork_from[0], {}) if past.fork_from else {}
        changed = {path: shortened(text, _OPEN_TEXT) for path, text in past.files.items() if before.get(path) != text}
        item = without_empty(
            {"round": past.name, "files": changed, "removed": sorted(before.keys() - past.files.keys())}
        )
        tokens -= count_tokens(quoted(item))
        if tokens < 0:
            break
        if past.files:
            found.append(item)
    return found[::-1]


def _baseline(context: Context) -> dict[str, Any]:
    """How often the plain decoder and the references fail, by the newest round that was scored."""
    # A round that its screen ended was scored on few shots, and without references.
    scored = next((p for p in reversed(context.history) if p.metrics and not p.metrics.screened_out), None)
    told = {"decoder": context.environment.get("decoder")}
    if scored is None or scored.metrics is None:
        return told
    figures = scored.metrics.figures
    measured = {
        "ler_baseline": figures.ler_baseline,
        "references": scored.metrics.references,
        "shots": figures.shots,
    }
    return without_empty({**told, **measured, "by": scored.name})


def _rows(context: Context, tokens: int) -> tuple[list[dict[str, Any]], int]:
    """The front's rounds and the newest in a line each, oldest first, as many as fit; and how many do not."""
    order = [past for past in context.history if past.name in context.front]
    order += [past for past in reversed(context.history) if past.name not in context.front]
    rows: dict[str, dict[str, Any]] = {}
    for past in order:
        row = _row(past)
        tokens -= count_tokens(quoted(row))
        if tokens < 0:
            break
        rows[past.name] = row
    return [rows[past.name] for past in context.history if past.name in rows], len(context.history) - len(rows)


def _files(context: Context, tokens: int) -> list[dict[str, Any]]:
    """The candidates that a next round is likely to start from, as files: the front's, then the newest, as many as fit."""
    by_name = {past.name: past for past in context.history if past.files}
    names: Sequence[str] = [
        *context.front,
        *(past.name for past in reversed(context.history) if past.name not in context.front and past.status == "ok"),
    ]
    found = []
    for name in names:
        if name not in by_name:
            continue
        item = {"round": name, "files": dict(by_name[name].files)}
        tokens -= count_tokens(quoted(item))
        if tokens < 0:
            break
        found.append(item)
    return found
