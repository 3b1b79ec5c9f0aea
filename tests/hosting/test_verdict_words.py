"""A verdict's reason is spelled in one way: on hosts, in reports and in the terminal."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest

from autoqec.hosting.judged_rounds import judged
from autoqec.hosting.verdict_words import status_of, verdict_line


@pytest.mark.parametrize(
    ("word", "reason", "line"),
    [
        ("VERIFIED", "better", "VERIFIED"),
        ("FAILED", "not_better", "FAILED (not better)"),
        ("SUSPICIOUS", "beats_reference_ml", "SUSPICIOUS (beats reference ML)"),
    ],
)
def test_a_host_shows_the_words_of_a_reason_and_not_its_code(word, reason, line):
    row = SimpleNamespace(verdict=word, verdict_reason=reason, holdout=None, trust=None)
    assert verdict_line(row) == status_of(row).description == line
    verdict = SimpleNamespace(verdict=word, reason=reason, verified=word == "VERIFIED", figures=None)
    assert judged("r/1", "a" * 40, verdict, [], replayed=True).description == f"{line}; audited and replayed"


def test_nothing_else_spells_a_reason():
    top = Path(str(files("autoqec")))
    spells = re.compile(r"reason\.replace\(")
    found = [file.relative_to(top).as_posix() for file in sorted(top.rglob("*.py")) if spells.search(file.read_text())]
    assert found == ["results/reasons.py"]
