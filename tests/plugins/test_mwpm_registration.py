"""The plugin modules are light, register by name, and what they register passes the conformance checks."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from autoqec.plugins import GROUP, load_plugins
from autoqec.testing.conformance import check_decoder
from autoqec.testing.tiny import tiny_problem

ENTRIES = [EntryPoint(name, f"autoqec_plugins.{name}", GROUP) for name in ("mwpm", "neural_bp")]


def test_registering_imports_nothing_heavy():
    code = (
        "import sys, autoqec_plugins.mwpm, autoqec_plugins.neural_bp\n"
        "sys.exit(bool({'numpy', 'numba', 'torch', 'stim', 'pymatching', 'fusion_blossom'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_and_capabilities():
    registry = load_plugins(ENTRIES)
    assert not registry.broken
    assert registry.names("decoder") == ["mwpm", "mwpm_correlated"]
    assert registry.get("decoder", "mwpm").capabilities["takes_beliefs"] is True
    assert registry.get("decoder", "mwpm_correlated").capabilities["takes_beliefs"] is False
    assert registry.names("stage") == ["neural_bp"]


@pytest.mark.parametrize("name", ["mwpm", "mwpm_correlated"])
def test_decoders_conform(name):
    check_decoder(load_plugins(ENTRIES).get("decoder", name).create(), tiny_problem())
