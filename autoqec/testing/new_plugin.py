"""A new plugin package, written from the templates beside this module. It installs, and its own tests pass."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from autoqec.errors import UsageError
from autoqec.installed_package import __version__
from autoqec.plugins import KINDS, Registry
from autoqec.whole_files import write_folder

#: What a new plugin may be called: part of a distribution's name, of a module's, and what users write.
_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_LONGEST = 40

#: Kind → how it is used once it is installed, for the README.
_USE = {
    "agent": "`autoqec round --ideator {{name}} --coder {{name}} --analyst {{name}}` has it play all roles.",
    "decoder": "An environment that says `decoder: {{name}}` is decoded by it.",
    "verifier": "`autoqec verify ROUND --verifier {{name}}` has it judge a round.",
    "stage": "A candidate's `stages/<slug>/stage.yaml` with `kind: {{name}}` uses it.",
    "code": "An environment that says `code: {kind: {{name}}, distance: 3, rounds: 3}` is built by it.",
    "executor": "`autoqec round --executor {{name}}` has it run the scoring.",
    "host": "`autoqec publish REMOTE --statuses --host {{name}}` has it show verdicts.",
    "command": "`autoqec {{name}}` runs it.",
}

_CAPABILITIES = {"decoder": ", takes_beliefs=False"}


def write_plugin(name: str, kind: str, to: Path, registry: Registry, commands: Collection[str] = ()) -> list[Path]:
    """Write a package that registers one name.

    Args:
        name: What it registers. The distribution is `autoqec-NAME`, and the folder has its name.
        kind: One of `KINDS`.
        to: The folder to put it in.
        registry: The installed plugins: their names are taken.
        commands: Names of the built-in commands, which are taken too.

    Returns:
        The files.

    Raises:
        UsageError: The name cannot be used or is taken, or the folder exists.
    """
    short = name.removeprefix("autoqec-").removeprefix("autoqec_")
    _check_name(name, short, kind, registry, commands)
    words = _words(short, kind)
    if find_spec(words["package"]) is not None:
        raise UsageError(f"a package {words['package']} is installed already", hint="choose another NAME")
    folder = to / words["distribution"]
    if folder.exists():
        raise UsageError(f"{folder} exists", hint="choose another NAME, or another folder with --to")
    templates = files("autoqec.testing") / "plugin_templates"
    common, own = templates / "common", templates / kind
    texts = {
        "pyproject.toml": common / "pyproject.toml.template",
        "README.md": common / "README.md.template",
        f"{words['package']}/__init__.py": common / "__init__.py.template",
        f"{words['package']}/{words['module']}.py": own / "module.py.template",
        f"tests/test_{words['package']}.py": own / "test.py.template",
    }
    filled = {path: _filled(template.read_text(encoding="utf-8"), words) for path, template in texts.items()}
    write_folder(folder, {path: text.encode() for path, text in filled.items()})
    return [folder / path for path in texts]


def _check_name(name: str, short: str, kind: str, registry: Registry, commands: Collection[str]) -> None:
    if _NAME.fullmatch(short) is None or len(short) > _LONGEST or keyword.iskeyword(short):
        raise UsageError(
            f"a plugin cannot be called {name!r}",
            hint=f"use up to {_LONGEST} small letters, digits, and single - or _ between them, such as my-{kind}",
        )
    taken = registry.entries.get((kind, short))
    if taken is not None:
        raise UsageError(f"there is a {kind} {short!r} already, of {taken.owner}", hint="choose another NAME")
    if kind == "command" and short in commands:
        raise UsageError(f"autoqec {short} is a built-in command", hint="choose another NAME")


def _words(short: str, kind: str) -> Mapping[str, str]:
    assert kind in KINDS
    parts = re.split(r"[_-]", short)
    class_name = "".join(part.capitalize() for part in [*parts, *([] if parts[-1] == kind else [kind])])
    article = "an" if kind[0] in "aeiou" else "a"
    words = {
        "name": short,
        "kind": kind,
        "article": article.capitalize(),
        "distribution": f"autoqec-{short.replace('_', '-')}",
        "package": f"autoqec_{short.replace('-', '_')}",
        "module": f"own_{kind}",
        "attribute": "command" if kind == "command" else class_name,
        "capabilities": _CAPABILITIES.get(kind, ""),
        "autoqec_version": __version__,
    }
    return words | {"use": _filled(_USE[kind], words)}


def _filled(text: str, words: Mapping[str, str]) -> str:
    for name, word in words.items():
        text = text.replace("{{" + name + "}}", word)
    return text
