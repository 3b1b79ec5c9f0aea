"""The loader: plugins by entry point, broken ones survived, duplicate names refused."""

import importlib
import re
import sys
import types
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from autoqec import hookimpl
from autoqec.agents import ROLES
from autoqec.cli.main import run
from autoqec.config import load_settings
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.hookspecs import CAPABILITIES, NAME
from autoqec.loop import judging
from autoqec.loop.opened_session import opened_session
from autoqec.loop.session import Session
from autoqec.plugin_errors import explained
from autoqec.plugins import KINDS, installed, load_plugins
from autoqec.problem.environment import Choice
from autoqec.scoring.executor_contract import ExecutorChoice, WorkerNews
from autoqec.scoring.opened_executor import shared_choice
from autoqec.views.progress import RoundDisplay

ROOT = Path(__file__).parent.parent


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
    first, second = registry.notify({"event": "step"}), registry.notify({"event": "closed"})
    assert [event["event"] for event in heard] == ["step", "closed"]
    assert [broken.plugin for broken in registry.broken] == ["deaf"]
    assert (first, second) == (registry.broken, []), "one that is broken is reported once"
    assert (first[0].error, first[0].file) == ("RuntimeError: deaf", __file__)


def test_a_broken_observer_ends_no_round_and_is_reported_once(entry, capsys):
    def fail(event):
        print("noise")
        raise SystemExit("deaf")

    told = []
    registry = load_plugins([entry("deaf", autoqec_round_event=fail)])
    session = Session(None, registry, None, types.SimpleNamespace(name="r"), told.append)
    session.event("step", step="train")
    session.event("closed")
    assert [event["event"] for event in told] == ["step", "observer_failed", "closed"]
    with RoundDisplay(quiet=True) as display:
        display.event(told[1])
    out, err = capsys.readouterr()
    assert out == "", "what an observer prints is not our data"
    assert (
        "the observer of plugin deaf (unknown distribution) failed and gets no further events: SystemExit: deaf" in err
    )


def test_what_executors_share_begins_once_when_a_step_needs_it_and_ends_with_the_session(entry, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "verify_in_process", lambda request, *, executor, **more: executor)
    told = []

    class Counted:
        def __init__(self, jobs, **options):
            told.append(("opened", jobs, options))

        @staticmethod
        @contextmanager
        def shared(jobs, **options):
            told.append("began")
            yield {**options, "address": "a"}
            told.append("ended")

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            told.append("closed")

        def leave_out(self, workers):
            told.append(workers)

    registry = load_plugins([entry("p", autoqec_register_executors=lambda register: register("counted", Counted))])
    settings = load_settings(tmp_path, {"executor": "counted", "jobs": 3})
    run = types.SimpleNamespace(name="r")
    with opened_session(types.SimpleNamespace(folder=tmp_path), registry, settings, run, lambda event: None) as session:
        assert told == [], "a command that scores nothing begins nothing"
        for _ in range(2):
            with session.executor():
                pass
        assert session.executor_choice.options == {"address": "a"}, "the verifier's process joins what this one began"
        request = types.SimpleNamespace(max_seconds=1.0)
        assert judging._verify(session, request) == session.executor_now
        session.workers_event(WorkerNews("lost", "v", "it ended", 1, "k"))
        session.workers_event(WorkerNews("dropped", "w", "it lied", 1, "m"))
        with session.executor():
            pass
        assert session.executor_now == replace(session.executor_choice, left_out=("m", "w")), "the verifier's does too"
    opened = ("opened", 3, {"address": "a"})
    assert told == ["began", opened, "closed", opened, "closed", opened, ("m", "w"), "closed", "ended"]


def test_what_executors_cannot_begin_to_share_is_an_error_of_the_plugin(entry):
    class Wrong:
        @staticmethod
        @contextmanager
        def shared(jobs, folder=""):
            yield {"size": len(folder)}

    registry = load_plugins([entry("p", autoqec_register_executors=lambda register: register("wrong", Wrong))])
    for options in ({"folder": 3}, {"place": "a"}, {"self": 1}):
        with (
            pytest.raises(AutoQECError, match="executor 'wrong' of plugin p .* cannot start: TypeError") as caught,
            shared_choice(registry, ExecutorChoice("wrong", 1, options)),
        ):
            pass
        assert caught.value.code == "plugin_failed"


def test_a_field_of_any_name_is_the_factorys_to_refuse(entry):
    registry = load_plugins([entry("p", autoqec_register_agents=lambda register: register("a", lambda: None))])
    with pytest.raises(UsageError, match="agent 'a' of plugin p .* does not accept"):
        registry.get("agent", "a").create(self=1)


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
    said = r"decoder 'raises' of plugin p \(unknown distribution\) failed: OSError: no such device \(.*, line \d+\)"
    with pytest.raises(AutoQECError, match=said):
        registry.get("decoder", "raises").create()


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Makes an entry point of a module's source, and takes the module from `sys.modules` afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(name, source):
        module = f"written_{name}"
        made.append(module)
        (tmp_path / f"{module}.py").write_text("from autoqec import hookimpl\n" + source)
        return EntryPoint(name, module, "autoqec")

    yield make
    for module in made:
        sys.modules.pop(module, None)


def test_pluggy_calls_the_plugins(written):
    """Another name by `specname`, an order, and a wrapper."""
    source = """
order = []

@hookimpl(specname="autoqec_register_decoders")
def ours(register):
    order.append("ours")
    register("mine", "somewhere:Mine")

@hookimpl(specname="autoqec_register_decoders", tryfirst=True)
def early():
    order.append("early")

@hookimpl(specname="autoqec_register_decoders", trylast=True)
def late(register):
    order.append("late")

@hookimpl(wrapper=True)
def autoqec_register_decoders(register):
    order.append("before")
    yield
    order.append("after")
"""
    registry = load_plugins([written("modern", source)])
    assert registry.broken == []
    assert registry.names("decoder") == ["mine"]
    assert sys.modules["written_modern"].order == ["before", "early", "ours", "late", "after"]


def test_a_plugin_may_be_an_object(written):
    source = """
class Plugin:
    @hookimpl
    def autoqec_register_codes(self, register):
        register("hexagon", "somewhere:Hexagon")

plugin = Plugin()
nothing = None
"""
    made = written("object", source)
    registry = load_plugins([EntryPoint(name, f"{made.value}:{name}", "autoqec") for name in ("plugin", "nothing")])
    assert registry.names("code") == ["hexagon"]
    assert [(b.plugin, "is None" in b.error) for b in registry.broken] == [("nothing", True)]


def test_a_function_without_the_decorator_registers_nothing_and_is_reported(written):
    source = """
def autoqec_register_decoders(register):
    register("silent", "somewhere:Silent")

@hookimpl
def autoqec_register_codes(register):
    register("heard", "somewhere:Heard")
"""
    registry = load_plugins([written("bare", source)])
    assert (registry.names("decoder"), registry.names("code")) == ([], ["heard"])
    (broken,) = registry.broken
    assert "autoqec_register_decoders is not decorated with @autoqec.hookimpl" in broken.error
    assert (Path(broken.file).name, broken.line) == ("written_bare.py", 3)


REFUSED = {
    "signature": ("def autoqec_register_decoders(registry): ...", r"Argument\(s\) \{'registry'\} are declared", 3),
    "unknown hook": ("def autoqec_register_decodes(register): ...", "unknown hook 'autoqec_register_decodes'", 3),
    "capability": (
        "def autoqec_register_decoders(register):\n    register('x', 'a:B', takes_belief=True)",
        "decoder 'x': there is no capability 'takes_belief', did you mean takes_beliefs.*near_ml, needs, pip_options",
        5,
    ),
    "another kind's": (
        "def autoqec_register_codes(register):\n    register('x', 'a:B', roles=())",
        "code 'x': there is no capability 'roles'.*; a code has example, files, needs, pip_options",
        5,
    ),
    "type": (
        "def autoqec_register_decoders(register):\n    register('x', 'a:B', takes_beliefs='no')",
        "takes_beliefs is a bool, not 'no'",
        5,
    ),
    "name": (
        "def autoqec_register_decoders(register):\n    register('My Dec!', 'a:B')",
        "decoder 'My Dec!': the name has invalid",
        5,
    ),
    "no name": ("def autoqec_register_decoders(register):\n    register('', 'a:B')", "decoder ''", 5),
    "a command's": ("def autoqec_register_commands(register):\n    register('a:b', 'a:B')", "command 'a:b'", 5),
    "factory": (
        "def autoqec_register_decoders(register):\n    register('x', 'module:')",
        "'module:' is not of the form",
        5,
    ),
    "no module": ("def autoqec_register_stages(register):\n    register('x', ':A')", "':A' is not of the form", 5),
    "neither": ("def autoqec_register_stages(register):\n    register('x', None)", "None is neither callable nor", 5),
    "import": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'", 3),
    "syntax": ("x = = 1", "SyntaxError", 3),
    "exits": ("raise SystemExit(7)", "SystemExit: 7", 3),
    "panics": ("raise type('Panic', (BaseException,), {})('at the disco')", "^Panic: at the disco$", 3),
    "says nothing": (
        "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})",
        "^Mute: an error whose message cannot be read$",
        3,
    ),
    "twice": (
        "def autoqec_register_codes(register):\n    for _ in 'ab': register('x', 'a:B')",
        "the plugin registers the code 'x' twice",
        5,
    ),
    "words": (
        "def autoqec_register_agents(register):\n    register('x', 'a:B', roles=['coder', object()])",
        "roles is a tuple of words, not",
        5,
    ),
    "yields": ("def autoqec_register_codes(register):\n    yield", "autoqec_register_codes has a yield or is async", 3),
    "async": ("async def autoqec_round_event(event): ...", "autoqec_round_event has a yield or is async", 3),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_has_an_owner_a_reason_and_a_place(written, case):
    source, reason, line = REFUSED[case]
    good = "@hookimpl\ndef autoqec_register_stages(register):\n    register('fine', 'a:B')\n"
    decorated = "@hookimpl\n" if source.startswith(("def", "async def")) else "\n"
    entries = [written("bad", decorated + source), written("good", good)]
    registry = load_plugins(entries)
    assert list(registry.entries) == [("stage", "fine")]
    (broken,) = registry.broken
    assert (broken.plugin, broken.distribution) == ("bad", "unknown distribution")
    assert re.search(reason, broken.error), broken.error
    assert Path(broken.file).name == "written_bad.py"
    assert broken.line in (line, line - 1)  # a function's first line is its decorator's


@pytest.mark.parametrize("value", ["", ":::", "two words", "module:"])
def test_an_entry_point_that_names_nothing_is_reported_and_skipped(entry, value):
    good = entry("good", autoqec_register_decoders=lambda register: register("x", dict))
    registry = load_plugins([EntryPoint("bad", value, "autoqec"), good])
    assert registry.names("decoder") == ["x"]
    assert [(broken.plugin, broken.distribution) for broken in registry.broken] == [("bad", "unknown distribution")]


def test_a_person_can_still_interrupt_the_loading(written):
    with pytest.raises(KeyboardInterrupt):
        load_plugins([written("slow", "raise KeyboardInterrupt")])


def test_a_wrapper_may_yield(written):
    source = """
@hookimpl(wrapper=True)
def autoqec_register_decoders(register):
    register("inside", "a:B")
    return (yield)
"""
    registry = load_plugins([written("wraps", source)])
    assert (registry.names("decoder"), registry.broken) == (["inside"], [])


def test_names_are_what_an_environment_can_say_and_roles_what_agents_play():
    assert Choice.model_json_schema()["properties"]["kind"]["pattern"] == f"^{NAME}$"
    registry = load_plugins()
    assert CAPABILITIES.keys() == set(KINDS)
    assert all(set(entry.capabilities) <= set(CAPABILITIES[entry.kind]) for entry in registry.all())
    assert all(set(entry.capabilities.get("roles", ())) <= set(ROLES) for entry in registry.all("agent"))


def test_an_error_inside_a_plugin_has_its_name_distribution_file_and_line(written):
    source = """
class Lost:
    def work(self):
        return [1, 2][3]

@hookimpl
def autoqec_register_decoders(register):
    register("lost", Lost)
"""
    lost = load_plugins([written("lost", source)]).get("decoder", "lost").create()
    with pytest.raises(IndexError) as caught:
        lost.work()
    said = "IndexError: list index out of range (plugin lost (unknown distribution): written_lost.py, line 5)"
    assert explained(caught.value) == said
    with pytest.raises(IndexError) as caught:
        [][0]
    assert explained(caught.value) == "IndexError: list index out of range"


def test_an_error_of_a_plugins_command_names_the_plugin(tmp_path, monkeypatch, capsys):
    source = """
import click
from autoqec import hookimpl

@click.command()
def boom():
    raise KeyError("boom")

@hookimpl
def autoqec_register_commands(register):
    register("boom", boom)
"""
    (tmp_path / "boom_plugin.py").write_text(source)
    (tmp_path / "boom-2.5.dist-info").mkdir()
    (tmp_path / "boom-2.5.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: boom\nVersion: 2.5\n")
    (tmp_path / "boom-2.5.dist-info/entry_points.txt").write_text("[autoqec]\nboom = boom_plugin\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert run(["boom"]) == 1
    err = capsys.readouterr().err
    assert "plugin boom (boom 2.5) failed: KeyError: 'boom' (boom_plugin.py, line 7)" in err
    assert "Traceback" not in err
    with pytest.raises(KeyError):
        run(["--traceback", "boom"])


def test_a_command_that_is_none_is_an_error_of_its_plugin(written, monkeypatch, capsys):
    source = "commands = 5\n@hookimpl\ndef autoqec_register_commands(register):\n    register('five', 'written_odd:commands')"
    found = written("odd", source)
    monkeypatch.setattr("autoqec.plugins.installed", lambda: [found])
    assert run(["five"]) == 1
    assert (
        "command 'five' of plugin odd (unknown distribution) cannot be used: TypeError: int is"
        in capsys.readouterr().err
    )


def test_a_candidates_own_code_is_no_plugin():
    code = compile("def forward(): raise ValueError('mine')", "stages/own/module.py", "exec")
    module = types.ModuleType("autoqec_plugins.mwpm.forged")
    exec(code, vars(module))
    load_plugins()
    with pytest.raises(ValueError, match="mine") as caught:
        module.forward()
    assert explained(caught.value) == "ValueError: mine"


PAGES = [
    path for pattern in ("*.md", "docs/**/*.md", "autoqec/**/*.py", "plugins/**/*.py") for path in ROOT.glob(pattern)
]
DOCUMENTED = sorted(
    {
        (path.relative_to(ROOT).as_posix(), name)
        for path in [
            *ROOT.glob("*.md"),
            *ROOT.glob("docs/**/*.md"),
            *(ROOT / "autoqec").rglob("*.py"),
            *ROOT.glob("plugins/**/*.py"),
        ]
        for name in re.findall(r"(?<![\w/.@-])autoqec(?:_plugins)?(?:\.[A-Za-z_]\w*)+(?![\w/-])", path.read_text())
        if not name.endswith("_")  # the beginning of a name, which code completes
    }
)


def resolves(name):
    """Whether a dotted name can be imported, or is an attribute of what can."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part) and part not in getattr(found, "__annotations__", {}):
                return False
            found = getattr(found, part, None)
        return True
    return False


def test_every_documented_path_imports():
    assert len([name for path, name in DOCUMENTED if path == "autoqec/hookspecs.py"]) >= 6
    assert [(path, name) for path, name in DOCUMENTED if not resolves(name)] == []
