"""What a pull reads and writes follows from what is new, not from how long the run is: many workers pull long runs often."""

from __future__ import annotations

import subprocess

import pytest

from autoqec import history
from autoqec.history.reading import history_reader, run_chain
from autoqec.history.rounds import notes
from autoqec.history.rounds.seen_heads import heads_file, seen_heads
from autoqec.history.store import dropped_refs, ref_listing
from autoqec.history.sync import push_pull

ENV_ID = "e" * 64
RUN = "depol-abcd"


@pytest.fixture
def pair(lab, run, play, tmp_path):
    """A lab with four rounds, and a clone that has pulled them."""
    for number in range(4):
        play({"output.yaml": b"n: %d\n" % number})
    remote, other = tmp_path / "remote.git", tmp_path / "other"
    subprocess.run(["git", "clone", "-q", "--bare", str(lab.workdir), str(remote)], check=True)
    lab.repo.remotes.create("origin", str(remote))
    history.push(lab)
    subprocess.run(["git", "clone", "-q", str(remote), str(other)], check=True)
    clone = history.open_ledger(other)
    history.pull(clone)
    return lab, clone


def counted(monkeypatch, place, name):
    """The calls of a function of a module, which still does what it did."""
    calls, real = [], getattr(place, name)
    monkeypatch.setattr(place, name, lambda *args, **more: calls.append(args) or real(*args, **more))
    return calls


def begin(ledger, oid, attempt):
    """The note that a verification has begun; its digest."""
    chain = history.read_chain(ledger, RUN)
    about = {"commit": oid, "environment": ENV_ID, "candidate": "c" * 64, "weights_sha256": "b" * 64}
    begun = {"event": "begun", "attempt": attempt, "chain": list(chain.next_chain), **about}
    return history.append_line(ledger, RUN, "verdict", oid, begun).digest


def test_a_pull_joins_only_what_has_changed(pair, play, monkeypatch):
    lab, clone = pair
    joins = counted(monkeypatch, push_pull, "join")
    history.pull(clone)
    assert joins == []
    play({"output.yaml": b"n: 5\n"})
    history.push(lab)
    joins.clear()
    history.pull(clone)
    refs = [args[2].removeprefix("refs/").removeprefix("autoqec/") for args in joins]
    kinds = [f"notes/autoqec/{RUN}/{kind}" for kind in ("analysis", "metrics", "verdict")]
    assert refs == [f"claims/{RUN}/5", f"heads/exp/{RUN}/5", *kinds]


def test_a_ref_that_was_deleted_here_comes_back_though_the_remote_has_not_changed_it(pair):
    _, clone = pair
    clone.repo.references.delete(f"refs/autoqec/claims/{RUN}/2")
    assert history.pull(clone).received == (f"refs/autoqec/claims/{RUN}/2",)


def test_uniting_notes_looks_only_at_those_that_differ(pair, play, monkeypatch):
    lab, clone = pair
    play({"output.yaml": b"n: 5\n"})
    history.push(lab)
    oid = history.find_round(clone, RUN, 1)
    history.append_note(clone, RUN, "analysis", oid, {"id": "mine", "summary": "more"})
    sizes = counted(monkeypatch, notes, "size_of")
    history.pull(clone)
    assert len(sizes) == 2  # the two versions of the one note that both have
    found = history.read_notes(clone, RUN, "analysis")
    assert len(found) == 5
    assert "mine" in {record["id"] for record in found[oid]}


def test_the_lines_of_a_run_are_read_once_for_its_chain(lab, play, monkeypatch):
    _, oid = play()
    begin(lab, oid, 1)
    reads = counted(monkeypatch, history_reader, "read_lines")
    assert len(history.read_chain(lab, RUN).intents) == 1
    assert len(reads) == 1


def test_a_pull_remembers_new_heads_from_the_notes_that_changed(pair, play, monkeypatch):
    lab, clone = pair
    first = begin(lab, history.find_round(lab, RUN, 1), 1)
    history.push(lab)
    whole = counted(monkeypatch, run_chain, "read_chain")
    history.pull(clone)
    assert seen_heads(clone, RUN) == (first,)
    second = begin(lab, history.find_round(lab, RUN, 2), 2)
    history.push(lab)
    read = counted(monkeypatch, run_chain, "lines_at")
    history.pull(clone)
    assert seen_heads(clone, RUN) == (second,)  # it names the first
    assert [args[4] for args in read] == [[history.find_round(clone, RUN, 2)]]
    assert whole == []


def test_heads_of_two_clones_are_both_remembered_as_by_a_look_at_the_whole_chain(pair):
    lab, clone = pair
    mine, theirs = begin(clone, history.find_round(clone, RUN, 1), 1), begin(lab, history.find_round(lab, RUN, 2), 2)
    history.remember_heads(clone, RUN)
    history.push(lab)
    history.pull(clone)
    assert seen_heads(clone, RUN) == tuple(sorted((mine, theirs)))
    text = heads_file(clone, RUN).read_text()
    history.remember_heads(clone, RUN)
    assert heads_file(clone, RUN).read_text() == text


def test_many_small_pulls_leave_their_refs_packed(pair, play, monkeypatch):
    lab, clone = pair
    monkeypatch.setattr(push_pull, "_MANY", 60)
    for number in range(5, 11):
        play({"output.yaml": b"n: %d\n" % number})
        history.push(lab)
        history.pull(clone)
    loose = [path for path in (clone.git_dir / "refs").rglob("*") if path.is_file()]
    assert len(loose) <= 60
    assert len(history.list_claims(clone, RUN)) == 10


def test_packed_refs_are_parsed_again_only_after_a_change(lab, play, git, monkeypatch):
    play()
    git("pack-refs", "--all")
    reads = counted(monkeypatch, ref_listing, "_packed_bytes")
    before = history.list_refs(lab, "refs/autoqec/")
    assert history.list_refs(lab, "refs/heads/exp/")
    assert history.list_refs(lab, "refs/autoqec/") == before
    assert len(reads) <= 1
    play({"output.yaml": b"n: 2\n"})
    git("pack-refs", "--all")
    assert history.list_refs(lab, "refs/autoqec/").keys() > before.keys()


def test_where_nothing_is_dropped_no_ref_is_asked_whose_it_is(monkeypatch):
    monkeypatch.setattr(dropped_refs, "owner_of", None)
    assert not dropped_refs.Marks(frozenset()).hide(f"refs/autoqec/claims/{RUN}/1")
