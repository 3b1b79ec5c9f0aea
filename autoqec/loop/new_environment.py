"""A new environment file: asked for or put together from flags, written beside the others, and checked before it stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from autoqec.canonical import dump_flow, load_yaml
from autoqec.errors import UsageError
from autoqec.loop.session import check_environment
from autoqec.plugins import Registry
from autoqec.problem.drafting import draft
from autoqec.problem.environment import ENVIRONMENT_FILE, LoadedEnvironment, load_environment

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

#: Asks a person: what, and the default as YAML or None; gives what they wrote.
Ask = Callable[[str, str | None], str]


def new_environment(
    path: Path, story: str, like: LoadedEnvironment, changes: Sequence[tuple[str, Any]], registry: Registry
) -> LoadedEnvironment:
    """Write an environment and make sure that rounds can be run on it.

    Args:
        path: Where; its stem is the name. Files that the code names must be there already.
        story: Its sentence for people.
        like: The environment it is made from.
        changes: Dotted fields and their values.
        registry: Installed plugins.

    Raises:
        UsageError, NotFoundError: There is such a file, or it would be none that can be used; it is then not there.
    """
    if not _NAME.fullmatch(path.stem):
        raise UsageError(f"{path.stem!r} cannot be an environment's name", hint="lower-case letters, digits, _ and -")
    fields = load_yaml(like.files[ENVIRONMENT_FILE], name=like.origin)
    text = draft(path.stem, story, fields, changes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} exists", hint="choose another name, or edit it") from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    try:
        loaded = load_environment(path)
        check_environment(loaded, registry)
    except BaseException:
        path.unlink()
        raise
    return loaded


def read_change(text: str) -> tuple[str, Any]:
    """A dotted field and its value from `noise.p=[0.001, 0.003]`; the value is YAML.

    Raises:
        UsageError: There is no field or no `=`, or the value is not YAML.
    """
    field, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in field.strip().split(".")):
        raise UsageError(f"--set {text}: a field and its value are needed", hint="--set code.distance=7")
    return field.strip(), load_yaml(value, name=f"--set {field.strip()}")


def questions(like: LoadedEnvironment, registry: Registry, ask: Ask) -> Iterator[tuple[str, Any]]:
    """Ask for code, noise, decoder and references, with those of an environment as defaults.

    What a code of the chosen kind needs is asked by the fields of its `Config`, so a plugin's codes are asked for too.
    """
    environment = like.environment
    kind = ask(f"code.kind ({', '.join(registry.names('code'))})", environment.code.kind)
    yield "code.kind", kind
    known = environment.code.fields if kind == environment.code.kind else {}
    for name, field in registry.maker("code")(kind).Config.model_fields.items():
        default = known.get(name, None if field.is_required() else field.default)
        needed = field.is_required() and name not in known
        yield from _answer(f"code.{name}", ask(f"code.{name}", None if needed else dump_flow(default)))
    noise = ask(
        "noise.kind (depolarizing, biased, phenomenological, code_capacity, si1000, erasure, given)",
        environment.noise.kind,
    )
    yield "noise.kind", noise
    if noise != "given":
        rates = list(environment.noise.p)
        yield from _answer("noise.p", ask("noise.p, a list", dump_flow(rates) if rates else None))
        for name, only in (("eta", "biased"), ("erased", "erasure")):
            if noise == only:
                yield from _answer(f"noise.{name}", ask(f"noise.{name}", None))
    able = [entry.name for entry in registry.all("decoder") if entry.capabilities.get("takes_beliefs")]
    yield from _answer("decoder", ask(f"decoder ({', '.join(able)})", dump_flow(environment.decoder.short)))
    references = [reference.short for reference in environment.references]
    yield from _answer("references", ask("references, a list", dump_flow(references)))


def _answer(field: str, text: str) -> Iterator[tuple[str, Any]]:
    yield field, load_yaml(text, name=field)
