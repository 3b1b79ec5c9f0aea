"""The decoders `sinter:module:Class`: instances of a class with the methods of `sinter.Decoder`.

An environment may come from a stranger's repository, so this module checks a class before it calls it: the class must be a
decoder, and its module must be installed or on PYTHONPATH. A module that is merely in the current directory is refused, and so
is one that has nothing to do with sinter.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

from autoqec.decoding.sinter_adapter import CompiledForeign
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.plugin_errors import one_line
from autoqec.problem.problem import Problem

#: What ends a distribution's name in a requirement.
_NAME = re.compile(r"[^A-Za-z0-9._-]")

_METHODS = ("compile_decoder_for_dem", "decode_via_files")


class SinterDecoder:
    """A sinter decoder as an environment names it.

    Args:
        path: `module:Class`, or `module:name` of an instance, which takes no fields.
        fields: Keyword arguments of the class.

    Raises:
        UsageError: The path is malformed, does not name a decoder, or the class does not accept these fields.
        NotFoundError: There is no such module, or no such name in it.
    """

    takes_beliefs = False

    def __init__(self, path: str, **fields: Any) -> None:
        self._name = f"sinter:{path}"
        found = _find(path)
        if not isinstance(found, type):
            if fields:
                raise UsageError(
                    f"{self._name} is an instance and takes no fields such as {', '.join(sorted(fields))}",
                    hint="remove these fields",
                )
            self._decoder = found
            return
        try:
            self._decoder = found(**fields)
        except Exception as error:
            raise UsageError(f"{self._name} does not accept {fields or 'no fields'}: {one_line(error)}") from error

    def compile(self, problem: Problem) -> CompiledForeign:
        """Compile the decoder for one problem.

        Raises:
            UsageError: The decoder cannot decode this problem.
        """
        return CompiledForeign(self._decoder, problem, name=self._name)


def _find(path: str) -> Any:
    module, _, name = path.partition(":")
    if not module or not name.isidentifier():
        raise UsageError(f"sinter:{path} does not name a decoder", hint="write it as sinter:module:Class")
    _refuse_stray(module)
    _refuse_unrelated(module, name)
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise NotFoundError(
            f"sinter:{path}: {error}", hint="install the package that has the module, or add its folder to PYTHONPATH"
        ) from error
    except Exception as error:
        raise AutoQECError(f"sinter:{path}: cannot import {module}: {one_line(error)}") from error
    if not hasattr(loaded, name):
        able = sorted(key for key, value in vars(loaded).items() if any(hasattr(value, m) for m in _METHODS))
        raise NotFoundError(f"{module} has no {name}", hint=f"its decoders are {', '.join(able) or '(none)'}")
    found = getattr(loaded, name)
    if not any(callable(getattr(found, method, None)) for method in _METHODS):
        raise UsageError(
            f"sinter:{path} is not a sinter.Decoder: it has neither {' nor '.join(_METHODS)}",
            hint="name a class with one of these methods, or choose another decoder: autoqec plugins --kind decoder",
        )
    return found


def _refuse_unrelated(module: str, name: str) -> None:
    """Refuse to import a module that has nothing to do with sinter: importing runs it, and an environment's author names it.

    Its distribution must require sinter or stim, or its source must define the name and a class with a method of a decoder. The
    source is read and not run.

    Raises:
        NotFoundError: There is no such module.
        UsageError: It has nothing to do with sinter.
    """
    top, *rest = module.split(".")
    spec, path = _spec(top), top
    for part in rest:  # not by importing the packages, because that would run them
        path = f"{path}.{part}"
        spec = PathFinder.find_spec(path, spec.submodule_search_locations) if spec is not None else None
    if spec is None and top not in sys.modules:
        raise NotFoundError(
            f"sinter:{module}:{name}: No module named '{module}'",
            hint="install the package that has the module, or add its folder to PYTHONPATH",
        )
    shipped = packages_distributions().get(top, ())
    needed = {_NAME.split(line, maxsplit=1)[0].lower() for each in shipped for line in [each, *(requires(each) or ())]}
    if not needed & {"sinter", "stim"} and not _defines_decoder(spec, name):
        raise UsageError(
            f"sinter:{module}:{name} is not a sinter.Decoder: {module} defines none, and is of no distribution that requires"
            " sinter, so it is not imported",
            hint="choose another decoder: autoqec plugins --kind decoder; or register it in a plugin: autoqec plugins new",
        )


def _spec(top: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(top)
    except ValueError:  # already imported, by hand, without a spec
        return None


def _defines_decoder(spec: ModuleSpec | None, name: str) -> bool:
    """Whether a module's source defines a name, and a class with a method of a decoder."""
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return False
    try:
        body = ast.parse(Path(spec.origin).read_bytes()).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    names = {node.name for node in classes} | {target.id for target in targets if isinstance(target, ast.Name)}
    methods = {each.name for node in classes for each in node.body if isinstance(each, ast.FunctionDef)}
    return name in names and bool(methods & set(_METHODS))


def _refuse_stray(module: str) -> None:
    top = module.partition(".")[0]
    spec = _spec(top)
    if spec is None or spec.origin is None or not spec.has_location:
        return
    origin = Path(spec.origin).resolve()
    home = origin.parent.parent if spec.submodule_search_locations is not None else origin.parent
    asked = {Path(entry or ".").resolve() for entry in os.environ.get("PYTHONPATH", "-").split(os.pathsep)}
    if home == Path.cwd() and home not in asked:
        raise UsageError(
            f"sinter:{module} is in the current directory, and AutoQEC does not run code from there by default",
            hint="if you trust it: PYTHONPATH=. autoqec ...",
        )
