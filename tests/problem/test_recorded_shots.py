"""Recorded shots: every format of stim is read as it was written, and what does not fit says so."""

import re

import numpy as np
import pytest
import stim

from autoqec.errors import NotFoundError, UsageError
from autoqec.problem import recorded_shots
from autoqec.problem.recorded_shots import FORMATS, ShotFile, read_shots

DETECTORS, OBSERVABLES = 19, 2
SHOTS = 128
SIZES = {"num_detectors": DETECTORS, "num_observables": OBSERVABLES}


@pytest.fixture(scope="module")
def shots():
    random = np.random.default_rng(5)
    return random.random((SHOTS, DETECTORS)) < 0.2, random.random((SHOTS, OBSERVABLES)) < 0.3


def write(path, data, form, **numbers):
    stim.write_shot_data_file(data=data, path=path, format=form, **numbers)
    return ShotFile(path.name, path)


def packed(bits):
    return np.packbits(bits, axis=1, bitorder="little")


def written(folder, form, shots, events="events", flips="flips"):
    return (
        write(folder / f"{events}.{form}", shots[0], form, num_detectors=DETECTORS),
        write(folder / f"{flips}.{form}", shots[1], form, num_observables=OBSERVABLES),
    )


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_read_as_stim_wrote_it(tmp_path, shots, form):
    files = written(tmp_path, form, shots)
    for events, flips in (files, [ShotFile(each.name, each.data.read_bytes()) for each in files]):
        found = read_shots(events, flips, **SIZES)
        assert (found.syndromes == packed(shots[0])).all()
        assert (found.observables == packed(shots[1])).all()


@pytest.mark.parametrize("form", FORMATS)
def test_one_file_may_hold_both(tmp_path, shots, form):
    both = write(tmp_path / f"both.{form}", np.concatenate(shots, axis=1), form, **SIZES)
    found = read_shots(both, **SIZES)
    assert (found.syndromes == packed(shots[0])).all()
    assert (found.observables == packed(shots[1])).all()


def test_what_stims_own_commands_export_is_read(tmp_path):
    circuit = stim.Circuit.generated(
        "repetition_code:memory", distance=3, rounds=2, before_measure_flip_probability=0.1
    )
    sizes = {"num_detectors": circuit.num_detectors, "num_observables": 1}
    circuit.compile_detector_sampler(seed=3).sample_write(
        100, filepath=str(tmp_path / "both.b8"), format="b8", append_observables=True
    )
    circuit.compile_detector_sampler(seed=3).sample_write(
        100,
        filepath=str(tmp_path / "events.dets"),
        format="dets",
        obs_out_filepath=str(tmp_path / "flips.01"),
        obs_out_format="01",
    )
    one = read_shots(ShotFile("both.b8", tmp_path / "both.b8"), **sizes)
    names = [ShotFile(name, tmp_path / name) for name in ("events.dets", "flips.01")]
    two = read_shots(*names, **sizes)
    assert len(one) == 100
    assert one.observables.any()
    assert (one.syndromes == two.syndromes).all()
    assert (one.observables == two.observables).all()


def test_a_format_that_is_named_goes_before_the_suffix(tmp_path, shots):
    events, flips = written(tmp_path, "01", shots)
    renamed = ShotFile("events.txt", events.data.rename(tmp_path / "events.txt"), "01")
    assert len(read_shots(renamed, flips, **SIZES)) == SHOTS


def refused(*files, **sizes):
    with pytest.raises(UsageError) as caught:
        read_shots(*files, **(sizes or SIZES))
    assert caught.value.code == "bad_shots"
    assert caught.value.hint
    assert caught.value.about["file"]
    return f"{caught.value.problem} ({caught.value.hint})"


@pytest.mark.parametrize("form", FORMATS)
def test_the_shots_of_another_model_are_refused(tmp_path, shots, form):
    events, flips = written(tmp_path, form, shots)
    said = refused(events, flips, num_detectors=DETECTORS - 4, num_observables=OBSERVABLES)
    assert "events." in said
    assert "use the error model of these shots" in said


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("e.b8", b"", "e.b8 is empty: it holds no shots"),
        ("e.b8", b"\0" * 10, r"takes 10 bytes, which is no multiple of 3: so many take 19 detectors per shot"),
        ("e.b8", b"\0\0\0\0\0\x08", "shot 1 of e.b8 sets a bit after the last of its 19 detectors"),
        ("e.ptb64", b"\0" * 8, "no multiple of 152: so many take 19 detectors per group of 64 shots"),
        ("e.01", b"01\n", "19 detectors a shot: stim says: 01 data ended in middle of record"),
        ("e.dets", b"shot D19\n", "Got D19 but expected length of D space to be 19"),
        ("e.dets", b"shot D0 L0\n", "Got L0"),
        ("e.hits", b"18446744073709551617\n", "stim says: Integer value"),
        ("e.r8", b"\x50", "stim says: r8 data jumped"),
        ("e.csv", b"1,2", "the suffix of e.csv names no format of shots"),
        ("events", b"1,2", r"ends in one of: \.b8, \.01"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(name, data, reason):
    said = refused(ShotFile(name, data), ShotFile("f.01", b"00\n"))
    assert re.search(reason, said), said


def test_a_format_that_does_not_exist_is_refused():
    assert "'b9' is no format of shots" in refused(ShotFile("e.b8", b"1", "b9"), ShotFile("f.01", b"00\n"))


def test_two_files_hold_the_same_number_of_shots(tmp_path, shots):
    events, _ = written(tmp_path, "b8", shots)
    said = refused(events, ShotFile("flips.01", b"00\n" * 127))
    assert "events.b8 holds 128 shots, but flips.01 holds 127" in said


def test_a_file_of_events_alone_is_not_taken_for_both(tmp_path, shots):
    # In text a shot without observables looks like one that flips none.
    events, _ = written(tmp_path, "dets", shots)
    assert "name the file of the observables too" in refused(events)
    # Where its size tells, the hint begins with the most frequent reason.
    with pytest.raises(UsageError, match="no multiple of 4") as caught:
        read_shots(ShotFile("events.b8", bytes(3 * 65)), num_detectors=24, num_observables=1)
    assert caught.value.hint.startswith("if it holds detection events alone, name the file of the observables too")


def test_the_memory_of_shots_is_bounded_before_they_are_read(tmp_path, shots, monkeypatch):
    files = [*written(tmp_path, "hits", shots), *written(tmp_path, "dets", shots), *written(tmp_path, "r8", shots)]
    monkeypatch.setattr(stim, "read_shot_data_file", lambda **_: pytest.fail("stim must not read this"))
    monkeypatch.setattr(recorded_shots, "PACKED_SHOTS_BYTES", 256)
    for place in (0, 2, 4):
        assert "over the limit of 256 bytes, and was not read" in refused(*files[place : place + 2])
    assert "holds 128 shots, which take" in refused(*files[2:4])  # counted in pieces of a file, one inside a mark
    monkeypatch.setattr(recorded_shots, "_PIECE", 7)
    assert "holds 128 shots, which take" in refused(*files[2:4])
    monkeypatch.setattr(recorded_shots, "SHOT_FILE_BYTES", 16)
    assert "over the limit of 16 bytes" in refused(*files[:2])


def test_a_file_that_is_none_is_refused(tmp_path):
    assert "is no plain file" in refused(ShotFile("e.b8", tmp_path))
    with pytest.raises(NotFoundError, match="cannot read e.b8: No such file"):
        read_shots(ShotFile("e.b8", tmp_path / "e.b8"), **SIZES)
