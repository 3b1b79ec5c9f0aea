"""The loader: plugins by entry point, broken ones survived, duplicate names refused."""

import sys
import types
from importlib.metadata import EntryPoint

import pytest

from autoqec import hookimpl
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.plugins import KINDS, installed, load_plugins


@pytest.fixture
def entry(monkeypatch):
    """Makes an entry point of a module built from functions."""

    def make(name, **hooks):
        module = types.ModuleType(f"plugin_{name}")
        for hook, function in hooks.items():
            setattr(module, hook, hookimpl(function))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return EntryPoint(name, module.__name__, "autoqec")

    return make


def test_first_party_plugins_are_found_like_any_other():
    registry = load_plugins()
    assert not registry.broken
    assert {kind for kind, _ in registry.entries} == set(KINDS) - {"command"}
    assert registry.get("decoder", "mwpm").distribution.startswith("autoqec ")


def test_a_plugin_that_raises_at_import_is_reported_and_skipped(entry, monkeypatch):
    def offer(register):
        register("x", dict)

    good = entry("good", autoqec_register_decoders=offer)
    bad = EntryPoint("bad", "no_such_module_anywhere", "autoqec")
    registry = load_plugins([bad, good])
    assert registry.names("decoder") == ["x"]
    assert [(b.plugin, "no_such_module" in b.error) for b in registry.broken] == [("bad", True)]
    monkeypatch.setenv("AUTOQEC_STRICT_PLUGINS", "1")
    with pytest.raises(AutoQECError, match="plugin bad"):
        load_plugins([bad, good])


def test_a_hook_that_raises_registers_nothing(entry):
    def offer(register):
        register("half", dict)
        raise RuntimeError("boom")

    registry = load_plugins([entry("p", autoqec_register_decoders=offer)])
    assert registry.names("decoder") == []
    assert "boom" in registry.broken[0].error


def test_a_misspelt_hook_is_an_error_of_the_plugin(entry):
    registry = load_plugins([entry("typo", autoqec_register_decodes=lambda register: None)])
    assert "autoqec_register_decodes" in registry.broken[0].error


def test_two_plugins_with_one_name_are_refused_naming_both(entry):
    def offer(register):
        register("same", dict)

    with pytest.raises(UsageError, match=r"one .*two|two plugins") as caught:
        load_plugins([entry("one", autoqec_register_stages=offer), entry("two", autoqec_register_stages=offer)])
    assert "one" in caught.value.problem
    assert "two" in caught.value.problem


def test_an_unknown_name_lists_those_that_exist():
    with pytest.raises(NotFoundError, match="no decoder named 'nope'") as caught:
        load_plugins().get("decoder", "nope")
    assert "mwpm" in caught.value.hint


def test_a_family_alone_is_no_name():
    for kind, name in (("agent", "anthropic:"), ("decoder", "sinter:")):
        with pytest.raises(NotFoundError, match=f"'{name}' is a family"):
            load_plugins().get(kind, name)
    assert load_plugins().get("agent", "anthropic:m").member == "m"


def test_a_factory_that_cannot_be_imported_names_its_plugin(entry):
    def offer(register):
        register("ghost", "no_such_module:Ghost")

    with pytest.raises(AutoQECError, match="ghost.*plugin haunted"):
        load_plugins([entry("haunted", autoqec_register_decoders=offer)]).get("decoder", "ghost").load()


def test_fields_a_factory_does_not_take_are_a_usage_error(entry):
    def make():
        return object()

    registry = load_plugins([entry("p", autoqec_register_decoders=lambda register: register("plain", make))])
    with pytest.raises(UsageError, match="plain.*colour"):
        registry.get("decoder", "plain").create(colour="red")


def test_the_environment_selects_plugins(monkeypatch):
    monkeypatch.setenv("AUTOQEC_LOAD_PLUGINS", "mwpm, local")
    assert {e.name for e in installed()} == {"mwpm", "local"}
    monkeypatch.setenv("AUTOQEC_LOAD_PLUGINS", "")
    assert installed() == []


def test_observers_hear_events_and_one_that_raises_is_dropped(entry):
    heard = []

    def hear(event):
        heard.append(event)

    def fail(event):
        raise RuntimeError("deaf")

    registry = load_plugins([entry("ear", autoqec_round_event=hear), entry("deaf", autoqec_round_event=fail)])
    registry.notify({"event": "step"})
    registry.notify({"event": "closed"})
    assert [event["event"] for event in heard] == ["step", "closed"]
    assert [broken.plugin for broken in registry.broken] == ["deaf"]


def test_a_plugin_that_exits_or_prints_at_import_is_survived(tmp_path, monkeypatch, capsys):
    (tmp_path / "quits.py").write_text("import sys\nprint('hello')\nsys.exit(7)\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = load_plugins([EntryPoint("quits", "quits", "autoqec")])
    assert registry.broken[0].error == "SystemExit: 7"
    assert capsys.readouterr().out == ""


def test_a_factory_that_raises_names_its_plugin(entry):
    def make():
        raise OSError("no such device")

    registry = load_plugins([entry("p", autoqec_register_decoders=lambda register: register("raises", make))])
    with pytest.raises(AutoQECError, match="decoder 'raises' of unknown distribution failed: OSError: no such device"):
        registry.get("decoder", "raises").create()
