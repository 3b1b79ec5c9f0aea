"""Attachments: files that hang off a round, added but never silently replaced."""

from __future__ import annotations

import pytest

from autoqec import history
from autoqec.errors import AutoQECError, NotFoundError, UsageError

WEIGHTS = {"weights.safetensors": bytes(range(256)) * 10}


def test_files_read_back(lab, run, git):
    assert history.read_attachment(lab, "artifacts", run.name, 1) == {}
    assert not history.has_attachment(lab, "artifacts", run.name, 1)
    oid = history.attach(lab, "artifacts", run.name, 1, WEIGHTS)
    assert history.read_attachment(lab, "artifacts", run.name, 1) == WEIGHTS
    assert history.has_attachment(lab, "artifacts", run.name, 1)
    assert history.has_attachment(lab, "artifacts", run.name, 1, "weights.safetensors")
    assert not history.has_attachment(lab, "artifacts", run.name, 1, "other")
    assert git("rev-parse", "refs/autoqec/artifacts/depol-abcd/1").strip() == oid
    git("fsck", "--strict")


def test_files_are_added_and_adding_again_changes_nothing(lab, run, git):
    first = history.attach(lab, "traces", run.name, 1, {"ideator/prompt.txt": b"p"})
    assert history.attach(lab, "traces", run.name, 1, {"ideator/prompt.txt": b"p"}) == first
    second = history.attach(lab, "traces", run.name, 1, {"coder/reply.json": b"r"})
    assert history.attach(lab, "traces", run.name, 1, {"ideator/prompt.txt": b"p"}) == second
    assert history.read_attachment(lab, "traces", run.name, 1) == {"coder/reply.json": b"r", "ideator/prompt.txt": b"p"}
    git("merge-base", "--is-ancestor", first, second)  # so that pushing it is a fast-forward


def test_a_file_is_not_replaced_unless_asked(lab, run):
    history.attach(lab, "artifacts", run.name, 1, WEIGHTS)
    with pytest.raises(AutoQECError, match=r"already has weights.safetensors with other contents"):
        history.attach(lab, "artifacts", run.name, 1, {"weights.safetensors": b"other", "new": b""})
    assert history.read_attachment(lab, "artifacts", run.name, 1) == WEIGHTS
    history.attach(lab, "artifacts", run.name, 1, {"weights.safetensors": b"other"}, replace=True)
    assert history.read_attachment(lab, "artifacts", run.name, 1) == {"weights.safetensors": b"other"}


def test_a_failed_attempt_descends_from_its_inputs(lab, run, commit, git):
    one, two = commit(1, {}), commit(2, {})
    files = {"conflict/report.json": b"{}", "conflict/ours/stages/a/stage.yaml": b"x: 1\n"}
    oid = history.attach(lab, "attempts", run.name, 3, files, parents=[one, two])
    assert git("rev-parse", f"{oid}^@").split() == [one, two]
    assert history.attach(lab, "attempts", run.name, 3, files, parents=[one, two]) == oid
    assert "conflict/ours/stages/a/stage.yaml" in git("show", "--stat", "-m", "--name-only", oid)
    with pytest.raises(NotFoundError):
        history.attach(lab, "attempts", run.name, 4, files, parents=["f" * 40])


def test_what_is_not_allowed(lab, run):
    for call in (
        lambda: history.attach(lab, "models", run.name, 1, {}),
        lambda: history.read_attachment(lab, "models", run.name, 1),
        lambda: history.has_attachment(lab, "models", run.name, 1),
    ):
        with pytest.raises(UsageError, match="artifacts, traces, attempts"):
            call()
    with pytest.raises(UsageError, match="not an allowed path"):
        history.attach(lab, "traces", run.name, 1, {"../x": b""})
    history.attach(lab, "traces", run.name, 1, {"a": b""})
    with pytest.raises(UsageError, match="cannot be both a file and the folder"):
        history.attach(lab, "traces", run.name, 1, {"a/b": b""})


def test_a_large_file_comes_back(lab, run):
    data = {"weights.safetensors": b"\x01\x02" * (3 * 2**20)}
    history.attach(lab, "artifacts", run.name, 1, data)
    assert history.read_attachment(lab, "artifacts", run.name, 1) == data
    with pytest.raises(UsageError, match="bytes"):
        history.attach(lab, "artifacts", run.name, 2, {"weights.safetensors": bytes(51 * 2**20)})
