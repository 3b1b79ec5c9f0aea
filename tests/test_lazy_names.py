"""Packages whose names load on first use: every public name is there, and type checkers see the same names."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import autoqec
from autoqec.lazy_names import lazy_names

HOUSE = Path(autoqec.__file__).parent
LAZY = sorted(path.parent.name for path in HOUSE.glob("*/__init__.py") if "lazy_names(" in path.read_text("utf-8"))


def _type_checked(package: str) -> set[str]:
    """The names that a package imports under `TYPE_CHECKING`."""
    tree = ast.parse((HOUSE / package / "__init__.py").read_text("utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {name.asname or name.name for node in imports for name in node.names}


def test_history_is_lazy_because_reading_needs_a_small_part_of_it() -> None:
    assert {"history", "scoring", "testing"} <= set(LAZY)


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_is_found_and_type_checkers_see_the_same_names(package: str) -> None:
    module = import_module(f"autoqec.{package}")
    assert set(module.__all__) == _type_checked(package)
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error_that_names_the_package() -> None:
    with pytest.raises(AttributeError, match=r"module 'autoqec\.results' has no attribute 'nothing'"):
        lazy_names("autoqec.results", {"counts": ("PairedCounts",)})("nothing")


def test_reading_the_log_loads_neither_merges_nor_fsck() -> None:
    code = "import sys, autoqec.views.log_lines; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    rooms = ("autoqec.history.fsck", "autoqec.history.compose", "autoqec.history.sync")
    assert not [name for name in loaded if name.startswith(rooms)]
