"""Loads plugins by entry point, skips broken ones, and keeps a registry of what they offer.

`load_plugins()` makes the registry, which is passed around; there is no global one. `AUTOQEC_LOAD_PLUGINS` selects plugins by
entry-point name (comma-separated; empty loads none). `AUTOQEC_STRICT_PLUGINS=1` turns a broken plugin into an error. pluggy
calls the plugins one at a time, so a failing plugin does not affect the others, and each name has an owner.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import operator
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING, Any

import pluggy

from autoqec import hookspecs
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.json_values import JsonObject
from autoqec.nearest_names import unknown_name
from autoqec.own_files import is_own_module
from autoqec.plugin_errors import Origin, Owner, one_line, origin, own
from autoqec.round_events import RoundEvent

if TYPE_CHECKING:
    from autoqec.printed_rows import BrokenRow, PluginRow

GROUP = "autoqec"

_SCHEMA = "autoqec.plugin/1"

#: The kinds a plugin can register, in the order people meet them; each has a hook `autoqec_register_<kind>s`.
KINDS = ("agent", "decoder", "verifier", "stage", "code", "executor", "host", "command")


@dataclass(frozen=True)
class Registration:
    """One thing a plugin offers.

    Attributes:
        kind: One of `KINDS`.
        name: What users write in an environment, a candidate or a flag. A name that ends in a colon is a family: it covers
            every name with that prefix.
        factory: A callable, or `module:attribute` imported when it is first used.
        capabilities: Facts that can be known without importing the factory, such as `takes_beliefs`.
        plugin: The entry point's name.
        distribution: The installed distribution it came with, with its version.
        member: For a family, the part after the colon: the factory's first argument.
        module: The module that the entry point names.
    """

    kind: str
    name: str
    factory: Callable[..., Any] | str
    capabilities: JsonObject
    plugin: str
    distribution: str
    member: str | None = None
    module: str = ""

    @property
    def is_own(self) -> bool:
        """Whether AutoQEC ships it: the code that registers it and the code that it runs; see `autoqec.own_files`."""
        factory = self.factory
        return isinstance(factory, str) and is_own_module(self.module) and is_own_module(factory.partition(":")[0])

    @property
    def owner(self) -> Owner:
        """The plugin that offers it."""
        return Owner(self.plugin, self.distribution)

    def failure(self, error: BaseException, what: str = "failed", hint: str | None = None) -> AutoQECError:
        """An error for people about an exception raised in the plugin: it names plugin, distribution, file and line.

        Args:
            error: The exception.
            what: What could not be done.
            hint: What to do about it; by default, look at the traceback.
        """
        found = origin(error, self.owner)
        place = f" ({found.place})" if found else ""
        return AutoQECError(
            f"{self.kind} {self.name!r} of {self.owner} {what}: {one_line(error)}{place}",
            hint=hint or f"report it to the authors of {self.distribution.split()[0]}; autoqec --traceback shows more",
            code="plugin_failed",
        )

    def load(self) -> Any:
        """Import and return the factory.

        Raises:
            AutoQECError: It cannot be imported; names the plugin and how to continue without it.
        """
        if not isinstance(self.factory, str):
            return self.factory
        module, _, attribute = self.factory.partition(":")
        try:
            return operator.attrgetter(attribute)(importlib.import_module(module))
        except (Exception, SystemExit) as error:
            hint = f"reinstall {self.distribution.split()[0]}, or choose another {self.kind}: autoqec plugins"
            raise self.failure(error, "cannot be loaded", hint) from error

    def create(self, /, **fields: Any) -> Any:
        """Call the factory.

        Raises:
            UsageError: The factory does not take these fields.
            AutoQECError: The factory fails; names the plugin, its distribution, file and line.
        """
        factory = self.load()
        try:
            return factory(**fields) if self.member is None else factory(self.member, **fields)
        except TypeError as error:
            found, known = origin(error), _fields_of(factory, self.member is not None)
            unknown = [name for name in fields if known is not None and name not in known]
            why = f"unknown field {unknown[0]}{unknown_name(unknown[0], known or ())}" if unknown else str(error)
            told = "" if known is None else f"its fields are {', '.join(known)}; " if known else "it has no fields; "
            raise UsageError(
                f"{self.kind} {self.name!r} of {self.owner} does not accept {sorted(fields) or 'no fields'}: "
                f"{why}{f' ({found.place})' if found else ''}",
                hint=f"{told}change the {self.kind}'s fields, or choose another: autoqec plugins --kind {self.kind}s",
            ) from error
        except AutoQECError:
            raise
        except Exception as error:
            raise self.failure(error) from error


def _fields_of(factory: Any, is_family: bool) -> list[str] | None:
    """The names that a factory takes; None if it does not say, because it takes any or is not written in Python."""
    try:
        parameters = list(inspect.signature(factory).parameters.values())[1 if is_family else 0 :]
    except (TypeError, ValueError):
        return None
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return None
    return [each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that was found but cannot be used, or only in part.

    Attributes:
        plugin: The entry point's name.
        distribution: The installed distribution it came with, with its version.
        error: The reason, in one line.
        file, line: Where in the plugin's code, if that is known.
    """

    plugin: str
    distribution: str
    error: str
    file: str | None = None
    line: int | None = None


@dataclass
class Registry:
    """Everything registered, by kind and name, and what was broken.

    Attributes:
        manager: pluggy's, with the plugins that were loaded, by the names of their entry points.
        entries: What they registered.
        broken: What failed, with the reason.
        owners: The plugins that were loaded, by the names of their entry points.
    """

    manager: pluggy.PluginManager
    entries: dict[tuple[str, str], Registration] = field(default_factory=dict)
    broken: list[BrokenPlugin] = field(default_factory=list)
    owners: dict[str, Owner] = field(default_factory=dict)

    def get(self, kind: str, name: str) -> Registration:
        """The registration of a name.

        Raises:
            NotFoundError: The name is unknown; lists the known names, and the broken plugins that may have offered it.
        """
        found = self.entries.get((kind, name))
        if found is not None and name.endswith(":"):
            raise NotFoundError(f"{kind} {name!r} is a family: give a member, {name}…", hint="autoqec plugins")
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
        """A function from a name to the product of its factory, for kinds whose factories take no fields (stages, codes)."""
        return lambda name: self.get(kind, name).create()

    def names(self, kind: str) -> list[str]:
        """Registered names of one kind, sorted."""
        return sorted(name for entry_kind, name in self.entries if entry_kind == kind)

    def all(self, kind: str | None = None) -> list[Registration]:
        """Registrations, by kind in the order of `KINDS`, then by name."""
        chosen = [entry for entry in self.entries.values() if kind in (None, entry.kind)]
        return sorted(chosen, key=lambda entry: (KINDS.index(entry.kind), entry.name))

    def notify(self, event: RoundEvent) -> list[BrokenPlugin]:
        """Send an event to every observer, in pluggy's order; an observer that raises gets no further events.

        Returns:
            The observers that raised, each once per registry.
        """
        failed = []
        name = "autoqec_round_event"
        observers = dict.fromkeys(each.plugin for each in reversed(getattr(self.manager.hook, name).get_hookimpls()))
        for plugin in observers:
            try:
                with contextlib.redirect_stdout(sys.stderr):  # what an observer prints is not our data
                    _call_only(self.manager, name, plugin, event=dict(event))
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                entry = self.manager.get_name(plugin) or "unknown"
                self.manager.unregister(plugin)
                failed.append(_broken(self.owners.get(entry, Owner(entry, "unknown distribution")), error))
        self.broken += failed
        return failed


def _call_only(manager: pluggy.PluginManager, hook: str, plugin: Any, **arguments: Any) -> None:
    """Have pluggy call one plugin's functions for a hook, and no other plugin's."""
    others = [other for other in manager.get_plugins() if other is not plugin]
    manager.subset_hook_caller(hook, others)(**arguments)


def _broken(owner: Owner, error: BaseException) -> BrokenPlugin:
    return _broken_at(owner, _reason(error), _origin(owner, error))


def _broken_at(owner: Owner, reason: str, where: Origin | None) -> BrokenPlugin:
    place = (where.file, where.line) if where else (None, None)
    return BrokenPlugin(owner.plugin, owner.distribution, reason, *place)


def _origin(owner: Owner, error: BaseException) -> Origin | None:
    if not isinstance(error, pluggy.PluginValidationError):
        return origin(error, owner)
    # pluggy refuses a function before it is called: the function itself is the place.
    trace = error.__traceback__
    while trace is not None:
        implementation = trace.tb_frame.f_locals.get("hookimpl")
        if isinstance(implementation, pluggy.HookImpl):
            return _defined(owner, implementation.function)
        trace = trace.tb_next
    return None


def _defined(owner: Owner, function: Any) -> Origin | None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return Origin(owner, code.co_filename, code.co_firstlineno) if code else None


def _reason(error: BaseException) -> str:
    if isinstance(error, AutoQECError):
        return error.problem + (f"; {error.hint}" if error.hint else "")
    if isinstance(error, pluggy.PluginValidationError):
        return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return one_line(error)


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"


def installed() -> list[EntryPoint]:
    """The entry points of installed plugins that `AUTOQEC_LOAD_PLUGINS` lets through, from metadata alone."""
    chosen = os.environ.get("AUTOQEC_LOAD_PLUGINS")
    names = None if chosen is None else {name.strip() for name in chosen.split(",") if name.strip()}
    unique = {(entry.name, entry.value): entry for entry in entry_points(group=GROUP)}
    return [entry for _, entry in sorted(unique.items()) if names is None or entry.name in names]


def _is_own(entry: EntryPoint) -> bool:
    return is_own_module(entry.value.partition(":")[0].strip())


def own_plugins() -> list[EntryPoint]:
    """The entry points of `installed` that AutoQEC ships itself."""
    return [entry for entry in installed() if _is_own(entry)]


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
    chosen = list(installed() if entries is None else entries)
    # Our own come first, so that no other plugin can take their names.
    for entry in sorted(chosen, key=lambda entry: not _is_own(entry)):
        owner = Owner(entry.name, _distribution(entry))
        try:
            offers = _load(registry, entry, owner)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # libraries in other languages have panics that are no Exception
            registry.broken.append(_broken(owner, error))
            continue
        for offer in offers:
            _add(registry, offer)
    if registry.broken and os.environ.get("AUTOQEC_STRICT_PLUGINS", "") not in ("", "0"):
        first = registry.broken[0]
        raise AutoQECError(
            f"plugin {first.plugin} ({first.distribution}) is broken: {first.error}",
            hint=f"pip uninstall {first.distribution.split()[0]}, or unset AUTOQEC_STRICT_PLUGINS to continue without it",
        )
    return registry


def _load(registry: Registry, entry: EntryPoint, owner: Owner) -> list[Registration]:
    """Import a plugin, register it with pluggy, and collect its offers; on failure, unregister it completely."""
    manager = registry.manager
    if entry.pattern.match(entry.value) is None:
        raise UsageError(f"the entry point {entry.value!r} is not of the form module or module:attribute")
    own(entry.module, owner)
    with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints as it loads is not our data
        plugin = entry.load()
        if plugin is None:
            raise UsageError(f"{entry.value} is None; a plugin is a module or an object with hooks")
        if manager.has_plugin(entry.name):
            other = registry.owners[entry.name].distribution
            raise UsageError(f"there is another plugin {entry.name!r}, of {other}: an entry point needs a unique name")
        try:
            manager.register(plugin, name=entry.name)
            manager.check_pending()
            offers = [offer for kind in KINDS for offer in _offers(manager, plugin, kind, owner, entry)]
        except BaseException:
            if manager.has_plugin(entry.name):
                manager.unregister(name=entry.name)
            raise
    registry.owners[entry.name] = owner
    registry.broken += [*_forgotten(manager, plugin, owner), *_never_run(manager, plugin, owner)]
    return offers


def _offers(
    manager: pluggy.PluginManager, plugin: Any, kind: str, owner: Owner, entry: EntryPoint
) -> list[Registration]:
    """What one plugin registers of one kind."""
    offers: list[Registration] = []

    def register(name: str, factory: Callable[..., Any] | str, **capabilities: Any) -> None:
        _validate(kind, name, factory, capabilities)
        if any(offer.name == name for offer in offers):
            raise UsageError(f"the plugin registers the {kind} {name!r} twice")
        offers.append(
            Registration(kind, name, factory, capabilities, owner.plugin, owner.distribution, module=entry.module)
        )

    _call_only(manager, f"autoqec_register_{kind}s", plugin, register=register)
    return offers


def _validate(kind: str, name: object, factory: object, capabilities: JsonObject) -> None:
    """Refuse an offer that could never be used.

    Raises:
        UsageError: The name has invalid characters, the factory is not callable, or a capability is unknown or mistyped.
    """
    pattern = hookspecs.NAME.replace(":", "") if kind == "command" else hookspecs.NAME
    if not isinstance(name, str) or re.fullmatch(pattern, name) is None:
        raise UsageError(
            f"{kind} {name!r}: the name has invalid characters",
            hint=f"use letters, digits, and _ . -{'' if kind == 'command' else ' :'}",
        )
    if isinstance(factory, str):
        if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*", factory) is None:
            raise UsageError(f"{kind} {name!r}: the factory {factory!r} is not of the form module:attribute")
    elif not callable(factory):
        raise UsageError(f"{kind} {name!r}: the factory {factory!r} is neither callable nor 'module:attribute'")
    known = hookspecs.CAPABILITIES[kind]
    for capability, value in capabilities.items():
        if capability not in known:
            near = difflib.get_close_matches(capability, known, 1)
            guess = f", did you mean {near[0]}?" if near else ""
            raise UsageError(
                f"{kind} {name!r}: there is no capability {capability!r}{guess}",
                hint=f"a {kind} has {', '.join(sorted(known))}",
            )
        wanted = (tuple, list) if known[capability] is tuple else known[capability]
        if not isinstance(value, wanted):
            raise UsageError(f"{kind} {name!r}: {capability} is a {known[capability].__name__}, not {value!r}")
        if isinstance(value, tuple | list) and not all(isinstance(part, str) for part in value):
            raise UsageError(f"{kind} {name!r}: {capability} is a tuple of words, not {value!r}")


def _forgotten(manager: pluggy.PluginManager, plugin: Any, owner: Owner) -> list[BrokenPlugin]:
    """Functions of a plugin that are named like hooks but lack the decorator: pluggy ignores them silently."""
    found = []
    for name in dir(plugin):
        function = inspect.getattr_static(plugin, name, None) if name.startswith("autoqec_") else None
        is_hook = name == "autoqec_round_event" or name.startswith("autoqec_register_")
        if not (is_hook and inspect.isfunction(function)) or hasattr(function, "autoqec_spec"):
            continue
        if manager.parse_hookimpl_opts(plugin, name) is None:
            reason = f"{name} is not decorated with @autoqec.hookimpl, so it is never called"
            found.append(_broken_at(owner, reason, _defined(owner, function)))
    return found


def _never_run(manager: pluggy.PluginManager, plugin: Any, owner: Owner) -> list[BrokenPlugin]:
    """Hooks of a plugin that pluggy calls in vain: a `yield` or `async` makes an object, and nothing runs."""
    found = []
    for caller in manager.get_hookcallers(plugin) or ():
        for each in caller.get_hookimpls():
            lazy = inspect.isgeneratorfunction(each.function) or inspect.iscoroutinefunction(each.function)
            if each.plugin is plugin and lazy and not (each.wrapper or each.hookwrapper):
                reason = f"{caller.name} has a yield or is async, so it never runs; only a wrapper yields"
                found.append(_broken_at(owner, reason, _defined(owner, each.function)))
    return found


def _add(registry: Registry, offer: Registration) -> None:
    existing = registry.entries.get((offer.kind, offer.name))
    if existing is not None:
        raise UsageError(
            f"two plugins register the {offer.kind} {offer.name!r}: {existing.plugin} ({existing.distribution}) "
            f"and {offer.plugin} ({offer.distribution})",
            hint="uninstall one, or choose with AUTOQEC_LOAD_PLUGINS=… (a comma-separated list of plugin names)",
        )
    registry.entries[offer.kind, offer.name] = offer


def missing_packages(registry: Registry, of: Iterable[Registration] | None = None) -> dict[str, str]:
    """Registered names that need a distribution that is not installed: name → the command that installs it.

    The capability `needs` of a registration names the distribution; nothing is imported to find out.

    Args:
        registry: Installed plugins.
        of: The registrations to look at; all of them without it.
    """
    missing = {}
    for entry in registry.all() if of is None else of:
        distribution = str(entry.capabilities.get("needs", ""))
        try:
            version(distribution.partition("[")[0] or "autoqec")
        except PackageNotFoundError:
            missing[entry.name] = pip_line(distribution, str(entry.capabilities.get("pip_options", "")))
    return missing


def pip_line(distribution: str, options: str = "") -> str:
    """The command that installs a distribution; quotes protect an extra in brackets."""
    return " ".join(["pip install", *([options] if options else []), f"'{distribution}'"])


def describe() -> list[PluginRow | BrokenRow]:
    """Everything registered, then everything broken."""
    registry = load_plugins()
    missing = missing_packages(registry)
    registered: list[PluginRow] = [
        {
            "schema": _SCHEMA,
            "kind": entry.kind,
            "name": entry.name,
            "plugin": entry.plugin,
            "distribution": entry.distribution,
            "capabilities": dict(entry.capabilities),
            "missing": entry.capabilities["needs"] if entry.name in missing else None,
            "install": missing.get(entry.name),
        }
        for entry in registry.all()
    ]
    broken: list[BrokenRow] = [
        {
            "schema": _SCHEMA,
            "plugin": each.plugin,
            "distribution": each.distribution,
            "error": each.error,
            "file": each.file,
            "line": each.line,
        }
        for each in registry.broken
    ]
    return [*registered, *broken]


def describe_metadata() -> list[PluginRow]:
    """Installed plugins from their metadata alone, importing nothing."""
    return [
        {
            "schema": _SCHEMA,
            "kind": "plugin",
            "name": entry.name,
            "plugin": entry.value,
            "distribution": _distribution(entry),
            "capabilities": {},
        }
        for entry in installed()
    ]
