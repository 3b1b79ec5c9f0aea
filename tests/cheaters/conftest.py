"""An interpreter with the unchecked plugin, honest weights, and the holdout verifier on a tiny environment."""

import os
import sys
import sysconfig
import time
import venv
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from autoqec_plugins.holdout import holdout_verifier as verifier
from autoqec_plugins.local.local_executor import LocalExecutor

from autoqec.candidate.weights import load_weights, save_weights
from autoqec.errors import AutoQECError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.results.certificate_parts import Certificate
from autoqec.results.verdict_parts import Ablation
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import failure_from, report_of
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import shard
from autoqec.scoring.candidate_workers import Workers
from autoqec.scoring.decoder_set import open_decoder_set
from autoqec.scoring.executor_contract import run_task
from autoqec.scoring.verifier_contract import VerificationRequest
from autoqec.testing import TINY_ENVIRONMENT, custom_module, untrained

#: Without cells at other p: they are checked elsewhere. The key is fixed, so half the usual shots show the gain every time.
QUICK_ENVIRONMENT = TINY_ENVIRONMENT.replace("headline_shots: 32768", "headline_shots: 16384, harm_cells: []")

#: Of the holdout's key, so that what is judged today is judged alike tomorrow. No candidate is told, and each has other shots.
KEY = bytes(range(32))

#: What comes after the checks by which a cheater is found, and cannot take their word back.
AFTERWARDS = {
    "harm_cells": lambda *arguments: (),
    "certify": lambda *arguments, full: Certificate("not_enumerable", None, why="it is not asked for"),
    "ablate": lambda *arguments: Ablation(0, (), None),
}

PLUGIN = Path(__file__).parent / "unchecked_plugin"

#: One stage that makes a candidate better than the baseline before it has learned anything.
BP = {"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 8\nposition: 1\n"}


def _source_of(trick):
    """The module of a cheater, from the lines that its file adds to an honest one."""
    init = "self.w = torch.nn.Parameter(torch.zeros(1))\nself.priors = graph.priors\n" + getattr(
        trick, "INIT", ""
    ).strip("\n")
    forward = getattr(trick, "FORWARD", "").strip("\n") + "\nreturn beliefs + self.w"
    return getattr(trick, "IMPORTS", "").strip("\n") + "\n" + custom_module(forward, init)


@pytest.fixture(scope="session")
def source_of():
    """Makes a cheater's module from its file."""
    return _source_of


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """The interpreter of an environment that has what this one has, and the unchecked plugin."""
    folder = tmp_path_factory.mktemp("scratch")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    (site / "borrowed.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n{PLUGIN}\n")
    metadata = site / "autoqec_unchecked-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: autoqec-unchecked\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[autoqec]\nunchecked = autoqec_unchecked\n")
    return str(folder / "venv/bin/python")


class Here:
    """An executor in this process, matcher included: only the candidate has a process of its own."""

    jobs = 1

    def submit(self, task):
        future = Future()
        try:
            future.set_result(run_task(task))
        except AutoQECError as error:  # as it would come back from another process
            future.set_exception(failure_from(Message(report_of(error))))
        return future


class MatcherHere:
    """A matcher without a process of its own; candidates of all of them are forks of one warm process."""

    def __init__(self, workers, blobs, p=None, strong=None, **told):
        self.resources, self.workers = ExitStack(), workers
        self.open(blobs, p, strong, **told)

    def open(self, blobs, p=None, strong=None, **told):
        self.resources.close()
        self.gated, self.ensembled = "file:gate.yaml" in blobs, "file:ensemble.yaml" in blobs
        self.has_candidate = self.gated or any(name.startswith("file:stages/") for name in blobs)
        self.resources, self.blobs = ExitStack(), blobs
        try:
            self.decoders = open_decoder_set(blobs, p, strong, self.resources, self.workers, **told)
        except BaseException:
            self.close()
            raise
        self.known, self.neutral, self.candidate = self.decoders.known, self.decoders.neutral, self.decoders.candidate
        self.recorded, self.gate = self.decoders.recorded, self.decoders.gate
        self.missing = self.decoders.missing

    @property
    def reference_runs(self):
        return self.decoders.reference_runs

    def wait(self, observable_bytes):
        return self.decoders.predictor.lock if self.decoders.predictor else None

    def cost(self):
        return self.decoders.cost(SealedCandidate.from_blobs(self.blobs))

    def __enter__(self):
        return self

    def close(self):
        self.resources.close()

    def __exit__(self, *exception):
        self.close()


@pytest.fixture(scope="module")
def local(court):
    """The real executor."""
    with LocalExecutor(jobs=1) as made:
        yield made


@pytest.fixture(scope="module")
def here(court):
    """An executor that is this process."""
    with Workers() as workers, pytest.MonkeyPatch.context() as patch:
        shard._forget_decoder_set()  # an earlier test of this process may have left a matcher with its own process
        patch.setattr(shard, "Matcher", partial(MatcherHere, workers))
        yield Here()
        shard._forget_decoder_set()


@pytest.fixture(scope="module")
def court(python):
    """What cheaters and their twins are brought before; children of this process are `python` while it sits."""
    registry = load_plugins()
    environment = environment_from_files({ENVIRONMENT_FILE: QUICK_ENVIRONMENT.encode()}, origin="e")
    problem = build_problem(environment, registry.maker("code"), None)
    honest = dict(load_weights(untrained(BP, problem).weights))
    verdicts = {}

    def seal(source, *, kind="custom", bp=True, weights=None, tensors=None):
        files = {
            "stages/own/stage.yaml": f"kind: {kind}\nposition: 2\n".encode(),
            "stages/own/module.py": source.encode(),
        }
        own = {"own.w": np.zeros(1, np.float32)} | (tensors or {}) | (honest if bp else {})
        saved = save_weights(own, fingerprints=[problem.fingerprint]) if weights is None else weights
        return SealedCandidate(files | (BP if bp else {}), saved)

    def judge(sealed, runner, *, whole=True):
        """The verdict, less what comes `AFTERWARDS` unless it shall be whole; the same sealed candidate is judged once."""
        if (sealed.digest, whole) not in verdicts:
            request = VerificationRequest(environment, sealed, "0" * 40, seed_key=KEY, max_shots=65_536)
            with pytest.MonkeyPatch.context() as patch:
                for name, nothing in AFTERWARDS.items() if not whole else ():
                    patch.setattr(verifier, name, nothing)
                verdict = verifier.HoldoutVerifier().verify(request, runner, lambda event: None)
            verdicts[sealed.digest, whole] = verdict
        return verdicts[sealed.digest, whole]

    before, sys.executable = sys.executable, python
    yield SimpleNamespace(
        environment=environment,
        seal=seal,
        judge=judge,
        problem=problem,
        source_of=_source_of,
        strangers=lambda: _left(python, os.getpid()),
    )
    sys.executable = before
    assert _left(python, os.getpid(), descendants_too=True) == []


def _left(python, parent, descendants_too=False):
    """Who is still there after the seconds that a kernel may take to end a large process."""
    deadline = time.monotonic() + 60
    while (found := _strangers(python, parent, descendants_too)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _strangers(python, parent, descendants_too=False):
    """Living processes of that interpreter that nobody of ours is responsible for any more."""
    processes = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, above = stat.read_text().rsplit(")", 1)[1].split()[:2]
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        processes[int(stat.parent.name)] = (int(above), state != "Z" and command.startswith(python.encode()))

    def ours(pid):
        while pid in processes:
            if pid == parent:
                return True
            pid = processes[pid][0]
        return False

    return [pid for pid, (_, living) in processes.items() if living and (descendants_too or not ours(pid))]
