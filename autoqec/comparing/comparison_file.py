"""A comparison in a file. It is written whole after every look, and read as what it is: text from anybody."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

from autoqec.canonical import content_hash
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.results.decoder_comparison import (
    KEYED,
    MOST_DECODERS,
    RECORDED,
    SCHEMA,
    ComparedDecoder,
    ComparedPart,
    Comparison,
    comparison_json,
)
from autoqec.results.note_form import Malformed, read_record
from autoqec.results.sinter_rows import SinterRow, header
from autoqec.size_limits import in_words

#: What helps where a file cannot be written.
_ELSEWHERE = "name a file in a folder that you can write to"

#: Bytes of such a file, at most: twenty times one of 10^12 shots with its circuit.
COMPARISON_BYTES = 64 * 2**20

#: Parts of a comparison, at most: they grow with the stream, so an honest one has a few hundred.
_MOST_PARTS = 100_000

#: What of the results is read again: counts and words, which are the same on every machine.
_FOLLOWS = {
    "decoders": ("label", "shots", "failures", "invalid"),
    "pairs": ("base", "other", "counts", "word"),
}

_SHA256 = re.compile("[0-9a-f]{64}")
_ANSWERS = re.compile("(?:[0-9a-f]{16})?")
_MASK = re.compile("[1-9][0-9]{0,9}")


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write a comparison: whoever reads the file finds the old one or the new one, whole.

    Raises:
        AutoQECError: It cannot be written.
    """
    _write(path, json.dumps(comparison_json(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_rows(comparison: Comparison, path: Path) -> None:
    """Write the counts in sinter's CSV format: a row for each decoder that decoded anything.

    Raises:
        AutoQECError: It cannot be written.
    """
    rows = [row for place in range(len(comparison.decoders)) if (row := _row(comparison, place)) is not None]
    _write(path, "\n".join([header(), *(row.line() for row in rows)]) + "\n")


def require_writable(path: Path) -> None:
    """Check that a file can be written, as far as that can be known before.

    Raises:
        AutoQECError: It cannot.
    """
    why = (
        "it is a folder"
        if path.is_dir()
        else ""
        if os.access(path.parent, os.W_OK)
        else f"no folder {path.parent} to write to"
    )
    if why:
        raise AutoQECError(f"{path} cannot be written: {why}", hint=_ELSEWHERE, code="not_written")


def _row(comparison: Comparison, place: int) -> SinterRow | None:
    rate, decoder, source = comparison.rate(place), comparison.decoders[place], comparison.source
    if rate is None:
        return None
    metadata = {"source": source.name, "sha256": source.identity, "p": source.p, "r": source.rounds}
    told = {name: value for name, value in metadata.items() if value is not None}
    # Rows of one decoder on one source add up, whatever the key; those of other settings or versions do not.
    strong_id = content_hash({"settings": dict(decoder.settings), "source": source.fingerprint, "metadata": told})
    seconds = comparison.seconds(place)
    return SinterRow(rate.shots, rate.failures, 0, seconds, decoder.label, strong_id, told)


def _write(path: Path, text: str) -> None:
    draft = None
    try:
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", text=True)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except OSError as error:
        if draft is not None:
            with suppress(OSError):
                os.unlink(draft)
        raise AutoQECError(
            f"{path} cannot be written: {error.strerror}",
            hint=_ELSEWHERE,
            code="not_written",
        ) from error


def read_comparison(path: Path) -> Comparison:
    """Read a saved comparison.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no such file, or says something that is impossible; the message says where.
    """
    try:
        if path.exists() and not path.is_file():
            raise _unusable(path, "it is no plain file")
        size = path.stat().st_size
        if size > COMPARISON_BYTES:
            raise _unusable(path, f"it takes {in_words(size)}, over the limit of {in_words(COMPARISON_BYTES)}")
        told = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}", hint="autoqec compare … --save FILE writes one") from error
    except OSError as error:
        raise AutoQECError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _unusable(path, "it is not JSON") from error
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        raise _unusable(path, f"its schema is not {SCHEMA}")
    problems: list[str] = []
    try:
        comparison = read_record(Comparison, told, problems=problems)
    except Malformed as error:
        raise _unusable(path, f"{error} is missing or malformed") from error
    if problems:
        raise _unusable(path, f"{problems[0]} is malformed")
    wrong = _impossible(comparison) or _not_following(comparison, told.get("results"))
    if wrong:
        raise _unusable(path, wrong)
    return comparison


def _not_following(comparison: Comparison, results: Any) -> str:
    """What of the results, which others may read instead of the counts, does not follow from these; empty if nothing."""
    if results is None:
        return ""
    follows = comparison_json(comparison)["results"]
    for part, names in _FOLLOWS.items():
        there = results.get(part) if isinstance(results, dict) else None
        if not isinstance(there, list) or len(there) != len(follows[part]):
            return f"results.{part} does not follow from parts"
        for number, (one, other) in enumerate(zip(there, follows[part], strict=True)):
            for name in names:
                if not isinstance(one, dict) or one.get(name) != other[name]:
                    return f"results.{part}.{number}.{name} does not follow from parts"
    return ""


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is no saved comparison: {why}",
        hint="name a file that autoqec compare … --save wrote, or a new one",
        code="bad_comparison",
        about={"file": str(path)},
    )


def _impossible(comparison: Comparison) -> str:
    """What no comparison can have counted, in words; empty if nothing."""
    number = len(comparison.decoders)
    if not 2 <= number <= MOST_DECODERS:
        return f"it has {number} decoders"
    if len({each.label for each in comparison.decoders}) < number:
        return "two decoders have one label"
    if not 0 <= comparison.baseline < number:
        return "baseline is none of the decoders"
    if any(each.most_shots is not None and each.most_shots < 1 for each in comparison.decoders):
        return "a decoder's most_shots is not above zero"
    if not _gated_properly(comparison):
        return "a decoder's gate is none of the decoders that decode all shots"
    if comparison.shots.key and not _SHA256.fullmatch(comparison.shots.key):
        return "shots.key is not 64 hexadecimal digits"
    shots = comparison.shots
    if shots.kind not in (KEYED, RECORDED):
        return "shots.kind is neither keyed nor recorded"
    if shots.kind == RECORDED and not (shots.files and shots.total is not None and comparison.total <= shots.total):
        return "shots does not name the files that were read, with at least as many shots as were decoded"
    if len(comparison.parts) > _MOST_PARTS:
        return f"it has more than {_MOST_PARTS:,} parts"
    first, limits = 0, [_limit(each) for each in comparison.decoders]
    for place, part in enumerate(comparison.parts):
        why = ""
        if not _SHA256.fullmatch(part.digest) or not all(_ANSWERS.fullmatch(each) for each in part.answers):
            why = "a digest is malformed"
        elif not (len(part.answers) == len(part.invalid) == len(part.seconds) == number):
            why = "it does not have one entry for each decoder"
        elif not (0 <= part.took < 1 << number and part.shots > 0):
            why = "no shots, or no such decoders"
        elif not all(_MASK.fullmatch(mask) and int(mask) & ~part.took == 0 for mask in part.failed):
            why = "failed names sets of decoders that did not decode it"
        elif min(part.failed.values(), default=1) < 1 or sum(part.failed.values()) > part.shots:
            why = "more shots failed than there are"
        elif min(part.invalid) < 0 or max(part.invalid) > part.shots or min(part.seconds) < 0:
            why = "invalid or seconds is impossible"
        elif not all(_possible(place, gate, part) for place, gate in part.gates.items()):
            why = "gates is impossible"
        elif {int(each) for each in part.gates} != {
            p for p, each in enumerate(comparison.decoders) if each.gate and part.took >> p & 1
        }:
            why = "gates names other decoders than those behind a gate"
        elif part.took != sum(1 << p for p, limit in enumerate(limits) if first < limit):
            # Whoever chooses the parts that count for a decoder chooses its failures, and a replay finds them all the same.
            why = "took leaves out a decoder before it failed or had all its shots, or has one after that"
        if why:
            return f"parts.{place}: {why}"
        first += part.shots
    return ""


def _limit(decoder: ComparedDecoder) -> float:
    """Shots that a decoder decodes, from the first on."""
    most = inf if decoder.most_shots is None else decoder.most_shots
    return most if decoder.failed is None else min(most, decoder.failed.at)


def _gated_properly(comparison: Comparison) -> bool:
    """Whether each gate is a decoder that decodes all shots itself."""
    gates = {each.label for each in comparison.decoders if not each.gate and each.most_shots is None}
    return all(each.gate in gates for each in comparison.decoders if each.gate)


def _possible(place: str, gate: tuple[int, int, int], part: ComparedPart) -> bool:
    sent, sampled, differing = gate
    known = place.isascii() and place.isdigit() and len(place) < 3 and bool(part.took >> int(place) & 1)
    return known and 0 <= differing <= sampled <= part.shots - sent <= part.shots


#: What must be the same for a comparison to go on, and what to call it.
_SAME: dict[str, Callable[[Comparison], Any]] = {
    "decoders": lambda each: [(d.label, dict(d.settings), d.most_shots, d.gate) for d in each.decoders],
    "what is decoded": lambda each: (each.source.identity, each.source.fingerprint),
    "where the shots come from": lambda each: each.shots,
}


def require_same(saved: Comparison, begun: Comparison, path: Path) -> None:
    """Check that a comparison can go on from a saved one.

    Raises:
        UsageError: Decoders, their versions, the source or the shots differ; says which.
    """
    for what, told in _SAME.items():
        if told(saved) != told(begun):
            found = _difference(saved, begun) if what == "decoders" else what
            raise UsageError(
                f"{path} holds a comparison of something else, and this one cannot go on from it: {found}",
                hint="name another file for this comparison, or give what the file names",
                code="other_comparison",
                about={"file": str(path), "what": what},
            )


def _difference(saved: Comparison, begun: Comparison) -> str:
    there, here = ([each.label for each in side.decoders] for side in (saved, begun))
    if there != here:
        return f"its decoders are {', '.join(there)}, and here they are {', '.join(here)}"
    for one, other in zip(saved.decoders, begun.decoders, strict=True):
        if dict(one.settings) != dict(other.settings):
            names = sorted(one.settings.keys() | other.settings.keys())
            name = next(n for n in names if one.settings.get(n) != other.settings.get(n))
            return f"{one.label} has {name} {one.settings.get(name)} there and {other.settings.get(name)} here"
    return "a decoder was to decode other shots, by --fewer or --gated"
