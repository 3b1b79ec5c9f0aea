"""Labels of training: canonical within the class, distilled from a teacher, and what each costs nobody who does not ask."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
import stim
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm, MwpmCorrelated

from autoqec.candidate.schema import Training, candidate_hash, read_candidate, write_candidate
from autoqec.decoding.decoder_contract import Decoded
from autoqec.decoding.flipping import syndromes_of_mechanisms
from autoqec.errors import AutoQECError, MissingPackageError, NotFoundError
from autoqec.plugins import load_plugins
from autoqec.problem.problem import problem_from_dem
from autoqec.problem.sampling import Draw, TrainingShots
from autoqec.runner import worker
from autoqec.runner.labelling import labellings_for
from autoqec.runner.shot_labels import LabelledShots, Labelling, with_classes
from autoqec.runner.shot_sources import AllShots
from autoqec.runner.training import train
from autoqec.runner.worker import serve_training
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.worker_requests import TrainingPreparation, TrainingRequest
from autoqec.shared_threads import limit_threads
from autoqec.testing import surface_problem

REGISTRY = load_plugins()
SURFACE = surface_problem(3, 0.02)

#: Two logical qubits of the [[4, 2, 2]] code: every error on one qubit, and a measurement. Errors that differ by XXXX are many.
FOUR = problem_from_dem(
    stim.DetectorErrorModel(
        "error(0.05) D0 L0\nerror(0.04) D0 L1\nerror(0.03) D0 L0 L1\nerror(0.02) D0\nerror(0.06) D0 D1\nerror(0.01) D1 L0"
    ),
    name="four",
)


def labelling(problem, **fields):
    teacher = fields.pop("decoder", {})
    (found,) = labellings_for(Training(**fields), teacher, [problem], REGISTRY)
    return found


@pytest.fixture(scope="module")
def canonical():
    return labelling(SURFACE, labels="canonical")


@pytest.fixture(scope="module")
def shots():
    return Draw(SURFACE, 600, 7, labels=True).take()


def effects(problem, fired):
    """Detectors and observables of sets of mechanisms, packed."""
    columns = syndromes_of_mechanisms(problem), problem.mechanisms.observables
    return tuple(
        np.stack([np.bitwise_xor.reduce(rows[each], axis=0, initial=0) for each in fired]).astype(np.uint8)
        for rows in columns
    )


def test_a_class_is_part_of_the_syndrome():
    for problem in (SURFACE, FOUR):
        extended = with_classes(problem)
        assert extended.num_detectors == problem.num_detectors + problem.num_observables
        assert extended.mechanisms.priors == pytest.approx(problem.mechanisms.priors, rel=1e-12)
        assert (extended.mechanisms.observables == problem.mechanisms.observables).all()
        wide = syndromes_of_mechanisms(extended)
        told = np.unpackbits(wide, axis=1, count=extended.num_detectors, bitorder="little")
        known = np.unpackbits(syndromes_of_mechanisms(problem), axis=1, count=problem.num_detectors, bitorder="little")
        flips = np.unpackbits(problem.mechanisms.observables, axis=1, count=problem.num_observables, bitorder="little")
        assert (told == np.concatenate([known, flips], axis=1)).all()


def test_detectors_and_observables_that_nothing_flips_keep_their_places():
    dem = stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.2) D0 D1\ndetector D4\nlogical_observable L2")
    extended = with_classes(problem_from_dem(dem, name="x"))
    assert (extended.num_detectors, extended.num_observables) == (5 + 3, 3)


@pytest.mark.parametrize("problem", [SURFACE, FOUR], ids=["surface", "four"])
def test_a_canonical_label_has_the_detectors_and_observables_of_every_shot(problem):
    drawn = Draw(problem, 2000, 3, labels=True).take()
    label = labelling(problem, labels="canonical").apply(drawn)
    assert label.weights is None
    assert label.observables is drawn.observables
    syndromes, observables = effects(problem, label.fired)
    assert (syndromes == drawn.syndromes).all()
    assert (observables == drawn.observables).all()


def test_errors_that_are_equal_up_to_a_stabiliser_have_one_label():
    """Every error of the small code, by enumeration; here the label is also the lightest of its class."""
    errors = np.array(list(itertools.product([False, True], repeat=len(FOUR.mechanisms))))
    syndromes, observables = effects(FOUR, errors)
    label = labelling(FOUR, labels="canonical").apply(TrainingShots(syndromes, observables, None, None, len(errors)))
    weights = np.where(errors, FOUR.priors_llr.astype(float), 0).sum(axis=1)
    mine = np.where(label.fired, FOUR.priors_llr.astype(float), 0).sum(axis=1)
    classes = {}
    for row in range(len(errors)):
        classes.setdefault((syndromes[row].tobytes(), observables[row].tobytes()), []).append(row)
    assert 8 <= len(classes) < len(errors)
    for rows in classes.values():
        assert (label.fired[rows] == label.fired[rows[0]]).all()
        assert mine[rows[0]] == pytest.approx(weights[rows].min())


def test_labels_are_seldom_heavier_than_what_was_drawn(canonical, shots):
    """What is guaranteed is the class; that the label is light is a measured fact, with a margin."""
    label = canonical.apply(shots)
    weights = [np.where(each.fired, SURFACE.priors_llr.astype(float), 0).sum(axis=1) for each in (label, shots)]
    assert (weights[0] > weights[1] + 1e-3).mean() < 0.01
    assert weights[0].mean() < weights[1].mean()


def test_neither_batch_nor_threads_change_a_label(canonical, shots):
    together = canonical.apply(shots).fired
    order = np.random.default_rng(2).permutation(len(shots.syndromes))
    mixed = canonical.apply(shots._replace(syndromes=shots.syndromes[order], observables=shots.observables[order]))
    assert (mixed.fired == together[order]).all()
    for row in range(0, 600, 50):
        assert (canonical.apply(shots.part(slice(row, row + 1))).fired == together[row]).all()
    try:
        for threads in (1, 3):
            limit_threads(threads)
            assert (canonical.apply(shots).fired == together).all()
    finally:
        limit_threads(None)
    assert canonical.apply(shots.part(slice(0, 0))).fired.shape == (0, len(SURFACE.mechanisms))


def test_a_shot_without_any_error_in_its_class_has_no_weight():
    """Only an observable that flips unseen can cause it."""
    problem = problem_from_dem(stim.DetectorErrorModel("error(0.1) D0\nerror(0.2) L0\nerror(0.1) D0 D1"), name="x")
    drawn = Draw(problem, 200, 1, labels=True).take()
    label = labelling(problem, labels="canonical").apply(drawn)
    unseen = drawn.observables[:, 0] == 1
    assert 0 < unseen.sum() < 200
    assert (label.weights == ~unseen).all()
    halves = labelling(problem, labels="canonical").apply(drawn._replace(weights=np.full(200, 0.5, np.float32)))
    assert (halves.weights == 0.5 * ~unseen).all()


class Opposite:
    """A teacher that answers the class that was not drawn, and nothing for some shots."""

    def __init__(self, truth):
        self.truth, self.invalid = truth, np.arange(len(truth)) % 5 == 0

    def decode(self, syndromes, beliefs=None):
        return Decoded(self.truth ^ 1, self.invalid)


def test_a_distilled_label_is_in_the_class_of_the_teacher(canonical, shots):
    teacher = Opposite(shots.observables)
    wanted = np.where(teacher.invalid[:, None], shots.observables, shots.observables ^ 1)
    label = Labelling(canonical.canonical, teacher).apply(shots)
    assert (label.observables == wanted).all()
    assert (effects(SURFACE, label.fired)[1] == wanted).all()
    assert (effects(SURFACE, label.fired)[0] == shots.syndromes).all()
    of_the_gap = Labelling(None, teacher).apply(shots._replace(fired=None))
    assert (of_the_gap.observables == wanted).all()
    assert of_the_gap.fired is None


def test_a_class_that_no_error_has_is_not_distilled():
    problem = problem_from_dem(
        stim.DetectorErrorModel("error(0.1) D0\nerror(0.1) D0 D1\nlogical_observable L0"), name="x"
    )
    drawn = Draw(problem, 50, 1, labels=True).take()
    found = labelling(problem, labels="canonical")
    label = Labelling(found.canonical, Opposite(drawn.observables)).apply(drawn)
    assert (label.observables == drawn.observables).all()
    assert label.weights is None


def test_distilled_labels_are_the_answers_of_the_decoder_that_is_named(shots):
    found = labelling(
        SURFACE, labels="distilled", loss="logical_gap", decoder={"kind": "mwpm_correlated", "gate": "none"}
    )
    expected = MwpmCorrelated().compile(SURFACE).decode(shots.syndromes).observables
    assert (found.apply(shots).observables == expected).all()
    assert found.canonical is None


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({}, 0),
        ({"labels": "canonical"}, 1),
        ({"labels": "canonical", "loss": "logical_gap"}, 0),
        ({"labels": "distilled", "loss": "logical_gap"}, 1),
        ({"loss": "logical_gap"}, 0),
    ],
)
def test_only_a_loss_that_needs_labels_pays_for_them(fields, needed):
    assert len(labellings_for(Training(**fields), {"kind": "mwpm"}, [SURFACE], REGISTRY)) == needed


def test_a_teacher_that_is_not_there_is_an_error():
    with pytest.raises(NotFoundError, match="no decoder named 'nobody'"):
        labellings_for(Training(labels="distilled"), {"kind": "nobody"}, [SURFACE], REGISTRY)
    alone = SimpleNamespace(get=REGISTRY.get, all=lambda kind: [])
    with pytest.raises(NotFoundError, match="none is installed"):
        labellings_for(Training(labels="canonical"), {}, [SURFACE], alone)


def candidate(settings):
    files = {"training.yaml": settings.encode(), "stages/s/stage.yaml": b"kind: neural_bp\niterations: 3\n"}
    return read_candidate(files, REGISTRY.maker("stage"))


def test_candidates_with_sampled_labels_keep_their_files():
    old, same, new = (
        write_candidate(candidate(f"loss: bce\n{more}")) for more in ("", "labels: sampled\n", "labels: canonical\n")
    )
    assert candidate_hash(old) == candidate_hash(same) != candidate_hash(new)
    assert b"labels: canonical" in new["training.yaml"]
    assert not {b"labels", b"teacher"} & set(old["training.yaml"].replace(b":", b" ").split())


def run(settings, teacher=None, **more):
    chosen = candidate(settings + "learning_rate: 0.01\nbatch_size: 64\nshots: 512\n")
    labellings = labellings_for(chosen.training, {"kind": teacher} if teacher else {}, [SURFACE], REGISTRY)
    common = {"seed": b"r" * 32, "max_shots": 10**9, "initial": {}, "inherit": False, "report": lambda p: None}
    return train(chosen, [SURFACE], [Mwpm().compile(SURFACE)], labellings=labellings, **common | more)


@pytest.mark.parametrize(
    ("settings", "teacher"),
    [
        ("labels: canonical\n", None),
        ("labels: canonical\nsampling: gated\nloss: focal\n", None),
        ("labels: distilled\nsampling: gated\nloss: logical_gap\n", "mwpm_correlated"),
        ("labels: distilled\nloss: weighted_bce\n", "mwpm_correlated"),
    ],
)
def test_training_with_labels_repeats_and_differs_from_sampled_labels(settings, teacher):
    one, two = (run(settings, teacher) for _ in range(2))
    plain = run(
        settings.replace("labels: canonical", "labels: sampled").replace("labels: distilled", "labels: sampled")
    )
    assert all((one.tensors[name] == two.tensors[name]).all() for name in one.tensors)
    assert any((one.tensors[name] != plain.tensors[name]).any() for name in one.tensors)
    assert one.telemetry["labelled"] >= 512 * (0.125 if "gated" in settings else 1)
    assert one.telemetry["label_seconds"] > 0
    assert not {"labelled", "label_seconds"} & set(plain.telemetry)


def test_only_shots_that_are_taken_are_labelled():
    told = run("labels: canonical\nsampling: gated\n").telemetry
    validated = 1024
    assert told["labelled"] < 0.2 * (512 + validated)


class Slow:
    """A teacher for whom the clock advances."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    def decode(self, syndromes, beliefs=None):
        self.clock.now += self.seconds * len(syndromes)
        return Decoded(np.zeros((len(syndromes), 1), np.uint8), np.zeros(len(syndromes), bool))


def test_a_teacher_that_is_too_slow_is_refused_before_the_first_step(monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("autoqec.runner.shot_labels.time", clock)
    for share, seconds, allowed in ((1.0, 0.1, 409), (1.0, 0.1, 410), (0.125, 0.1, 51), (0.125, 0.1, 52)):
        source = LabelledShots(AllShots([SURFACE], labels=False), [Labelling(None, Slow(clock, seconds))])
        enough = 1024 * share * seconds <= 0.25 * allowed
        if enough:
            source.require_time(1024, share, allowed, 1)
        else:
            with pytest.raises(
                AutoQECError, match=rf"labels of {1024 * share:,.0f} validation shots would take"
            ) as caught:
                source.require_time(1024, share, allowed, 1)
            assert caught.value.code == "labels_too_slow"
    with pytest.raises(AutoQECError, match="choose a faster teacher|would take"):
        train(
            candidate("loss: logical_gap\nlabels: distilled\nbatch_size: 64\nshots: 512\n"),
            [SURFACE], [Mwpm().compile(SURFACE)], labellings=[Labelling(None, Slow(clock, 1.0))],
            seed=b"r" * 32, max_shots=10**9, initial={}, inherit=False, report=lambda p: None, seconds=1000.0,
        )  # fmt: skip


def serve(monkeypatch, training, teacher):
    # All plugins, not only those that are ours: the tests may run from a source tree beside an installed copy.
    monkeypatch.setattr(worker, "load_plugins", lambda entries: load_plugins())
    sent = []
    files = {"training.yaml": training, "stages/s/stage.yaml": b"kind: mlp\n"}
    told = read_candidate(files, REGISTRY.maker("stage")).training.model_dump_json()
    preparation = TrainingPreparation(
        dem=str(SURFACE.dem).encode(),
        lock=False,
        stages=(),
        other_dems={},
        decoder={"kind": "mwpm"},
        training=told,
        teacher=teacher,
    )
    request = TrainingRequest(
        sealed=SealedCandidate(files, b""), seed=bytes(32), max_shots=10**6, inherit=False, seconds=1e9
    )
    messages = [preparation.to_message(), request.to_message()]
    serve_training(SimpleNamespace(receive=lambda: messages.pop(0), send=sent.append, descriptors=()))
    return sent[-1].fields["telemetry"]


def test_the_training_process_labels_at_every_level_of_a_curriculum(monkeypatch):
    training = b"curriculum: 2\nbatch_size: 64\nshots: 512\nsampling: gated\nlabels: distilled\n"
    told = serve(monkeypatch, training, {"kind": "mwpm_correlated"})
    assert told["steps"] == 8
    assert told["labelled"] > 64
    assert json.dumps(told)


def test_a_teacher_without_its_package_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tesseract_decoder", None)
    with pytest.raises(MissingPackageError, match="tesseract-decoder"):
        serve(monkeypatch, b"shots: 512\nbatch_size: 64\nlabels: distilled\n", {"kind": "tesseract"})
