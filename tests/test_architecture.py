"""The house keeps its floors: imports go one way, and what must not be imported is not."""

import ast
import re
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "autoqec").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))

#: What each room may import of the others.
ALLOWED = {
    "clusters": set(),
    "hosting": {"reporting", "views", "loop", "agents", "history", "results"},
    "api": {
        "reporting",
        "views",
        "loop",
        "agents",
        "comparing",
        "exchange",
        "history",
        "scoring",
        "results",
        "candidate",
        "decoding",
        "problem",
        "sandbox",
    },
    "cli": {
        "clusters",
        "hosting",
        "reporting",
        "views",
        "loop",
        "agents",
        "comparing",
        "exchange",
        "history",
        "scoring",
        "results",
        "problem",
        "sandbox",
        "testing",
    },
    "reporting": {"views", "loop", "agents", "exchange", "history", "results", "problem"},
    "views": {"history", "results"},
    "loop": {"agents", "history", "scoring", "results", "runner", "candidate", "decoding", "problem", "sandbox"},
    "agents": {"history", "problem", "results"},
    "comparing": {
        "exchange",
        "history",
        "scoring",
        "results",
        "candidate",
        "decoding",
        "problem",
        "sandbox",
    },
    "exchange": {"history", "scoring", "results", "candidate", "decoding", "problem", "sandbox"},
    "history": {"results"},
    "scoring": {"results", "decoding", "problem", "sandbox"},
    "runner": {"candidate", "decoding", "problem", "sandbox"},
    "candidate": {"decoding", "problem"},
    "decoding": {"problem"},
    "problem": set(),
    "sandbox": set(),
    "results": set(),
    "testing": {"hosting", "agents", "history", "scoring", "results", "candidate", "decoding", "problem", "sandbox"},
}
#: Modules at the top, which any room may import, and what they may import themselves.
SHARED = {
    "json_values": set(),
    "lazy_names": set(),
    "installed_package": set(),
    "round_events": set(),
    "phases": set(),
    "round_phases": {"phases", "round_events"},
    "printed_rows": {"json_values"},
    "errors": {"json_values"},
    "size_limits": set(),
    "contained_files": {"errors", "size_limits"},
    "canonical": {"errors", "size_limits"},
    "error_codes": set(),
    "hookspecs": set(),
    "plugin_errors": set(),
    "own_files": set(),
    "shared_threads": set(),
    "compiled_once": set(),
    "counted_words": set(),
    "whole_files": {"errors"},
    "plugins": {
        "own_files",
        "errors",
        "hookspecs",
        "json_values",
        "nearest_names",
        "plugin_errors",
        "printed_rows",
        "round_events",
    },
    "settings_schema": {"json_values"},
    "strict_fields": set(),
    "nearest_names": set(),
    "allowed_values": {"json_values"},
    "field_problems": {"allowed_values", "json_values", "nearest_names"},
    "candidate_paths": set(),
    "user_folders": set(),
    "wanted_settings": {"settings_schema", "user_folders"},
    "config": {
        "contained_files",
        "size_limits",
        "errors",
        "json_values",
        "settings_schema",
        "strict_fields",
        "user_folders",
        "wanted_settings",
    },
}


def imports(path):
    """Every module a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(path):
    """The parts of autoqec that a file imports."""
    names = {name.split(".")[1] for name in imports(path) if name.startswith("autoqec.")}
    return names & (set(ALLOWED) | set(SHARED))


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_rooms_below(path):
    room = path.relative_to(ROOT / "autoqec").parts[0].removesuffix(".py")
    if room in ALLOWED:
        assert rooms(path) - {room} <= ALLOWED[room] | set(SHARED)
    elif room in SHARED:
        assert rooms(path) <= SHARED[room]


FORBIDDEN = {
    "history": {"torch", "stim", "pymatching", "fusion_blossom", "numba", "numpy", "pydantic"},
    "hosting": {"torch", "stim", "pymatching", "fusion_blossom", "numba", "numpy"},
    "reporting": {"torch", "stim", "pymatching", "fusion_blossom", "numba"},
    "views": {"torch", "stim", "pymatching", "fusion_blossom", "numba", "numpy", "scipy"},
    "cli": {"torch", "stim", "pymatching", "fusion_blossom", "numba"},
    "agents": {"torch", "stim", "pymatching", "fusion_blossom", "numba"},
    "scoring": {"torch", "autoqec_plugins"},
    "loop": {"torch"},
    "comparing": {"torch", "pygit2"},
    "problem": {"torch", "pygit2"},
    "sandbox": {"torch", "stim", "pygit2", "numpy"},
    "results": {"torch", "stim", "pygit2", "numpy", "pydantic"},
}


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_room_must_not_know_it_does_not(path):
    relative = path.relative_to(ROOT / "autoqec")
    tops = {name.split(".")[0] for name in imports(path)}
    assert not tops & FORBIDDEN.get(relative.parts[0], set())
    assert "autoqec_plugins" not in tops
    assert "pickle" not in tops
    if relative.parts[0] != "history":
        assert "pygit2" not in tops


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_know_the_core_and_not_each_other(path):
    assert not {name for name in imports(path) if name.startswith("autoqec_plugins")}
    assert "pickle" not in {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def public(tree):
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_have_docstrings(path):
    assert not [node.name for node in public(ast.parse(path.read_text())) if not ast.get_docstring(node)]


def module_name(path):
    """The name a file is imported by."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] == "plugins":
        parts[0] = "autoqec_plugins"
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path, known):
    """The known modules that a file imports anywhere: in functions, under `TYPE_CHECKING`, by relative names too."""
    package = module_name(path).split(".")
    package = package if path.name == "__init__.py" else package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield from {name if name in known else base} & known


def test_no_import_circle_exists():
    files = {module_name(path): path for path in CORE + PLUGINS}
    graph = {name: set(imported_modules(path, files.keys())) - {name} for name, path in files.items()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail("import circle: " + " -> ".join(reversed(error.args[1])))
    assert len(order) == len(files)


def test_a_file_name_alone_says_which_file_it_is():
    names = Counter(path.name for path in CORE + PLUGINS if path.name != "__init__.py")
    assert [name for name, times in names.items() if times > 1] == []


PACKAGES = [path for path in CORE + PLUGINS if path.name == "__init__.py"]


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_no_module_hides_a_name_of_its_package(path):
    """Importing a module sets its name in the package, in place of a function of that name."""
    inside = {each.stem for each in path.parent.iterdir()}
    assert not inside & set(getattr(import_module(module_name(path)), "__all__", ()))


VIEWS = [path for path in CORE if path.relative_to(ROOT / "autoqec").parts[0] == "views"]

#: What works figures out, in the room of results: views are given records that have them.
ARITHMETIC = {
    f"autoqec.results.{name}"
    for name in ("statistics", "counts", "decision", "distance", "harm", "verdict_checks", "audit", "limits.exceeded")
}


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: str(path.relative_to(ROOT)))
def test_views_draw_what_is_worked_out_elsewhere(path):
    assert not ARITHMETIC & set(imports(path))


@pytest.mark.parametrize("path", [*CORE, *PLUGINS], ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_records_know_the_keys_of_a_verdict(path):
    """A reader of a verdict asks a record; whoever spells a key of its note would break with the note."""
    inside = path.relative_to(ROOT).parts[:2] in (("autoqec", "results"), ("autoqec", "testing"))
    inside |= path.name == "autoqec_check.py"  # it shares no code with the program that it checks
    assert inside or not re.search("delta_ler_ci|ler_ratio_ci", path.read_text())


#: The largest function has about as many. What is longer consists of parts that deserve names.
MOST_LINES = 80


def function_lengths(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_are_short(path):
    assert {name: lines for name, lines in function_lengths(path) if lines > MOST_LINES} == {}


@pytest.mark.parametrize(
    "path", [path for path in CORE if path.name == "__init__.py"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_public_name_of_a_package_is_also_a_module_of_it(path):
    """Which of the two an import gives would depend on what was imported before."""
    beside = {each.stem for each in path.parent.iterdir() if each.suffix == ".py" or (each / "__init__.py").exists()}
    listed = [node.value for node in ast.parse(path.read_text()).body if assigns(node, "__all__")]
    assert not beside & {name for names in listed for name in ast.literal_eval(names)}


def assigns(node, name):
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
