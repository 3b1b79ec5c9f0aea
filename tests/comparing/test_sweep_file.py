"""The file of a sweep: whole rows, each shot once, whoever else writes it."""

import os
import threading

import pytest

from autoqec.comparing.sweep_file import SweepFile, task_of
from autoqec.errors import AutoQECError, UsageError
from autoqec.results.sinter_rows import SinterRow, header, read_rows

TASK = task_of("mwpm", {"d": 3, "key": "k"})


def row(shots, errors, key="k", decoder="mwpm"):
    return SinterRow(shots, errors, 0, 0.5, decoder, f"{decoder}{key}", {"d": 3, "key": key})


def test_the_key_is_no_part_of_a_task():
    assert task_of("mwpm", {"d": 3, "key": "other", "left_out": "x"}) == TASK
    assert task_of("osd", {"d": 3}) != TASK
    assert task_of("mwpm", {"d": 5}) != TASK


def test_it_is_made_with_its_first_row_and_read_again(tmp_path):
    path = tmp_path / "a.csv"
    file = SweepFile(path)
    assert not path.exists()
    assert file.append(row(100, 3), TASK, 0)
    assert file.append(row(50, 1), TASK, 100)
    assert file.append(row(70, 2, key="l"), TASK, 0)
    again = SweepFile(path)
    assert again.position(TASK, "k") == 150
    assert {key: (each.shots, each.errors, each.seconds) for key, each in again.totals(TASK).items()} == {
        "k": (150, 4, 1.0),
        "l": (70, 2, 0.5),
    }
    assert path.read_text().splitlines()[0] == header()


def test_shots_that_another_sweep_counted_are_not_written(tmp_path):
    one, two = SweepFile(tmp_path / "a.csv"), SweepFile(tmp_path / "a.csv")
    assert one.append(row(100, 3), TASK, 0)
    assert not two.append(row(64, 2), TASK, 0)
    assert two.position(TASK, "k") == 100
    assert two.append(row(64, 2), TASK, 100)
    assert not one.append(row(10, 1), TASK, 100)
    assert SweepFile(tmp_path / "a.csv").totals(TASK)["k"].errors == 5


def test_two_that_write_at_once_lose_nothing_and_count_nothing_twice(tmp_path):
    path = tmp_path / "a.csv"
    written = []

    def write():
        file = SweepFile(path)
        while (start := file.position(TASK, "k")) < 1000:
            if file.append(row(10, 1), TASK, start):
                written.append(start)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == list(range(0, 1000, 10))
    assert len(read_rows(path.read_text(), name="a")) == 100


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_row_that_was_cut_off_is_removed(tmp_path, cut):
    path = tmp_path / "a.csv"
    SweepFile(path).append(row(100, 3), TASK, 0)
    whole = path.read_bytes()
    path.write_bytes(whole + row(50, 1).line().encode()[:-cut])
    file = SweepFile(path)
    assert file.repaired
    assert path.read_bytes() == whole
    assert file.position(TASK, "k") == 100


def test_a_last_row_without_an_end_of_line_counts(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\n".join([header(), row(100, 3).line()]))
    file = SweepFile(path)
    assert not file.repaired
    assert file.append(row(50, 1), TASK, 100)
    assert len(read_rows(path.read_text(), name="a")) == 2


def test_a_row_cut_off_by_another_sweep_meanwhile_is_removed_too(tmp_path):
    path = tmp_path / "a.csv"
    file = SweepFile(path)
    file.append(row(100, 3), TASK, 0)
    with path.open("a") as stream:
        stream.write("   50,  1,")
    assert file.append(row(50, 1), TASK, 100)
    assert len(read_rows(path.read_text(), name="a")) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello\n", "no column shots"),
        (b"hello", "no column shots"),
        (b"\xff\xfe\n", "not UTF-8"),
        (header().encode() + b"\n1,2\n", "line 2: not a row"),
        (header().encode() + b"\n\xff\n", "not UTF-8"),
        (header().replace(",custom_counts", "").encode() + b"\n", "other columns"),
    ],
)
def test_another_file_is_refused_and_left_as_it_is(tmp_path, content, said):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        SweepFile(path)
    assert path.read_bytes() == content


def test_a_file_that_becomes_shorter_is_an_error(tmp_path):
    path = tmp_path / "a.csv"
    file = SweepFile(path)
    file.append(row(100, 3), TASK, 0)
    path.write_text("")
    with pytest.raises(AutoQECError, match="became shorter"):
        file.append(row(50, 1), TASK, 100)


def test_where_no_file_can_be_is_told_at_once(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="No such file or directory"):
        SweepFile(tmp_path / "none" / "a.csv")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(AutoQECError, match="Permission denied"):
        SweepFile(tmp_path / "a.csv")


def test_a_full_disk_leaves_no_half_row(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    file = SweepFile(path)
    file.append(row(100, 3), TASK, 0)
    whole, write = path.read_bytes(), os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, data[:20], at) if len(data) > 40 else full())

    def full():
        raise OSError(28, "No space left on device")

    with pytest.raises(AutoQECError, match="No space left") as error:
        file.append(row(50, 1), TASK, 100)
    assert error.value.code == "not_written"
    assert path.read_bytes() == whole


def test_a_note_is_written_once(tmp_path):
    path = tmp_path / "a.csv"
    note = SinterRow(0, 0, 0, 0.0, "mwpm", "n", {"d": 3, "left_out": "no"})
    SweepFile(path).note(note)
    SweepFile(path).note(note)
    assert len(read_rows(path.read_text(), name="a")) == 1
    assert SweepFile(path).totals(TASK) == {}


def test_without_a_path_counts_stay_in_memory():
    file = SweepFile(None)
    assert file.append(row(100, 3), TASK, 0)
    file.note(row(0, 0))
    assert (file.name, file.position(TASK, "k")) == ("", 100)


def test_sweeps_of_one_file_agree_on_a_key(tmp_path):
    """Whoever comes second takes the key of the first, even before anything is counted."""
    path, own, other = tmp_path / "a.csv", "a" * 32, "b" * 32
    one, two = SweepFile(path), SweepFile(path)
    assert (one.key, one.claim_key(row(0, 0, key=own))) == (None, own)
    assert two.claim_key(row(0, 0, key=other)) == own
    assert len(read_rows(path.read_text(), name="a")) == 1
    assert SweepFile(path).key == own
    SweepFile(path).append(row(100, 3, key=other), TASK, 0)
    assert SweepFile(path).key == other  # it has more shots
    assert SweepFile(None).claim_key(row(0, 0, key=own)) == own
