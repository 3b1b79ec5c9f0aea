"""A small lab in which rounds are recorded without being run: verified ones, one with a forged verdict, and hostile words."""

from types import SimpleNamespace

import pytest

import autoqec
from autoqec import history
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import environment_from_files
from autoqec.testing import TINY_ENVIRONMENT, custom_module, figures, make_tiny_lab, record_round, record_run, untrained

RUN = "tiny-abcd"

#: What an agent may write: markup, a control character, and one that turns the direction of what follows.
HOSTILE = "<script>alert('x')</script> \x1b[31m \u202e \"quoted\" & more"

BP = {"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 3\n"}
OWN_CODE = {"stages/own/stage.yaml": b"kind: custom\n", "stages/own/module.py": custom_module().encode()}


def record(ledger, run):
    """Five rounds: VERIFIED and dear, VERIFIED and cheap, FAILED, a verdict about another commit, and no metrics."""
    problem = build_problem(
        environment_from_files({"environment.yaml": TINY_ENVIRONMENT.encode()}, origin="here"),
        load_plugins().maker("code"),
    )
    sealed = [untrained(files, problem) for files in (BP, OWN_CODE)]
    costs = ({"flops_per_shot": 2000, "params": 20}, {"flops_per_shot": 1000, "params": 10})
    for each, cost, gain in zip(sealed, costs, (0.006, 0.002), strict=True):
        told = figures(delta_ler=gain, delta_ler_ci=[gain - 1e-4, gain + 1e-4], **cost)
        verdict = {"verdict": "VERIFIED", "reason": "better", **told}
        record_round(ledger, run, each.files, weights=each.weights, metrics=told, verdict=verdict, hypothesis=HOSTILE)
    record_round(ledger, run, {}, metrics=figures(), verdict={"verdict": "FAILED", "reason": "not_better", **figures()})
    foreign = record_round(ledger, run, {"output.yaml": b"mode: hard_flip\n"}, metrics=figures())
    line = history.find_record(ledger, run.name, 1).verdict
    history.append_note(ledger, run.name, "verdict", foreign, {**line, "id": "f" * 32})
    record_round(ledger, run, {}, close=False)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """The lab, which no test changes."""
    ledger = make_tiny_lab(tmp_path_factory.mktemp("api") / "lab")
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Test")
            patch.setenv(f"GIT_{who}_EMAIL", "test@example.org")
        record(ledger, record_run(ledger, RUN))
    return SimpleNamespace(folder=ledger.workdir, ledger=ledger)


@pytest.fixture
def lab(recorded):
    return autoqec.open(recorded.folder)
