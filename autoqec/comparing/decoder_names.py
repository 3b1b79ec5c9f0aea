"""Decoders by name: what you write as `osd:method=osd_cs,order=10`, as a typed value.

A name is one of these, and may be followed by a colon and the decoder's own fields:

- an installed decoder, of AutoQEC or of a plugin: `mwpm`, `osd:order=10`, `sinter:module:Class`;
- one of sinter's built-in decoders: `pymatching`, `fusion_blossom`, `hypergraph_union_find`, …;
- a trained round of the lab, `exp/<run>/<N>`, or the folder of an exported one.

Reading a name imports no decoder. The decoder's own process makes the decoder, and checks its fields.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoqec.canonical import dump_flow, load_yaml
from autoqec.comparing.file_options import FILE_OPTIONS
from autoqec.errors import MissingPackageError, NotFoundError, UsageError
from autoqec.exchange.folder import MANIFEST, read_folder
from autoqec.exchange.package import Package, package_of
from autoqec.history import open_ledger, parse_round_name
from autoqec.plugins import Registry, missing_packages, pip_line
from autoqec.problem.environment import Choice
from autoqec.strict_fields import checked_fields

#: The distribution that each of sinter's built-in decoders needs; newer versions of sinter may have more of them.
SINTER_NEEDS: Mapping[str, str] = {
    "vacuous": "sinter",
    "pymatching": "pymatching",
    "pymatching-correlated": "pymatching",
    "fusion_blossom": "fusion-blossom",
    "hypergraph_union_find": "mwpf",
    "mw_parity_factor": "mwpf",
}

#: A decoder and its fields; a colon in the decoder's own name is never followed by a field.
_WITH_FIELDS = re.compile(r"(?P<name>.+?)(?::\s*(?P<fields>[A-Za-z_]\w*=.*))?", re.DOTALL)
_FIELD = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", re.DOTALL)

#: Round names; anything else with a slash is a folder.
_ROUND = re.compile(r"(refs/heads/)?exp/[^/]+/\d+")

_WRITE_FIELDS = "write fields as osd:method=osd_cs,order=10"

#: Characters of a decoder's name with its fields, at most.
_LONGEST = 1000


@dataclass(frozen=True)
class InstalledDecoder:
    """A decoder that AutoQEC or a plugin registers.

    Attributes:
        choice: Its name, and the fields that it is made with.
        distribution: The distribution that registers it, with its version.
        needs: The distribution that it needs besides, with its version; empty if it needs none.
    """

    choice: Choice
    distribution: str
    needs: str = ""

    @property
    def label(self) -> str:
        """How it is written: two spellings of the same decoder and fields have one label."""
        fields = self.choice.fields
        return self.choice.kind + (
            ":" + ",".join(f"{n}={dump_flow(fields[n])}" for n in sorted(fields)) if fields else ""
        )

    def settings(self) -> dict[str, Any]:
        """What it is, as JSON values: the same settings give the same answers."""
        needs = {"needs": self.needs} if self.needs else {}
        return {"kind": self.choice.kind, "fields": self.choice.fields, "distribution": self.distribution} | needs


@dataclass(frozen=True)
class SinterBuiltIn:
    """One of sinter's built-in decoders.

    Attributes:
        name: What sinter calls it.
        distribution: sinter's version, `sinter 1.15.0`.
        needs: The distribution that the decoder needs, with its version.
    """

    name: str
    distribution: str
    needs: str = ""

    @property
    def label(self) -> str:
        """Sinter's own name for it."""
        return self.name

    def settings(self) -> dict[str, Any]:
        """See `InstalledDecoder.settings`."""
        needs = {"needs": self.needs} if self.needs else {}
        return {"kind": f"sinter built-in {self.name}", "fields": {}, "distribution": self.distribution} | needs


@dataclass(frozen=True)
class TrainedDecoder:
    """A trained round: its predecoder, in front of the decoder of its environment.

    Attributes:
        label: The round's name, or the folder of its export.
        package: The round.
    """

    label: str
    package: Package

    def settings(self) -> dict[str, Any]:
        """See `InstalledDecoder.settings`."""
        package = self.package
        return {"kind": "round", "round": package.name, "commit": package.commit, "digest": package.digest}


NamedDecoder = InstalledDecoder | SinterBuiltIn | TrainedDecoder


def read_decoders(names: Sequence[str], registry: Registry, *, lab: str | Path = ".") -> tuple[NamedDecoder, ...]:
    """Read several names; see `read_decoder`.

    Raises:
        UsageError: As for one name, or two of them are the same decoder.
    """
    found = tuple(read_decoder(name, registry, lab=lab) for name in names)
    labels = [each.label for each in found]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"decoder {label} is named twice", hint="name each decoder once")
    return found


def read_decoder(name: str, registry: Registry, *, lab: str | Path = ".") -> NamedDecoder:
    """Read what you call a decoder.

    Args:
        name: See the module.
        registry: Installed plugins.
        lab: A path in the lab that has the rounds.

    Raises:
        NotFoundError: There is no such decoder, round or folder.
        UsageError: The name or its fields are malformed.
        MissingPackageError: The decoder needs a package that is not installed; the hint installs it.
        AutoQECError: The round or folder is damaged.
    """
    if len(name) > _LONGEST or not name.isprintable() or not name.strip():
        problem = "is longer than any decoder's" if len(name) > _LONGEST else "is not a line of text"
        raise UsageError(f"a decoder's name {problem}: {name[:40]!r}", hint="autoqec plugins --kind decoder lists them")
    trained = _trained(name, registry, lab)
    if trained is not None:
        return trained
    match = _WITH_FIELDS.fullmatch(name)
    assert match is not None
    kind, fields = match["name"], _fields(name, match["fields"])
    if ("decoder", kind) not in registry.entries and (kind in SINTER_NEEDS or kind in _newer_built_ins(kind)):
        return _built_in(kind, fields)
    return _installed(name, kind, fields, registry)


def _trained(name: str, registry: Registry, lab: str | Path) -> TrainedDecoder | None:
    if _ROUND.fullmatch(name) and not Path(name, MANIFEST).exists():
        try:
            ledger = open_ledger(lab)
        except NotFoundError as error:
            raise NotFoundError(
                f"round {name} is in no lab: {error.problem}",
                hint="give the command in the lab that has the round, or name the folder of its export: autoqec export",
                code=error.code,
            ) from error
        package = package_of(ledger, *parse_round_name(name))
        return TrainedDecoder(package.name, package)
    kind = name.partition(":")[0]
    known = ("decoder", kind) in registry.entries or ("decoder", f"{kind}:") in registry.entries or kind in SINTER_NEEDS
    if "/" in name.partition(":")[0] or (not known and Path(name).is_dir()):
        return TrainedDecoder(name.rstrip("/") or name, read_folder(Path(name)))
    return None


def _installed(name: str, kind: str, fields: Mapping[str, Any], registry: Registry) -> InstalledDecoder:
    plain, colon, rest = kind.partition(":")
    if (colon and ("decoder", plain) in registry.entries) or plain in SINTER_NEEDS:
        raise UsageError(f"decoder {name!r}: {rest!r} is not a field with its value", hint=_WRITE_FIELDS)
    try:
        entry = registry.get("decoder", kind)
        choice = checked_fields(Choice, {**fields, "kind": kind})
    except (NotFoundError, ValidationError) as error:
        known = sorted({*registry.names("decoder"), *SINTER_NEEDS})
        families = ["sinter:module:Class" if each == "sinter:" else each for each in known]
        near = difflib.get_close_matches(kind, known, 3)
        also = f"did you mean {' or '.join(near)}? " if near else ""
        if (suffix := Path(kind).suffix) in FILE_OPTIONS:
            also = f"if it is what the decoders decode, write {FILE_OPTIONS[suffix]} {kind}. "
        raise NotFoundError(
            f"there is no decoder named {kind!r}",
            hint=f"{also}Choose one of: {', '.join(families)}; a round exp/<run>/<N>; or the folder of an exported round",
            code="not_installed",
            about={"kind": "decoder", "name": kind},
        ) from error
    if entry.member is not None:  # the class's own distribution, not that of the family
        needs = packages_distributions().get(entry.member.partition(":")[0].partition(".")[0], [""])[0]
        return InstalledDecoder(choice, entry.distribution, _versioned(needs))
    missing = missing_packages(registry)
    needs = str(entry.capabilities.get("needs", ""))
    if kind in missing:
        raise MissingPackageError(
            f"decoder {kind} needs the package {needs}, which is not installed", hint=missing[kind]
        )
    return InstalledDecoder(choice, entry.distribution, _versioned(needs.partition("[")[0]))


def _built_in(kind: str, fields: Mapping[str, Any]) -> SinterBuiltIn:
    if fields:
        raise UsageError(
            f"decoder {kind} is one of sinter's and takes no fields such as {', '.join(fields)}",
            hint="leave them out, or name the class: sinter:module:Class:field=value",
        )
    sinter, needs = _versioned("sinter"), _versioned(SINTER_NEEDS.get(kind, "sinter"))
    if not sinter:
        raise MissingPackageError(
            f"decoder {kind} is one of sinter's, and the package sinter is not installed",
            hint=pip_line("autoqec[sinter]"),
        )
    if not needs:
        missing = SINTER_NEEDS[kind]
        raise MissingPackageError(
            f"decoder {kind} of sinter needs the package {missing}, which is not installed", hint=pip_line(missing)
        )
    return SinterBuiltIn(kind, sinter, needs)


def _newer_built_ins(kind: str) -> Sequence[str]:
    """The built-in decoders of the installed sinter, for a name that could be one of a newer version's; importing it is slow."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", kind) or not _versioned("sinter"):
        return ()
    import sinter

    return tuple(getattr(sinter, "BUILT_IN_DECODERS", ()))


def _versioned(distribution: str) -> str:
    """A distribution with its version; empty if it is not installed."""
    try:
        return f"{distribution} {version(distribution)}" if distribution else ""
    except PackageNotFoundError:
        return ""


def _fields(name: str, text: str | None) -> dict[str, Any]:
    """The fields of `name=value,name=value`; values are YAML, so that numbers, words and lists are told apart."""
    found: dict[str, Any] = {}
    for part in _parts(text) if text else ():
        match = _FIELD.fullmatch(part.strip())
        if match is None:
            raise UsageError(
                f"decoder {name!r}: {part.strip()!r} is not a field with its value",
                hint=_WRITE_FIELDS,
            )
        if match["name"] in found:
            raise UsageError(f"decoder {name!r}: field {match['name']} is written twice", hint="write it once")
        if match["name"] == "kind":
            raise UsageError(f"decoder {name!r}: kind is no field", hint="it is what stands before the colon")
        found[match["name"]] = load_yaml(match["value"], name=f"decoder {name!r}, field {match['name']}")
    return found


def _parts(text: str) -> list[str]:
    """Split at commas that stand in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        depth += 0 if quote else (letter in "[{") - (letter in "]}")
        if letter == "," and depth <= 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
