"""Listing refs without libgit2: the same refs, whatever is packed, and nothing that is no ref."""

from __future__ import annotations

import pytest

from autoqec import history
from autoqec.history.store.ref_listing import read_refs, used_numbers


@pytest.fixture
def many(lab, play, git):
    for number in range(6):
        play()
        if number == 2:
            git("pack-refs", "--all")
    git("tag", "-a", "-m", "an annotated one", "v1")
    git("update-ref", "refs/remotes/origin/exp/depol-abcd/3", "HEAD")
    git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    git("pack-refs")
    return lab


def test_it_lists_what_git_lists(many, git):
    listed = git("for-each-ref", "--format=%(refname) %(objectname)").split("\n")[:-1]
    ours = read_refs(many.git_dir, ["refs/"])
    assert ours.pop("refs/remotes/origin/HEAD") == "refs/remotes/origin/main"
    assert sorted(f"{name} {oid}" for name, oid in ours.items()) == listed
    some = read_refs(many.git_dir, ["refs/autoqec/claims/", "refs/heads/exp/depol-abcd/1"])
    assert {name.split("/")[1] for name in some} == {"autoqec", "heads"}
    assert len(some) == 7


def test_a_loose_ref_is_newer_than_a_packed_one(many, git):
    git("pack-refs", "--all")
    git("update-ref", "refs/heads/exp/depol-abcd/1", "main")
    assert read_refs(many.git_dir, ["refs/heads/exp/"])["refs/heads/exp/depol-abcd/1"] == history.resolve_commit(
        many, "main"
    )


def test_locks_and_torn_files_are_no_refs(many):
    folder = many.git_dir / "refs/heads/exp/depol-abcd"
    for name, text in {"7.lock": "a" * 40, "8": "", "9": "what\n"}.items():
        (folder / name).write_text(text)
    (folder / "10").mkdir()
    names = history.list_refs(many, "refs/heads/exp/")
    assert sorted(name.rsplit("/", 1)[1] for name in names) == ["1", "2", "3", "4", "5", "6"]


def test_a_linked_worktree_lists_the_same(many, git, tmp_path):
    git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    linked = history.open_ledger(tmp_path / "linked")
    assert history.list_refs(linked, "refs/") == history.list_refs(many, "refs/")


def test_numbers_are_found_wherever_they_are_used(many, git):
    kinds = ("exp", "claims")
    assert used_numbers(many.git_dir, "depol-abcd", kinds) == {1, 2, 3, 4, 5, 6}
    git("update-ref", "refs/remotes/up/stream/exp/depol-abcd/70", "HEAD")
    git("update-ref", "refs/autoqec-remote/origin/claims/depol-abcd/80", "HEAD")
    assert used_numbers(many.git_dir, "depol-abcd", kinds) == {1, 2, 3, 4, 5, 6, 70, 80}
    for name in ("0", "01", "x", "1234567890", "²"):
        (many.git_dir / "refs/heads/exp/depol-abcd" / name).write_text("a" * 40)
    assert used_numbers(many.git_dir, "depol-abcd", kinds) == {1, 2, 3, 4, 5, 6, 70, 80}
    assert used_numbers(many.git_dir, "other", kinds) == set()


def test_numbers_that_another_process_packs_are_seen(many, git):
    kinds = ("exp", "claims")
    git("pack-refs", "--all")
    assert used_numbers(many.git_dir, "depol-abcd", kinds) == {1, 2, 3, 4, 5, 6}
    for number in (7, 8):
        git("update-ref", f"refs/heads/exp/depol-abcd/{number}", "HEAD")
        git("pack-refs", "--all")
        assert used_numbers(many.git_dir, "depol-abcd", kinds) == set(range(1, number + 1))
    (many.git_dir / "packed-refs").unlink()
    assert used_numbers(many.git_dir, "depol-abcd", kinds) == set()
