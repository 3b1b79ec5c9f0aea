"""Creates a new environment file from flags or answers, and checks it before it stays."""

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
from autoqec.problem.environment import EDIT_FILE, ENVIRONMENT_FILE, LoadedEnvironment, load_environment

#: The hint for an environment that is invalid, and so was not kept.
NO_FILE = "no file was written; correct the --set options, or your answers, then run autoqec env new again"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

#: Asks the user a question with a default (YAML or None), and returns the answer.
Ask = Callable[[str, str | None], str]


def new_environment(
    path: Path, story: str, like: LoadedEnvironment, changes: Sequence[tuple[str, Any]], registry: Registry
) -> LoadedEnvironment:
    """Write an environment and check that rounds can run on it.

    Args:
        path: The file; its stem is the name. Files that the code names must exist already.
        story: Its description for people.
        like: The environment to copy.
        changes: Dotted fields and their values.
        registry: Installed plugins.

    Raises:
        UsageError, NotFoundError: The file exists, or the environment is invalid and the new file was deleted.
    """
    if not _NAME.fullmatch(path.stem):
        raise UsageError(f"{path.stem!r} is not an environment name", hint="use lower-case letters, digits, _ and -")
    fields = load_yaml(like.files[ENVIRONMENT_FILE], name=like.origin)
    text = draft(path.stem, story, fields, changes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already", hint="choose another name, or edit the file") from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    try:
        loaded = load_environment(path)
        check_environment(loaded, registry)
    except UsageError as error:
        path.unlink()
        if error.hint == EDIT_FILE:  # there is no file to correct
            raise UsageError(error.problem, hint=NO_FILE, code=error.code, about=error.about) from error
        raise
    except BaseException:
        path.unlink()
        raise
    return loaded


def read_change(text: str) -> tuple[str, Any]:
    """Parse a dotted field and its YAML value, such as `noise.p=[0.001, 0.003]`.

    Raises:
        UsageError: There is no field or no `=`, or the value is not YAML.
    """
    field, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in field.strip().split(".")):
        raise UsageError(f"--set {text}: write FIELD=VALUE", hint="--set code.distance=7")
    return field.strip(), load_yaml(value, name=f"--set {field.strip()}")


def questions(like: LoadedEnvironment, registry: Registry, ask: Ask) -> Iterator[tuple[str, Any]]:
    """Ask for code, noise, decoder and references, with the values of an environment as defaults.

    The questions about the code follow the fields of its `Config`, so they work for codes of plugins too.
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
