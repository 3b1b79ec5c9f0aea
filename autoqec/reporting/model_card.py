"""An exported round as others publish it: a model card as Hugging Face reads it, a citation file, the lab's licence.

The front matter's `model-index` has what a leaderboard needs to compare honestly: rates with counts and exact intervals, the
digests of the circuit and the error model, references with their settings, and the key that draws the shots again. Names and
words of a round are text: YAML quotes them, and the sections escape them as every page does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from autoqec.errors import UsageError
from autoqec.exchange.folder import Card, CardWriter
from autoqec.history import Ledger, author_of, read_committed
from autoqec.installed_package import __version__
from autoqec.json_values import JsonObject
from autoqec.problem.environment import Environment
from autoqec.reporting.markdown_text import written
from autoqec.reporting.page_blocks import Block, Code, Heading, Paragraph, Quote
from autoqec.reporting.recorded_lab import RecordedRound
from autoqec.reporting.round_sections import figure_blocks, verdict_blocks, why_blocks
from autoqec.results.rates_by_p import RatePoint
from autoqec.results.verdict_parts import ExactRate
from autoqec.views.console import visible

#: Names of the metrics in `model-index`; stable, because others search for them.
METRICS: Mapping[str, str] = {
    "logical_error_rate": "Logical error rate per shot",
    "logical_error_rate_baseline": "Logical error rate per shot of the classical decoder alone",
    "logical_error_rate_ratio": "Ratio of the two",
    "flops_per_shot": "FLOPs per shot of the predecoder",
    "parameters": "Parameters of the predecoder",
}

#: Level of every interval.
_LEVEL = 0.95

_TAGS = ["quantum-error-correction", "neural-predecoder", "autoqec", "stim"]

#: Files that hold a lab's licence.
_LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING")

_WORDS = 1_000


def card_writer(ledger: Ledger, found: RecordedRound, environment: Environment, licence: str | None) -> CardWriter:
    """Return what writes the card of an exported round, given the digests of the folder's files.

    Args:
        ledger: The lab.
        found: The round.
        environment: Its environment.
        licence: The SPDX name of the licence under which you publish it, such as `Apache-2.0`; None says none.

    Raises:
        UsageError: The round has no figures.
    """
    if not any(each.source in ("target", "development") for each in found.rates):
        raise UsageError(
            f"round {found.name} has no figures, so a card could say nothing", hint=f"autoqec show {found.name}"
        )

    def write(digests: Mapping[str, str]) -> Card:
        front = _front_matter(found, environment, licence, digests)
        files = {"CITATION.cff": _yaml(citation(ledger, found, environment, licence)).encode()}
        for name in _LICENCES:
            text = read_committed(ledger, "HEAD", name)
            if text is not None:
                files[name] = text
                break
        return Card(f"---\n{_yaml(front)}---\n\n", written(_sections(found, environment)), files)

    return write


def citation(ledger: Ledger, found: RecordedRound, environment: Environment, licence: str | None) -> JsonObject:
    """Return what `CITATION.cff` says of a round, in version 1.2.0 of the Citation File Format."""
    author, day = author_of(ledger, str(found.record.commit))
    own = {"license": licence} if licence else {}
    return {
        "cff-version": "1.2.0",
        "message": "If you use this predecoder, please cite it and AutoQEC, which found and verified it.",
        "type": "software",
        "title": f"Neural predecoder {found.name} for {environment.name}",
        "abstract": _text(found.row.hypothesis) or f"Round {found.name} of an AutoQEC lab.",
        "authors": [{"name": _text(author) or "unknown"}],
        "commit": str(found.record.commit),
        "version": str(found.record.commit)[:10],
        "date-released": day,
        "keywords": _TAGS[:2],
        **own,
        "references": [
            {
                "type": "software",
                "title": "AutoQEC",
                "version": __version__,
                "authors": [{"name": "The AutoQEC developers"}],
            }
        ],
    }


def _front_matter(
    found: RecordedRound, environment: Environment, licence: str | None, digests: Mapping[str, str]
) -> JsonObject:
    point = _point(found)
    dataset = {
        "type": "autoqec-environment",
        "name": environment.name,
        "revision": str((found.record.environment or ("", ""))[1]),
        "split": "holdout" if point.source == "target" else "development",
        "args": {
            "decoder": environment.decoder.short,
            "p": point.p,
            **{f"{name}_sha256": digests[file] for name, file in _FILES.items() if file in digests},
        },
    }
    told = [
        {"type": name, "name": METRICS[name], "value": value, **({"args": args} if args else {})}
        for name, value, args in _metrics(found, environment, point)
    ]
    own = {"license": licence.lower()} if licence else {}
    result = {"task": {"type": "other", "name": "Quantum error correction"}, "dataset": dataset, "metrics": told}
    return {
        **own,
        "library_name": "autoqec",
        "tags": _TAGS,
        "model-index": [{"name": found.name, "results": [result]}],
    }


#: Files of the folder whose digests say which circuit and error model the figures are of.
_FILES = {"circuit": "circuit.stim", "error_model": "model.dem"}


def _metrics(found: RecordedRound, environment: Environment, point: RatePoint) -> list[tuple[str, float, JsonObject]]:
    verdict = found.results.verdict if point.source == "target" else None
    attempt = verdict.evidence.attempt if verdict else None
    key = attempt.seed_key if attempt else ""
    replay = {"seed_key": key, "command": f"autoqec verify --audit --replay exp/{found.name}"}
    whole = {
        **_counted(point.candidate, point),
        "verdict": verdict.verdict if verdict else None,
        "trust": found.record.trust.state if verdict and found.record.trust else None,
        "references": _references(point, environment),
        **({"replay": replay} if key else {}),
    }
    rows: list[tuple[str, float | None, JsonObject]] = [
        ("logical_error_rate", point.candidate.ler, whole),
        ("logical_error_rate_baseline", point.plain.ler, _counted(point.plain, point)),
        ("logical_error_rate_ratio", point.ratio, {"interval": list(point.ratio_interval), "level": _LEVEL}),
    ]
    costs = found.results.metrics.costs if found.results.metrics else None
    for metric, field in (("flops_per_shot", "flops_per_shot"), ("parameters", "params")):
        judged: float | None = getattr(verdict.evidence, field) if verdict else None
        rows.append((metric, judged if judged is not None else getattr(costs, field, None), {}))
    return [(name, value, args) for name, value, args in rows if value is not None]


def _counted(rate: ExactRate, point: RatePoint) -> dict[str, Any]:
    """A rate's counts and exact interval; shots drawn by strata have weights, and so neither."""
    if not point.exact:
        return {"shots": point.shots}
    return {
        "shots": point.shots,
        "failures": round(rate.ler * point.shots),
        "interval": list(rate.ler_ci),
        "level": _LEVEL,
    }


def _references(point: RatePoint, environment: Environment) -> list[JsonObject]:
    settings = {choice.label: choice.short for choice in environment.references}
    return [
        {"decoder": settings.get(label, label), "logical_error_rate": rate.ler, **_counted(rate, point)}
        for label, rate in point.references.items()
    ]


def _point(found: RecordedRound) -> RatePoint:
    """The rates of the verdict's target, or else of development."""
    return min(
        (each for each in found.rates if each.source in ("target", "development")),
        key=lambda each: each.source != "target",
    )


def _sections(found: RecordedRound, environment: Environment) -> list[Block]:
    story: list[Block] = [Quote(environment.story)] if environment.story else []
    author = Paragraph(("Figures are of ", Code(f"exp/{found.name}"), " on ", Code(environment.name), "."))
    return [
        Heading(2, "What it is for"),
        author,
        *story,
        *why_blocks(found, _WORDS),
        Heading(2, "Figures"),
        *figure_blocks(found),
        *([Heading(2, "Verdict"), *verdict_blocks(found, formulas=False)] if found.results.verdict else []),
    ]


def _text(words: object) -> str:
    """Words of others on one line, without control characters."""
    return visible(" ".join(str(words or "").split()))[:_WORDS]


def _yaml(value: JsonObject) -> str:
    plain: Any = value
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120))
