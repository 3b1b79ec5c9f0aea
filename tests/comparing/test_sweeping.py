"""A sweep with real workers: all decoders on the same keyed shots, whoever fails, and again from its file."""

import json

import numpy as np
import pymatching
import pytest

from autoqec.comparing import sweep_worker
from autoqec.comparing.decoder_names import TrainedDecoder, read_decoders
from autoqec.comparing.decoder_process import DecoderFault, Ready
from autoqec.comparing.sweep_file import SweepFile
from autoqec.comparing.sweep_task import SweepLimits
from autoqec.comparing.sweep_worker import CountShots, OpenPoint, _named, open_request
from autoqec.comparing.sweep_workers import _Workers
from autoqec.comparing.sweeping import count_sweep, plan_sweep, sweep
from autoqec.errors import NotFoundError, UsageError
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import environment_from_files
from autoqec.problem.environment_family import members_of, read_varied
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk
from autoqec.problem.streams import derive_key, derive_seed
from autoqec.results.sinter_rows import read_rows
from autoqec.testing import TINY_ENVIRONMENT

KEY = "0123456789abcdef" * 2
SHOTS = CHUNK_SHOTS + 500


@pytest.fixture(scope="module")
def tiny():
    return environment_from_files({"environment.yaml": TINY_ENVIRONMENT.encode()}, origin="tiny")


def failures_of_pymatching(tiny, registry, varied):
    """Counted again, from the key and the circuit alone."""
    found = []
    for member in members_of(tiny, [read_varied(varied)], (), registry.maker("code")):
        problem = build_problem(member.loaded, registry.maker("code"))
        key = derive_key(bytes.fromhex(KEY), member.digest)
        chunks = [sample_chunk(problem, derive_seed(key, "sweep", number)) for number in (0, 1)]
        matching = pymatching.Matching.from_detector_error_model(problem.dem)
        wrong = [
            (
                matching.decode_batch(each.syndromes, bit_packed_shots=True, bit_packed_predictions=True)
                != each.observables
            )
            for each in chunks
        ]
        found.append(int(np.concatenate(wrong).any(axis=1)[:SHOTS].sum()))
    return found


def test_shots_follow_from_the_key_and_who_does_not_fit_is_left_out(tiny, registry, own_package, tmp_path):
    path, events = tmp_path / "counts.csv", []
    decoders = ["mwpm", TrainedDecoder("exp/here/1", own_package)]
    given = {
        "sets": ["code.rounds=2,4"],
        "limits": SweepLimits(None, max_shots=SHOTS, max_seconds=None),
        "file": path,
        "registry": registry,
    }
    found = sweep(decoders, tiny, key=KEY, jobs=2, progress=events.append, **given)

    counted = {(each.decoder, each.place.rounds): (each.shots, each.errors) for each in found.points}
    expected = failures_of_pymatching(tiny, registry, "code.rounds=2,4")
    assert counted == {("mwpm", rounds): (SHOTS, errors) for rounds, errors in zip((2, 4), expected, strict=True)}

    left = {(each.decoder, each.place.rounds): each for each in found.left_out}
    trained = found.decoders[-1]
    assert trained.startswith("exp/here/1@")
    assert left.keys() == {(trained, 2), (trained, 4)}
    assert left[trained, 2].reason == "unusable"
    assert "fit no other problem" in left[trained, 2].problem
    assert events[0].shots == 0
    assert (events[-1].done, events[-1].total) == (4, 4)

    rows = read_rows(path.read_text(), name="counts")
    said = {(row.decoder, each["r"]): each["left_out"] for row in rows if "left_out" in (each := row.json_metadata)}
    assert said == {place: each.problem for place, each in left.items()}
    metadata = next(row.json_metadata for row in rows if row.decoder == "mwpm" and row.json_metadata["r"] == 2)
    known = {"d": 3, "r": 2, "p": tiny.environment.noise.target, "decoder": "mwpm", "env": tiny.name, "key": KEY}
    assert metadata | known == metadata

    # Again, from the file: nothing is left for the decoder that answers, and no worker is needed.
    again = sweep(["mwpm"], tiny, jobs=1, **given)
    assert {(each.decoder, each.place.rounds): (each.shots, each.errors) for each in again.points} == counted
    assert {each.keys for each in again.points} == {(KEY,)}


def test_a_decoder_is_the_same_on_its_way_to_a_worker(tiny, registry, own_package):
    for named in (
        *read_decoders(["mwpm", "osd:method=osd_cs,order=10", "pymatching"], registry),
        TrainedDecoder("exp/here/1", own_package),
    ):
        request = open_request(named, tiny, "c" * 64, bytes.fromhex(KEY))
        there = _named(OpenPoint.from_message(request.to_message()))
        assert type(there) is type(named)
        assert there.label == named.label
        if isinstance(named, TrainedDecoder):
            assert there.package == own_package
        assert OpenPoint.from_message(request.to_message()).key == bytes.fromhex(KEY)


def test_workers_get_the_folders_of_pythonpath_wherever_they_run(registry, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "here:/there")
    request = open_request(read_decoders(["mwpm"], registry)[0], tiny, "c" * 64, bytes.fromhex(KEY))
    assert request.python_path == f"{tmp_path}/here:/there"


class Fails:
    """A decoder's process that gives no answers."""

    def __init__(self, *, at_once):
        self._at_once = at_once

    def ready(self):
        return DecoderFault("unusable", "no colours") if self._at_once else Ready(0.1)

    def decode(self, syndromes):
        return DecoderFault("exception", "no such qubit", "ask its authors")

    def close(self):
        pass


@pytest.mark.parametrize(("at_once", "reason"), [(True, "unusable"), (False, "exception")])
def test_what_a_decoder_does_instead_is_told_and_counted_as_nothing(tiny, registry, monkeypatch, at_once, reason):
    monkeypatch.setattr(sweep_worker, "open_process", lambda *given: Fails(at_once=at_once))
    plan = plan_sweep(["mwpm"], tiny, key=KEY, registry=registry)
    (task,) = plan.tasks
    request = open_request(task.named, task.member.loaded, task.place.circuit, bytes.fromhex(KEY))
    with sweep_worker._Point(registry) as point:
        message = point.open(OpenPoint.from_message(request.to_message()))
        if not at_once:
            message = point.count(CountShots(start=0, shots=100))
    left = task.leave_out(message.fields["fault"])
    assert left.reason == reason
    assert plan.result().left_out == (left,)
    assert plan.result().points == ()


def test_sinter_reads_and_groups_what_is_written(tiny, registry, tmp_path):
    sinter = pytest.importorskip("sinter")
    path = tmp_path / "counts.csv"
    plan = plan_sweep(["mwpm", "mwpm_correlated"], tiny, p=(0.01, 0.02), file=path, key=KEY, registry=registry)
    for place, task in enumerate(plan.tasks):
        task._held.shots, task._held.errors, task._held.seconds = 1000 + place, 10, 0.5
        task.flush()
    plan.tasks[0].leave_out({"reason": "unusable", "problem": "does not fit"})
    stats = [each for each in sinter.read_stats_from_csv_files(path) if each.shots]
    assert {(each.decoder, each.json_metadata["p"], each.shots) for each in stats} == {
        ("mwpm", 0.01, 1000),
        ("mwpm_correlated", 0.01, 1001),
        ("mwpm", 0.02, 1002),
        ("mwpm_correlated", 0.02, 1003),
    }
    groups = sinter.group_by(stats, key=lambda each: (each.json_metadata["d"], each.decoder))
    assert {key: len(own) for key, own in groups.items()} == {(3, "mwpm"): 2, (3, "mwpm_correlated"): 2}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"decoders": []}, "at least one decoder"),
        ({"decoders": ["mwpm", "mwpm"]}, "named twice"),
        ({"decoders": ["mwpn"]}, "no decoder named 'mwpn'"),
        ({"key": "xyz"}, "a key has 32 hexadecimal digits"),
        ({"key": "00"}, "a key has 32 hexadecimal digits"),
        ({"per": "decade"}, "shot, round, logical"),
        ({"jobs": -1}, "workers"),
        ({"p": "2"}, "above 0 and below 0.5"),
        ({"p": [0.1, 0.1]}, "listed twice"),
        ({"sets": {"code.distance": [3, "x"]}}, "distance = x: code.distance"),
        ({"sets": {"decoder": ["mwpm", "osd"]}}, "the same circuit"),
        ({"file": "none/counts.csv"}, "cannot be written"),
    ],
)
def test_all_is_checked_before_anything_begins(tiny, registry, tmp_path, monkeypatch, change, said):
    monkeypatch.chdir(tmp_path)
    given = {"decoders": ["mwpm"], "file": "counts.csv"} | change
    with pytest.raises((UsageError, NotFoundError), match=said):
        plan_sweep(given.pop("decoders"), tiny, registry=registry, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_field_of_a_decoder_is_told_before_anything_is_counted(tiny, registry, tmp_path):
    plan = plan_sweep(["mwpm", "osd:foo=1"], tiny, file=tmp_path / "counts.csv", registry=registry, jobs=1)
    with pytest.raises(UsageError, match="foo"):
        count_sweep(plan)
    assert not (tmp_path / "counts.csv").exists()


def test_an_environment_without_rounds_has_no_rate_per_round(registry):
    text = "name: toy\ncode: {kind: dem, path: a.dem}\ndecoder: mwpm\n"
    files = {"environment.yaml": text.encode(), "a.dem": b"error(0.1) D0 L0\nerror(0.1) D0\n"}
    toy = environment_from_files(files, origin="toy")
    with pytest.raises(UsageError, match="--per round"):
        plan_sweep(["mwpm"], toy, per="round", registry=registry)
    silent = environment_from_files(files | {"a.dem": b"error(0.1) D0\n"}, origin="toy")
    with pytest.raises(UsageError, match="no observables"):
        plan_sweep(["mwpm"], silent, registry=registry)


def test_what_was_counted_is_kept_when_it_is_interrupted(tiny, registry, tmp_path, monkeypatch):
    path = tmp_path / "counts.csv"
    plan = plan_sweep(["mwpm"], tiny, file=path, key=KEY, registry=registry, jobs=1)

    def interrupted(workers):
        task = plan.tasks[0]
        task._held.shots, task._held.errors = 640, 3
        raise KeyboardInterrupt

    monkeypatch.setattr(_Workers, "_started", lambda workers: None)
    monkeypatch.setattr(_Workers, "check_decoders", lambda workers: None)
    monkeypatch.setattr(_Workers, "use_key", lambda workers, key: None)
    monkeypatch.setattr(_Workers, "count", interrupted)
    with pytest.raises(KeyboardInterrupt):
        count_sweep(plan)
    (row,) = read_rows(path.read_text(), name="counts")
    assert (row.shots, row.errors) == (640, 3)
    assert json.dumps(row.json_metadata)
    later = plan_sweep(["mwpm"], tiny, file=path, registry=registry)
    assert (later.tasks[0].key, later.tasks[0].asked) == (KEY, 640)
    assert isinstance(later.file, SweepFile)


def test_a_second_sweep_of_a_new_file_takes_the_key_of_the_first(tiny, registry, tmp_path):
    """Both have chosen a key when they begin; the shots of their decoders must be the same."""
    path, limits = tmp_path / "counts.csv", SweepLimits(None, max_shots=300)
    plans = [
        plan_sweep([name], tiny, file=path, limits=limits, registry=registry, jobs=1)
        for name in ("mwpm", "mwpm_correlated")
    ]
    first, second = (count_sweep(plan) for plan in plans)
    assert first.points[0].keys == second.points[0].keys
    rows = read_rows(path.read_text(), name="counts")
    assert sum(row.shots for row in rows) == 600
    assert len({row.json_metadata["key"] for row in rows}) == 1


def test_recorded_shots_are_no_family(registry):
    """What is drawn from their error model is no shot of the experiment."""
    text = "name: past\ncode: {kind: recorded, dem: a.dem, shots: e.01, observables: f.01}\ndecoder: mwpm\n"
    files = {
        "environment.yaml": text.encode(),
        "a.dem": b"error(0.1) D0 L0\nerror(0.1) D0\n",
        "e.01": b"1\n0\n",
        "f.01": b"1\n0\n",
    }
    past = environment_from_files(files, origin="past")
    with pytest.raises(UsageError, match="recorded") as error:
        plan_sweep(["mwpm"], past, registry=registry)
    assert error.value.code == "recorded_shots"
