"""Composing: what merges, what conflicts, and that the order of the rounds does not matter."""

from __future__ import annotations

from itertools import permutations

import pytest

from autoqec import history
from autoqec.canonical import dump_yaml, load_yaml
from autoqec.decoding.ensemble_file import Ensemble
from autoqec.errors import AutoQECError, NotFoundError, UsageError

STAGE = {"kind": "gnn", "layers": 2, "width": 32, "norm": {"kind": "layer", "eps": 1e-5}, "features": ["p", "degree"]}
MODULE = b"".join(b"line %d\n" % n for n in range(20))


def yaml(**changes):
    return dump_yaml({**STAGE, **changes}).encode()


@pytest.fixture
def compose(lab, run, commit):
    """Commit an ancestor and one child per further dict; merge the children, in every order."""

    def make(ancestor, *sides):
        parents = (commit(1, ancestor),)
        oids = [commit(number, files, parents=parents) for number, files in enumerate(sides, 2)]
        merges = [history.merge_candidates(lab, run.base, order) for order in permutations(oids)]
        assert all(merge == merges[0] for merge in merges)
        return merges[0]

    return make


def clean(merge):
    assert merge.conflicts == ()
    return merge.files


def test_new_ideas_are_united(compose):
    a, b = {"stages/gnn/stage.yaml": yaml()}, {"stages/bp/stage.yaml": yaml(kind="neural_bp")}
    assert clean(
        compose({"output.yaml": b"x: 1\n"}, {"output.yaml": b"x: 1\n", **a}, {"output.yaml": b"x: 1\n", **b})
    ) == {"output.yaml": b"x: 1\n", **a, **b}


def test_from_the_baseline_the_same_file_added_twice_is_one(lab, run, commit):
    one = commit(1, {"output.yaml": b"mode: soft\n", "stages/a/stage.yaml": yaml()})
    two = commit(2, {"output.yaml": b"mode: soft\n", "stages/b/stage.yaml": yaml(layers=3)})
    merge = history.merge_candidates(lab, run.base, [one, two])
    assert clean(merge).keys() == {"output.yaml", "stages/a/stage.yaml", "stages/b/stage.yaml"}


def test_from_the_baseline_two_files_of_one_name_merge_by_key(lab, run, commit):
    one = commit(1, {"training.yaml": b"epochs: 3\n\nlr: 0.1\n"})
    two = commit(2, {"training.yaml": b"epochs: 3\n\nseed: 7\n"})
    assert clean(history.merge_candidates(lab, run.base, [one, two])) == {
        "training.yaml": b"epochs: 3\n\nlr: 0.1\n\nseed: 7\n"
    }
    three = commit(3, {"training.yaml": b"epochs: 4\n"})
    (conflict,) = history.merge_candidates(lab, run.base, [one, three]).conflicts
    assert (conflict.path, conflict.field, conflict.base) == ("training.yaml", "epochs", None)
    assert {conflict.ours, conflict.theirs} == {3, 4}


def test_gates_merge_as_other_files_do(lab, run, commit):
    def gate(**fields):
        return dump_yaml({"kind": "gap", "threshold": 4.4, "events": 0, "short_bp": 0} | fields).encode()

    stage = {"stages/a/stage.yaml": yaml()}
    gated, ungated = commit(1, {**stage, "gate.yaml": gate()}), commit(2, {"stages/b/stage.yaml": yaml()})
    assert clean(history.merge_candidates(lab, run.base, [gated, ungated]))["gate.yaml"] == gate()
    other = commit(3, {**stage, "gate.yaml": gate(threshold=2.0, events=3)})
    found = history.merge_candidates(lab, run.base, [gated, other])
    assert {(c.path, c.field, frozenset((c.ours, c.theirs))) for c in found.conflicts} == {
        ("gate.yaml", "threshold", frozenset((4.4, 2.0))),
        ("gate.yaml", "events", frozenset((0, 3))),
    }
    sides = [
        commit(n, {**stage, "gate.yaml": gate(**edit)}, parents=(gated,))
        for n, edit in ((4, {"threshold": 3.0}), (5, {"events": 2}))
    ]
    assert clean(history.merge_candidates(lab, run.base, sides))["gate.yaml"] == gate(threshold=3.0, events=2)


def test_ensembles_merge_with_stages_and_conflict_by_field(lab, run, commit):
    def ensemble(**fields):
        return dump_yaml(Ensemble().model_dump(mode="json") | fields).encode()

    stage = {"stages/a/stage.yaml": yaml(layers=2)}
    start = commit(1, {**stage, "ensemble.yaml": ensemble()})
    wider = commit(2, {**stage, "ensemble.yaml": ensemble(members=16)}, parents=(start,))
    deeper = {"stages/a/stage.yaml": yaml(layers=4), "ensemble.yaml": ensemble()}
    merged = clean(history.merge_candidates(lab, run.base, [wider, commit(3, deeper, parents=(start,))]))
    assert merged == {"stages/a/stage.yaml": yaml(layers=4), "ensemble.yaml": ensemble(members=16)}
    passes = commit(4, {**stage, "ensemble.yaml": ensemble(passes=4)}, parents=(start,))
    assert clean(history.merge_candidates(lab, run.base, [wider, passes]))["ensemble.yaml"] == ensemble(
        members=16, passes=4
    )
    fewer = commit(5, {**stage, "ensemble.yaml": ensemble(members=4)}, parents=(start,))
    (conflict,) = history.merge_candidates(lab, run.base, [wider, fewer]).conflicts
    assert (conflict.path, conflict.field, conflict.base) == ("ensemble.yaml", "members", 8)
    assert {conflict.ours, conflict.theirs} == {4, 16}


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        ({"kind": "gnn2"}, {"layers": 3}, {"kind": "gnn2", "layers": 3}),  # neighbours, which git's line merge refuses
        ({"new_a": 1}, {"new_b": 2}, {"new_a": 1, "new_b": 2}),  # both append
        ({"width": 64}, {"width": 64}, {"width": 64}),
        ({"width": 64}, {}, {"width": 64}),
        (
            {"norm": {"kind": "batch", "eps": 1e-5}},
            {"norm": {"kind": "layer", "eps": 1e-3}},
            {"norm": {"kind": "batch", "eps": 1e-3}},
        ),
        ({"features": ["p"]}, {"layers": 1}, {"features": ["p"], "layers": 1}),
        ({"extra": {"a": 1}}, {"extra": {"b": 2}}, {"extra": {"a": 1, "b": 2}}),
    ],
)
def test_keys_that_merge(ours, theirs, merged, compose):
    files = clean(compose({"s.yaml": yaml()}, {"s.yaml": yaml(**ours)}, {"s.yaml": yaml(**theirs)}))
    assert files == {"s.yaml": yaml(**merged)}


@pytest.mark.parametrize(
    ("ours", "theirs", "field", "old"),
    [
        ({"width": 64}, {"width": 16}, "width", 32),
        ({"features": ["p", "x"]}, {"features": ["p", "y"]}, "features", ["p", "degree"]),
        ({"norm": {"kind": "a", "eps": 1e-5}}, {"norm": {"kind": "b", "eps": 1e-5}}, "norm.kind", "layer"),
        ({"norm": None}, {"norm": {"kind": "b", "eps": 1e-5}}, "norm", {"kind": "layer", "eps": 1e-5}),
        ({"new": 1}, {"new": 2}, "new", None),
        ({"new": 1}, {"new": 1.0}, "new", None),
        ({"new": 1}, {"new": True}, "new", None),
        ({"new": "1"}, {"new": 1}, "new", None),
    ],
)
def test_keys_that_conflict(ours, theirs, field, old, compose):
    merge = compose(
        {"s.yaml": yaml(), "t.yaml": yaml()}, {"s.yaml": yaml(**ours), "t.yaml": yaml()}, {"s.yaml": yaml(**theirs)}
    )
    (conflict,) = merge.conflicts
    assert (conflict.path, conflict.field, conflict.base) == ("s.yaml", field, old)
    assert merge.files == {}  # one side deleted t.yaml, which the other left alone


def test_a_key_deleted_on_one_side(compose):
    less = {key: value for key, value in STAGE.items() if key != "norm"}
    deleted = dump_yaml(less).encode()
    assert clean(compose({"s.yaml": yaml()}, {"s.yaml": deleted}, {"s.yaml": yaml(width=1)})) == {
        "s.yaml": dump_yaml({**less, "width": 1}).encode()
    }


def test_a_key_deleted_and_edited_conflicts(compose):
    deleted = dump_yaml({key: value for key, value in STAGE.items() if key != "norm"}).encode()
    edited = yaml(norm={"kind": "batch", "eps": 1e-5})
    (conflict,) = compose({"s.yaml": yaml()}, {"s.yaml": deleted}, {"s.yaml": edited}).conflicts
    assert (conflict.field, conflict.base) == ("norm.kind", "layer")
    assert {conflict.ours, conflict.theirs} == {None, "batch"}


def test_every_conflict_is_reported(compose):
    merge = compose(
        {"s.yaml": yaml(), "t.yaml": yaml()},
        {"s.yaml": yaml(width=1, layers=1), "t.yaml": yaml(kind="a")},
        {"s.yaml": yaml(width=2, layers=3), "t.yaml": yaml(kind="b")},
    )
    assert [(c.path, c.field) for c in merge.conflicts] == [
        ("s.yaml", "layers"),
        ("s.yaml", "width"),
        ("t.yaml", "kind"),
    ]


@pytest.mark.parametrize("name", ["s.yaml", "module.py", "weights.bin"])
def test_a_file_deleted_and_edited_conflicts(name, compose):
    (conflict,) = compose({name: yaml()}, {}, {name: yaml(width=1)}).conflicts
    assert conflict.path == name
    assert conflict.base is not None
    assert None in (conflict.ours, conflict.theirs)


def test_a_file_deleted_and_left_alone_is_deleted(compose):
    assert clean(compose({"s.yaml": yaml(), "module.py": MODULE}, {}, {"s.yaml": yaml(), "module.py": MODULE})) == {}


def test_text_merges_by_line(compose):
    ours, theirs = MODULE.replace(b"line 2\n", b"line two\n"), MODULE.replace(b"line 15\n", b"line fifteen\n")
    files = clean(compose({"module.py": MODULE}, {"module.py": ours}, {"module.py": theirs}))
    assert files == {"module.py": ours.replace(b"line 15\n", b"line fifteen\n")}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (MODULE.replace(b"line 2\n", b"a\n"), MODULE.replace(b"line 2\n", b"b\n")),
        (MODULE + b"a\n", MODULE + b"b\n"),
        (MODULE.replace(b"line 2\n", b"a\n"), MODULE.replace(b"line 15\n", b"b\x00\n")),
        (MODULE.replace(b"line 2\n", b"a\n"), MODULE.replace(b"line 15\n", b"\xff\n")),
    ],
)
def test_text_that_conflicts(ours, theirs, compose):
    (conflict,) = compose({"module.py": MODULE}, {"module.py": ours}, {"module.py": theirs}).conflicts
    assert (conflict.path, conflict.field, conflict.base) == ("module.py", None, MODULE.decode())
    assert all(isinstance(side, str) for side in (conflict.ours, conflict.theirs))


def test_two_modules_of_one_name_conflict(lab, run, commit):
    one, two = commit(1, {"module.py": b"a\n"}), commit(2, {"module.py": b"b\n"})
    (conflict,) = history.merge_candidates(lab, run.base, [one, two]).conflicts
    assert (conflict.base, {conflict.ours, conflict.theirs}) == (None, {"a\n", "b\n"})
    assert sorted(conflict.between) == sorted([one, two])


@pytest.mark.parametrize("bad", [b"- a\n", b"a: 1\na: 2\n", b"a: &x 1\n", b"\xff", b": : :", b"words\n"])
def test_yaml_that_cannot_be_read_conflicts_as_a_whole(bad, compose):
    (conflict,) = compose({"s.yaml": yaml()}, {"s.yaml": bad}, {"s.yaml": yaml(width=1)}).conflicts
    assert (conflict.path, conflict.field) == ("s.yaml", None)


def test_three_rounds_merge_at_once(compose):
    merge = compose(
        {"s.yaml": yaml()},
        {"s.yaml": yaml(width=1), "a": b"a"},
        {"s.yaml": yaml(layers=1), "b": b"b"},
        {"s.yaml": yaml(kind="x"), "c": b"c"},
    )
    assert clean(merge) == {"s.yaml": yaml(width=1, layers=1, kind="x"), "a": b"a", "b": b"b", "c": b"c"}


def test_one_of_three_that_disagrees_is_a_conflict(compose):
    (conflict,) = compose(
        {"s.yaml": yaml()}, {"s.yaml": yaml(width=1)}, {"s.yaml": yaml(width=2)}, {"s.yaml": yaml()}
    ).conflicts
    assert conflict.field == "width"


def test_three_text_files_merge(compose):
    def edit(n):
        return MODULE.replace(b"line %d\n" % n, b"changed %d\n" % n)

    merged = clean(compose({"m.py": MODULE}, {"m.py": edit(2)}, {"m.py": edit(10)}, {"m.py": edit(17)}))["m.py"]
    assert merged.count(b"changed") == 3


def test_a_value_is_compared_with_what_each_two_started_from(lab, run, commit):
    """The third round is from the baseline; the first two share a grandparent that already had changed the width."""
    start = commit(1, {"s.yaml": yaml()})
    wide = commit(2, {"s.yaml": yaml(width=64)}, parents=(start,))
    wider = commit(3, {"s.yaml": yaml(width=128)}, parents=(wide,))
    deep = commit(4, {"s.yaml": yaml(width=64, layers=9)}, parents=(wide,))
    other = commit(5, {"s.yaml": yaml(kind="x")}, parents=(start,))
    for order in permutations([wider, deep, other]):
        merge = history.merge_candidates(lab, run.base, order)
        assert clean(merge) == {"s.yaml": yaml(width=128, layers=9, kind="x")}


def test_going_back_to_an_older_value_is_a_change(lab, run, commit):
    start = commit(1, {"s.yaml": yaml(width=32)})
    wide = commit(2, {"s.yaml": yaml(width=64)}, parents=(start,))
    back = commit(3, {"s.yaml": yaml(width=32)}, parents=(wide,))
    wider = commit(4, {"s.yaml": yaml(width=128)}, parents=(wide,))
    (conflict,) = history.merge_candidates(lab, run.base, [back, wider]).conflicts
    assert (conflict.base, {conflict.ours, conflict.theirs}) == (64, {32, 128})


def test_two_compositions_of_the_same_rounds(lab, run, commit):
    """Neither parent is the one common ancestor: what either had counts as what they started from."""
    start = commit(1, {"s.yaml": yaml()})
    a = commit(2, {"s.yaml": yaml(width=64)}, parents=(start,))
    b = commit(3, {"s.yaml": yaml(layers=9)}, parents=(start,))
    one = commit(4, {"s.yaml": yaml(width=64, layers=10)}, parents=(a, b), compose="with_edit")
    two = commit(5, {"s.yaml": yaml(width=65, layers=9)}, parents=(a, b), compose="with_edit")
    merges = [history.merge_candidates(lab, run.base, order) for order in ((one, two), (two, one))]
    assert clean(merges[0]) == clean(merges[1]) == {"s.yaml": yaml(width=65, layers=10)}


def test_moving_the_users_files_does_not_matter(lab, run, commit, git, repository):
    one = commit(1, {"a": b"a"})
    (repository / "README").write_text("changed\n")
    git("commit", "-aqm", "later")
    two = commit(2, {"b": b"b"})
    assert clean(history.merge_candidates(lab, run.base, [one, two])) == {"a": b"a", "b": b"b"}


def test_what_cannot_be_composed(lab, run, commit, git):
    one = commit(1, {"a": b"1"})
    child = commit(2, {"a": b"2"}, parents=(one,))
    merge = history.merge_candidates
    with pytest.raises(UsageError, match="at least two"):
        merge(lab, run.base, [one])
    with pytest.raises(UsageError, match="same round twice"):
        merge(lab, run.base, [one, one])
    with pytest.raises(UsageError, match=f"{one[:10]} is an ancestor of {child[:10]}"):
        merge(lab, run.base, [child, one])
    with pytest.raises(UsageError, match="is the run's base"):
        merge(lab, run.base, [run.base, one])
    many = [commit(number, {"a": b"%d" % number}) for number in range(3, 12)]
    with pytest.raises(UsageError, match="at most 8"):
        merge(lab, run.base, many)
    with pytest.raises(NotFoundError):
        merge(lab, run.base, [one, "f" * 40])
    stranger = git("commit-tree", "-m", "from nowhere", f"{one}^{{tree}}").strip()
    with pytest.raises(AutoQECError, match="no history in common") as caught:
        merge(lab, run.base, [one, stranger])
    assert "unshallow" in caught.value.hint
    with pytest.raises(AutoQECError, match="does not start from the base"):
        merge(lab, many[0], [one, many[1]])


def test_a_file_on_one_side_and_a_folder_on_the_other(compose):
    with pytest.raises(UsageError, match="cannot be both a file and the folder"):
        compose({}, {"stages": b"x"}, {"stages/a/stage.yaml": yaml()})


def test_git_merges_what_it_can_to_the_same_result(lab, run, commit, git):
    """Where git's own merge is clean, ours agrees with it."""
    if tuple(int(part) for part in git("version").split()[2].split(".")[:2]) < (2, 38):
        pytest.skip("git merge-tree --write-tree came with git 2.38")
    start = commit(1, {"s.yaml": yaml(), "m.py": MODULE})
    one = commit(
        2, {"s.yaml": yaml(kind="x"), "m.py": MODULE.replace(b"line 2\n", b"two\n"), "a": b"a"}, parents=(start,)
    )
    two = commit(
        3, {"s.yaml": yaml(width=1), "m.py": MODULE.replace(b"line 9\n", b"nine\n"), "b": b"b"}, parents=(start,)
    )
    files = clean(history.merge_candidates(lab, run.base, [one, two]))
    tree = git("merge-tree", "--write-tree", one, two).strip()
    assert history.read_candidate(lab, git("commit-tree", "-m", "git's", tree).strip()) == files
    assert load_yaml(files["s.yaml"], name="s.yaml") == {**STAGE, "kind": "x", "width": 1}
