"""Cheaters before the verifier: none is VERIFIED for its trick, and what is the same without the trick is."""

import importlib.util
import re
from pathlib import Path

import pytest
from autoqec_plugins.custom.source import check_source

from autoqec.errors import UsageError
from autoqec.scoring import predictor

#: A cheater's file has the lines that make an honest module cheat (`IMPORTS`, `INIT`, `FORWARD`) or `weights(problem)`; how it
#: `ENDS`; if the check of its source refuses it, what that says (`REFUSED`); whether it stands behind a stage that makes it
#: better (`BP`); more `tensors(problem)` for its weights; `check(verdict, sealed)`; whether it `HANGS`.
FILES = {
    path.stem: path
    for path in sorted(Path(__file__).parent.glob("*.py"))
    if path.stem != "conftest" and not path.stem.startswith("test_")
}
FEW = (
    "abstainer",
    "batch_peeker",
    "cost_liar",
    "mode_asker",
    "debugger",
    "frame_forger",
    "log_forger",
    "pickle_weights",
    "seed_search",
)


def load(name):
    spec = importlib.util.spec_from_file_location(f"cheater_{name}", FILES[name])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sealed_of(trick, court):
    kind = "raw_custom" if hasattr(trick, "REFUSED") else "custom"
    weights = trick.weights(court.problem) if hasattr(trick, "weights") else None
    tensors = trick.tensors(court.problem) if hasattr(trick, "tensors") else None
    return court.seal(
        court.source_of(trick), kind=kind, bp=getattr(trick, "BP", True), weights=weights, tensors=tensors
    )


def twin_of(name, court):
    """What is the same without the trick, as far as its kind of stage."""
    kind = "raw_custom" if hasattr(load(name), "REFUSED") else "custom"
    return court.seal(court.source_of(object()), kind=kind)


def judged(name, court, runner, *, whole=True):
    """Judge a cheater and its twin; unless `whole`, less of what could not change a cheater's word, nor that of a second twin."""
    trick = load(name)
    sealed = sealed_of(trick, court)
    verdict = court.judge(sealed, runner, whole=whole or trick.ENDS[0] == "VERIFIED")
    found = (verdict.verdict, verdict.reason)
    if found in (("FAILED", "undecided"), ("SUSPICIOUS", "decoder_gain")):
        found = ("FAILED", "not_better")  # no gain that is the candidate's
    assert found == trick.ENDS, verdict.details.get("fault", verdict.details)
    if hasattr(trick, "check"):
        trick.check(verdict, sealed)
    assert court.strangers() == [], "somebody was left behind"
    twin = court.judge(twin_of(name, court), runner, whole=whole or not hasattr(trick, "REFUSED"))
    assert (twin.verdict, twin.reason) == ("VERIFIED", "better")
    assert twin.details["sandbox_level"] >= 1


@pytest.mark.parametrize("name", FILES)
def test_what_reads_code_refuses_most_of_them(name, source_of):
    trick = load(name)
    if not hasattr(trick, "REFUSED"):
        check_source(source_of(trick), "module.py")
        return
    with pytest.raises(UsageError, match=re.compile(rf"module.py, line \d+: .*({trick.REFUSED})")):
        check_source(source_of(trick), "module.py")


@pytest.mark.parametrize("name", FEW)
def test_the_most_instructive(name, court, here):
    judged(name, court, here, whole=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FILES if not getattr(load(name), "HANGS", False)])
def test_on_the_real_executor(name, court, local):
    judged(name, court, local)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FILES if getattr(load(name), "HANGS", False)])
def test_what_hangs_is_ended(name, court, here, monkeypatch):
    court.judge(twin_of(name, court), here)  # with the time that anybody may take
    monkeypatch.setattr(predictor, "_FLOOR_SECONDS", 5.0)
    monkeypatch.setattr(predictor, "_SECONDS_PER_SHOT", 0.0)
    judged(name, court, here)


def test_there_are_enough_of_them():
    assert len(FILES) >= 30
