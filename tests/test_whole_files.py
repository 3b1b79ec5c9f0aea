"""Files and folders for the user: whole or not at all, whatever fails while they are written."""

import errno
import os
import resource
from pathlib import Path

import pytest

from autoqec.errors import AutoQECError
from autoqec.whole_files import require_place, write_file, write_folder, written_aside


@pytest.fixture
def small_files():
    """No file may have more than a kilobyte: the kernel fails in the middle of a write, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_is_whole_or_as_it_was(tmp_path, small_files):
    file = tmp_path / "out.json"
    write_file(file, b"first")
    with pytest.raises(AutoQECError, match="out.json cannot be written: File too large") as caught:
        write_file(file, bytes(5000))
    assert (caught.value.code, "resume" in caught.value.hint, "fsck" in caught.value.hint) == (
        "not_written",
        False,
        False,
    )
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("out.json", b"first")]


def test_whatever_ends_a_write_leaves_nothing(tmp_path):
    def stopped():
        with written_aside(tmp_path / "out.svg") as part:
            assert part.suffix == ".svg"
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_is_whole_or_nothing_of_it_is_there(tmp_path, small_files, there):
    folder = tmp_path / "above" / "out"
    if there:
        folder.mkdir(parents=True)
    with pytest.raises(AutoQECError, match="cannot be written: File too large"):
        write_folder(folder, {"a/b": b"small", "c": bytes(5000)})
    assert (folder.exists(), folder.parent.exists()) == (there, there)
    assert not there or list(folder.iterdir()) == []
    write_folder(folder, {"a/b": b"small", "c": b""})
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "above/out/a/b",
        "above/out/c",
    ]


def test_what_was_moved_into_a_folder_goes_too(tmp_path, monkeypatch):
    rename = Path.rename

    def full(self, target):
        if self.name == "c":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(AutoQECError, match="No space left on device"):
        write_folder(tmp_path, {"a/b": b"", "c": b""})
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_written_to_and_a_link_is_followed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_file(tmp_path / "pipe", b"data")
    assert os.read(reader, 10) == b"data"
    os.close(reader)
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", b"data")
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "real").read_bytes()) == (True, b"data")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("absent/x", "make the folder first"),
        ("file/x", "a part of the path is a file"),
        ("folder", "there is a folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_anything(tmp_path, path, words):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for refused in (require_place, lambda place: write_file(place, b"")):
        with pytest.raises(AutoQECError, match="cannot be written") as caught:
            refused(tmp_path / path)
        assert words in caught.value.hint
    require_place(tmp_path / "file")
    require_place(tmp_path / "new")
