"""The loader: finds plugins by entry point, survives broken ones, and keeps a registry of what they offer.

The registry is made by `load_plugins()` and passed around; there is no global one. `AUTOQEC_LOAD_PLUGINS` selects plugins
by entry-point name (comma-separated; empty loads none), `AUTOQEC_STRICT_PLUGINS=1` turns a broken plugin into an error.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any

import pluggy

from autoqec import hookspecs
from autoqec.errors import AutoQECError, NotFoundError, UsageError

GROUP = "autoqec"

#: The kinds a plugin can register, in the order people meet them; each has a hook `autoqec_register_<kind>s`.
KINDS = ("agent", "decoder", "verifier", "stage", "code", "executor", "command")


@dataclass(frozen=True)
class Registration:
    """One thing a plugin offers.

    Attributes:
        kind: One of `KINDS`.
        name: What users write in an environment, a candidate or a flag. A name that ends in a colon is a family: it has
            every name that begins so.
        factory: A callable, or `module:attribute` imported when it is first used.
        capabilities: Facts that can be known without importing the factory, such as `takes_beliefs`.
        plugin: The entry point's name.
        distribution: The installed distribution it came with, with its version.
        member: Of a family, what follows the colon: the factory's first argument.
    """

    kind: str
    name: str
    factory: Callable[..., Any] | str
    capabilities: Mapping[str, Any]
    plugin: str
    distribution: str
    member: str | None = None

    def load(self) -> Any:
        """Import and return the factory.

        Raises:
            AutoQECError: It cannot be imported; names the plugin and how to go on without it.
        """
        if not isinstance(self.factory, str):
            return self.factory
        module, _, attribute = self.factory.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise AutoQECError(
                f"{self.kind} {self.name!r} of plugin {self.plugin} ({self.distribution}) cannot be loaded: "
                f"{type(error).__name__}: {error}",
                hint=f"reinstall {self.distribution.split()[0]}, or choose another {self.kind}: autoqec plugins",
                code="plugin_failed",
            ) from error

    def create(self, **fields: Any) -> Any:
        """Call the factory.

        Raises:
            UsageError: The factory does not take these fields.
        """
        factory = self.load()
        try:
            return factory(**fields) if self.member is None else factory(self.member, **fields)
        except TypeError as error:
            raise UsageError(
                f"{self.kind} {self.name!r} does not accept {sorted(fields) or 'no fields'}: {error}",
                hint=f"change the {self.kind}'s fields, or choose another: autoqec plugins --kind {self.kind}s",
            ) from error
        except AutoQECError:
            raise
        except Exception as error:
            raise AutoQECError(
                f"{self.kind} {self.name!r} of {self.distribution} failed: {one_line(error)}",
                hint="autoqec --traceback shows where",
                code="plugin_failed",
            ) from error


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that was found and could not be used, with the reason."""

    plugin: str
    distribution: str
    error: str


@dataclass
class Registry:
    """Everything registered, by kind and name, and what was broken."""

    manager: pluggy.PluginManager
    entries: dict[tuple[str, str], Registration] = field(default_factory=dict)
    broken: list[BrokenPlugin] = field(default_factory=list)

    def get(self, kind: str, name: str) -> Registration:
        """The registration of a name.

        Raises:
            NotFoundError: Nothing by that name; lists what exists and any broken plugin that may have had it.
        """
        found = self.entries.get((kind, name))
        if found is not None and name.endswith(":"):
            raise NotFoundError(f"{kind} {name!r} is a family: say which of it, {name}…", hint="autoqec plugins")
        if found is not None:
            return found
        family, colon, member = name.partition(":")
        if colon and member and (kind, family + colon) in self.entries:
            return replace(self.entries[kind, family + colon], name=name, member=member)
        hint = f"choose one of: {', '.join(self.names(kind)) or '(none installed)'}"
        if self.broken:
            hint += f"; broken plugins: {', '.join(b.plugin for b in self.broken)} (autoqec plugins)"
        about = {"kind": kind, "name": name}
        raise NotFoundError(f"there is no {kind} named {name!r}", hint=hint, code="not_installed", about=about)

    def maker(self, kind: str) -> Callable[[str], Any]:
        """A function from a name to what its factory makes without fields, for kinds that take none (stages, codes)."""
        return lambda name: self.get(kind, name).create()

    def names(self, kind: str) -> list[str]:
        """Registered names of one kind, sorted."""
        return sorted(name for entry_kind, name in self.entries if entry_kind == kind)

    def all(self, kind: str | None = None) -> list[Registration]:
        """Registrations, by kind in the order of `KINDS`, then by name."""
        chosen = [entry for entry in self.entries.values() if kind in (None, entry.kind)]
        return sorted(chosen, key=lambda entry: (KINDS.index(entry.kind), entry.name))

    def notify(self, event: Mapping[str, Any]) -> None:
        """Hand an event to every observer; one that raises is reported as broken and not asked again."""
        for implementation in list(self.manager.hook.autoqec_round_event.get_hookimpls()):
            try:
                implementation.function(dict(event))
            except Exception as error:
                self.manager.unregister(implementation.plugin)
                self.broken.append(_broken(implementation.plugin_name, "observer", error))


def one_line(error: BaseException) -> str:
    """An exception of somebody else's code in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _broken(plugin: str, distribution: str, error: BaseException) -> BrokenPlugin:
    return BrokenPlugin(plugin, distribution, one_line(error))


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"


def installed() -> list[EntryPoint]:
    """The entry points of installed plugins that `AUTOQEC_LOAD_PLUGINS` lets through, from metadata alone."""
    chosen = os.environ.get("AUTOQEC_LOAD_PLUGINS")
    names = None if chosen is None else {name.strip() for name in chosen.split(",") if name.strip()}
    unique = {(entry.name, entry.value): entry for entry in entry_points(group=GROUP)}
    return [entry for _, entry in sorted(unique.items()) if names is None or entry.name in names]


def load_plugins(entries: Iterable[EntryPoint] | None = None) -> Registry:
    """Load plugins one by one; one that raises is recorded in `Registry.broken` and skipped.

    Args:
        entries: Entry points to load; all installed ones by default.

    Raises:
        UsageError: Two plugins register one name for one kind.
        AutoQECError: A plugin is broken and `AUTOQEC_STRICT_PLUGINS` is set.
    """
    manager = pluggy.PluginManager("autoqec")
    manager.add_hookspecs(hookspecs)
    registry = Registry(manager)
    for entry in installed() if entries is None else entries:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints as it loads is not our data
                module = entry.load()
            manager.register(module, name=entry.name)
            offers = list(_offers(module, entry))
            manager.check_pending()
        except (Exception, SystemExit) as error:
            if manager.has_plugin(entry.name):
                manager.unregister(name=entry.name)
            registry.broken.append(_broken(entry.name, _distribution(entry), error))
            continue
        for offer in offers:
            _add(registry, offer)
    if registry.broken and os.environ.get("AUTOQEC_STRICT_PLUGINS", "") not in ("", "0"):
        first = registry.broken[0]
        raise AutoQECError(
            f"plugin {first.plugin} ({first.distribution}) is broken: {first.error}",
            hint=f"pip uninstall {first.distribution.split()[0]}, or unset AUTOQEC_STRICT_PLUGINS to go on without it",
        )
    return registry


def _offers(module: Any, entry: EntryPoint) -> Iterable[Registration]:
    for kind in KINDS:
        hook = getattr(module, f"autoqec_register_{kind}s", None)
        if hook is None:
            continue
        offers: list[Registration] = []

        def register(name: str, factory: Callable[..., Any] | str, *, _kind: str = kind, **capabilities: Any) -> None:
            offers.append(Registration(_kind, name, factory, capabilities, entry.name, _distribution(entry)))  # noqa: B023

        hook(register=register)
        yield from offers


def _add(registry: Registry, offer: Registration) -> None:
    existing = registry.entries.get((offer.kind, offer.name))
    if existing is not None:
        raise UsageError(
            f"two plugins register the {offer.kind} {offer.name!r}: {existing.plugin} ({existing.distribution}) "
            f"and {offer.plugin} ({offer.distribution})",
            hint="uninstall one, or choose with AUTOQEC_LOAD_PLUGINS=… (a comma-separated list of plugin names)",
        )
    registry.entries[offer.kind, offer.name] = offer


def missing_packages(registry: Registry) -> dict[str, str]:
    """What is registered and needs a distribution that is not installed: its name → the line that installs it.

    A factory says so in the capability `needs`; nothing is imported to find out.
    """
    missing = {}
    for entry in registry.all():
        distribution = str(entry.capabilities.get("needs", ""))
        try:
            version(distribution.partition("[")[0] or "autoqec")
        except PackageNotFoundError:
            missing[entry.name] = pip_line(distribution, str(entry.capabilities.get("pip_options", "")))
    return missing


def pip_line(distribution: str, options: str = "") -> str:
    """The command that installs a distribution, in quotes for the sake of an extra in brackets."""
    return " ".join(["pip install", *([options] if options else []), f"'{distribution}'"])


def describe() -> list[dict[str, Any]]:
    """Everything registered, then everything broken, as JSON-able mappings."""
    registry = load_plugins()
    missing = missing_packages(registry)
    shared: dict[str, Any] = {"schema": "autoqec.plugin/1"}
    return [
        *(
            shared
            | {
                "kind": entry.kind,
                "name": entry.name,
                "plugin": entry.plugin,
                "distribution": entry.distribution,
                "capabilities": dict(entry.capabilities),
                "missing": entry.capabilities["needs"] if entry.name in missing else None,
                "install": missing.get(entry.name),
            }
            for entry in registry.all()
        ),
        *(shared | vars(broken) for broken in registry.broken),
    ]


def describe_metadata() -> list[dict[str, Any]]:
    """Installed plugins from their metadata alone, importing nothing."""
    return [
        {
            "schema": "autoqec.plugin/1",
            "kind": "plugin",
            "name": entry.name,
            "plugin": entry.value,
            "distribution": _distribution(entry),
            "capabilities": {},
        }
        for entry in installed()
    ]
