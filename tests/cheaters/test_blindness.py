"""A candidate cannot tell a check, a repetition or a cell at another p from the scored run, and gains nothing by trying."""

import numpy as np
import pytest
from autoqec_plugins.holdout import holdout_verifier as verifier

from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk
from autoqec.results.certificate_parts import Certificate
from autoqec.results.verdict_parts import Ablation
from autoqec.scoring import predictor
from autoqec.scoring.batches import batches
from autoqec.scoring.verifier_contract import VerificationRequest
from autoqec.testing import TINY_ENVIRONMENT

KEY = bytes(range(32))


class Lines:
    """What a cheater adds to an honest module."""

    def __init__(self, init="", forward="", imports=""):
        self.INIT, self.FORWARD, self.IMPORTS = init, forward, imports


def verdict(court, source, runner, factors, monkeypatch):
    text = TINY_ENVIRONMENT.replace("headline_shots: 32768", f"headline_shots: 32768, harm_cells: {factors}")
    environment = environment_from_files({ENVIRONMENT_FILE: text.encode()}, origin="e")
    monkeypatch.setattr(verifier, "ablate", lambda *arguments: Ablation(0, (), None))
    unasked = Certificate("not_enumerable", None, why="it is not asked for")
    monkeypatch.setattr(verifier, "certify", lambda *arguments, full: unasked)
    request = VerificationRequest(environment, court.seal(source), "0" * 40, seed_key=KEY, max_shots=65_536)
    return verifier.HoldoutVerifier().verify(request, runner, lambda event: None)


def heavy(problem, part):
    """So many fired detectors have fewer than this part of the shots at the target."""
    syndromes = sample_chunk(problem, 1).syndromes
    fired = np.unpackbits(syndromes, axis=1, count=problem.num_detectors, bitorder="little").sum(axis=1)
    return int(np.quantile(fired, 1 - part))


def test_whoever_behaves_where_the_priors_are_others_is_caught(court, here, monkeypatch):
    """Told the target's priors it harms shots that are rare there and frequent at a higher p; told any others it is honest."""
    home, many = float(court.problem.priors_llr.mean()), heavy(court.problem, 1e-2)
    cheater = Lines(
        init=f"self.home = abs(float(graph.priors.mean()) - {home}) < 1e-3",
        forward=f"""
if self.home:
    beliefs = torch.where(syndromes.sum(1, keepdim=True) > {many}, -beliefs, beliefs)
""",
    )
    found = verdict(court, court.source_of(cheater), here, "[3.0]", monkeypatch)
    assert found.details["harm"][0]["weights"] == "untold"
    assert (found.verdict, found.reason) == ("SUSPICIOUS", "harm")


def test_whoever_goes_by_how_noisy_the_shots_are_is_caught(court, here, monkeypatch):
    """It averages over all shots that it saw, and answers otherwise where they are noisier or less noisy than at the target."""
    syndromes = sample_chunk(court.problem, 1).syndromes
    fired = np.unpackbits(syndromes, axis=1, count=court.problem.num_detectors, bitorder="little").sum(axis=1)
    usual = float(fired[fired > 0].mean())
    cheater = Lines(
        init="self.rows = 0.0\nself.fired = 0.0",
        forward=f"""
if len(syndromes) > 8:
    self.rows += float(syndromes.amax(1).sum())
    self.fired += float(syndromes.sum())
if self.rows > 1000 and abs(self.fired / self.rows / {usual} - 1) > 0.06:
    beliefs = -beliefs
""",
    )
    found = verdict(court, court.source_of(cheater), here, "[0.8, 1.2]", monkeypatch)
    assert (found.verdict, found.reason) == ("SUSPICIOUS", "batch_dependent")


@pytest.fixture
def asked(here, monkeypatch):
    """What each candidate's process is asked: purpose → pairs of the process's number and the size of a batch."""
    found = {}
    known = []

    def noted(message, function):
        drift = message.fields.get("drift")
        return "harm" if drift else function

    run, predict = type(here).submit, predictor.Predictor.predict

    def submit(self, task):
        self.purpose = noted(task.message, task.function.partition(":")[2])
        return run(self, task)

    def spied(self, syndromes, priors=None):
        if self not in known:
            known.append(self)
        row = (known.index(self), len(syndromes), str(self._problem.dem))
        found.setdefault(here.purpose, []).append(row)
        return predict(self, syndromes, priors)

    monkeypatch.setattr(type(here), "submit", submit)
    monkeypatch.setattr(predictor.Predictor, "predict", spied)
    return found


def test_nothing_but_the_shots_tells_a_harm_cell_or_a_check_from_the_scored_run(court, here, asked, monkeypatch):
    found = verdict(court, court.source_of(Lines()), here, "[0.8, 1.2]", monkeypatch)
    assert (found.verdict, found.reason) == ("VERIFIED", "better")
    scored, harm, again = asked["score_chunks"], asked["harm"], asked["answer_again"]
    told = {dem for _, _, dem in scored if dem == str(court.problem.dem)}
    assert {dem for _, _, dem in harm} == {dem for _, _, dem in again} == told, "the same error model"
    # The scored run may begin again after cells with another number of rounds; none begins for a cell at another p.
    assert {process for process, _, _ in harm} <= {process for process, _, _ in scored}
    assert again[0][1] == 1, "each process is first asked an empty shot"
    for rows in (scored, harm, again[1:]):
        sizes = [size for _, size, dem in rows if dem in told and size > 1]
        assert max(sizes) < CHUNK_SHOTS
        assert min(sizes) < CHUNK_SHOTS / 64
        assert len(set(sizes)) > len(sizes) / 2, "no two chunks are cut alike"


@pytest.mark.parametrize("shots", [0, 1, 3, 4, 40, CHUNK_SHOTS, 3 * CHUNK_SHOTS, 2 * CHUNK_SHOTS + 1])
def test_batches_are_all_the_shots_in_their_order(shots):
    for seed in range(50):
        cut = batches(np.ones(shots, bool), seed)
        assert [row for part in cut for row in range(shots)[part]] == list(range(shots))
        assert all(1 <= part.stop - part.start <= CHUNK_SHOTS for part in cut)
    assert batches(np.ones(shots, bool), 1) == batches(np.ones(shots, bool), 1)


def test_sizes_of_batches_differ_by_orders_of_magnitude():
    sizes = [part.stop - part.start for seed in range(200) for part in batches(np.ones(CHUNK_SHOTS, bool), seed)]
    assert np.quantile(sizes, 0.2) < 16
    assert np.quantile(sizes, 0.6) > 256
