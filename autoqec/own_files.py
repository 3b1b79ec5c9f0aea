"""Decides which installed modules are AutoQEC's own: by where a file lies and whose RECORD lists it.

A name proves nothing: any distribution may call itself `autoqec`, and any wheel may put files into our packages. A module is our
own if the import system finds its source beside this file, and the RECORD of the distribution that installed this file lists the
source with its hash. In an editable installation RECORD lists no sources: there, all files of the source tree are our own.
The same holds where this file is in a source tree that nothing installed, as where tests run in a checkout and the plugins come
from an installed copy: a file of that copy is our own if the source tree has the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

_DISTRIBUTION = "autoqec"
_PLUGINS = "autoqec_plugins"

#: In tests of an installed package, pytest loads its sources itself, because it has a pytest plugin.
_PYTEST = "_pytest.assertion.rewrite"

#: Where the two packages are in a source tree.
_SOURCES = {_DISTRIBUTION: "autoqec", _PLUGINS: "plugins"}


@dataclass(frozen=True)
class _Installation:
    """What our distribution installed.

    Attributes:
        folders: Folders of an editable installation; all files below are our own.
        hashes: SHA-256 in base64 by path, as RECORD lists them.
        copy: A folder that was installed, and the folder of a source tree that it must be a copy of.
    """

    folders: tuple[Path, ...] = ()
    hashes: Mapping[Path, str] = field(default_factory=dict)
    copy: tuple[Path, Path] | None = None

    def owns(self, file: Path) -> bool:
        """Whether a file is our own, and is as it was installed."""
        if any(file.is_relative_to(folder) for folder in self.folders):
            return True
        if self.copy is not None and file.is_relative_to(self.copy[0]):
            installed, source = _digest(file), _digest(self.copy[1] / file.relative_to(self.copy[0]))
            return bool(source) and installed == source
        return file in self.hashes and _digest(file) == self.hashes[file]

    def owns_package(self, folder: Path) -> bool:
        """Whether all sources of a folder are our own: a module imports its neighbours."""
        return all(self.owns(file) for file in folder.glob("*.py"))


@cache
def is_own_module(name: str) -> bool:
    """Whether a module, by its dotted name, is one of our own, and so are its packages. Nothing is imported to find out."""
    top, *rest = name.split(".")
    if top not in _SOURCES or (rest and not is_own_module(".".join([top, *rest[:-1]]))):
        return False
    file = _source(top, tuple(rest))
    found = _installation()
    return file is not None and found is not None and found.owns(file) and found.owns_package(file.parent)


def _source(top: str, rest: tuple[str, ...]) -> Path | None:
    """The source file that an import of the module would run; None if it would run anything else."""
    spec, name = find_spec(top), top
    for part in rest:
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, spec.submodule_search_locations) if spec is not None else None
    if spec is None or spec.origin is None:
        return None
    plain = isinstance(spec.loader, SourceFileLoader) or type(spec.loader).__module__ == _PYTEST
    return Path(spec.origin).resolve() if plain else None


@cache
def _installation() -> _Installation | None:
    """What the distribution of this file installed; None if there is none, or several claim this file."""
    home = Path(__file__).resolve()
    found = {str(dist.locate_file("")): dist for dist in distributions(name=_DISTRIBUTION)}
    # Metadata in a source tree has no RECORD; it is not an installation.
    claims = [claim for dist in found.values() if dist.read_text("RECORD") and (claim := _claim(dist, home))]
    if claims:
        return claims[0] if len(claims) == 1 else None
    return _uninstalled_tree(home)


def _uninstalled_tree(home: Path) -> _Installation | None:
    """The source tree of this file, and the copy of its plugins that is installed; None if this file is in no source tree."""
    tree, plugins = home.parents[1], _source(_PLUGINS, ())
    folders = {name: tree / folder for name, folder in _SOURCES.items()}
    if not (tree / "pyproject.toml").is_file() or home.parent != folders[_DISTRIBUTION] or plugins is None:
        return None
    if not folders[_PLUGINS].is_dir():
        return None
    return _Installation(folders=(home.parent,), copy=(plugins.parent, folders[_PLUGINS]))


def _claim(dist: Distribution, home: Path) -> _Installation | None:
    """What a distribution installed, if this file is part of it."""
    tree = _source_tree(dist)
    if tree is not None:
        folders = tuple(tree / folder for folder in _SOURCES.values())
        return _Installation(folders=folders) if home.parent == folders[0] else None
    hashes = {
        Path(str(dist.locate_file(file))).resolve(): file.hash.value
        for file in dist.files or ()
        if file.suffix == ".py" and file.hash is not None and file.hash.mode == "sha256"
    }
    return _Installation(hashes=hashes) if home in hashes else None


def _source_tree(dist: Distribution) -> Path | None:
    """The folder of an editable installation."""
    try:
        told = json.loads(dist.read_text("direct_url.json") or "{}")
        url = urlsplit(str(told.get("url", "")))
        editable = bool(told.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return None
    return Path(unquote(url.path)).resolve() if editable and url.scheme == "file" else None


def _digest(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError:
        return ""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
