"""Families of environments: all combinations of values, checked before anything begins."""

import pytest

from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.environment import builtin_environments, find_environment, load_environment
from autoqec.problem.environment_family import Varied, checked_rates, members_of, read_rates, read_varied


@pytest.fixture(scope="module")
def kinds():
    return load_plugins().maker("code")


@pytest.fixture(scope="module")
def surface():
    return find_environment("surface_d5_depol", [builtin_environments()])


def test_values_are_lists_in_yaml():
    assert read_varied("code.distance=3,5,7") == Varied("code.distance", (3, 5, 7))
    assert read_varied("noise.p=[1e-3, 2e-3],[3e-3]") == Varied("noise.p", ([1e-3, 2e-3], [3e-3]))
    assert read_varied("code.rounds = code.distance") == Varied("code.rounds", "code.distance")
    assert read_varied("code.path=a.stim,b.stim") == Varied("code.path", ("a.stim", "b.stim"))
    assert read_varied("code.scale=1.5") == Varied("code.scale", (1.5,))


@pytest.mark.parametrize(
    "text", ["code.distance", "=3", "code.distance=", "code distance=3", "code.a=[3", "1=2", "a=3,]"]
)
def test_what_is_no_list_is_refused(text):
    with pytest.raises(UsageError, match="--set"):
        read_varied(text)


def test_rates_are_a_list_or_a_range_of_equal_ratios():
    assert read_rates("1e-3,0.002") == (0.001, 0.002)
    found = read_rates("1e-3:1e-2:4")
    assert found == (0.001, 0.002154, 0.004642, 0.01)
    assert read_rates("1e-2:1e-3:2") == (0.01, 0.001)


@pytest.mark.parametrize(
    "text",
    ["", "x", "0.1,0.1", "0,0.1", "0.6", "nan", "inf", "1e-3:1e-2", "1e-3:1e-2:1", "1e-3:1e-2:2.5", "1e-3:1e-2:1e9",
     "1e-3:1e-3:3", "1e-3:1e-2:nan", "1e-3:1e-2:inf", "1e-3:1e-2:", "-1e-3:1e-2:3", "1:2:3:4"],
)  # fmt: skip
def test_what_are_no_rates_is_refused(text):
    with pytest.raises(UsageError, match="--p"):
        read_rates(text)
    with pytest.raises(UsageError, match="0.5"):
        checked_rates([0.7], "p")


def test_all_combinations_are_members(surface, kinds):
    varied = [
        Varied("code.distance", (3, 5)),
        Varied("code.rounds", "code.distance"),
        Varied("noise.kind", ("si1000", "depolarizing")),
    ]
    found = members_of(surface, varied, (1e-3, 2e-3), kinds)
    assert [tuple(each.values.values()) for each in found] == [
        (p, d, kind, d) for p in (1e-3, 2e-3) for d in (3, 5) for kind in ("si1000", "depolarizing")
    ]
    last = found[-1]
    assert last.label == "p = 0.002, distance = 5, kind = depolarizing, rounds = 5"
    assert (last.rate, last.number("distance"), last.number("rounds")) == (2e-3, 5, 5)
    assert (last.number("task"), last.number("none")) == (None, None)
    assert len({each.digest for each in found}) == len(found)
    assert last.loaded.environment.noise.p == (2e-3,)
    assert last.loaded.environment.decoder == surface.environment.decoder


def test_a_family_of_one_is_the_environment_itself(surface, kinds):
    (only,) = members_of(surface, (), (), kinds)
    assert only.loaded is surface
    assert only.label == "surface_d5_depol"


@pytest.mark.parametrize(
    ("varied", "rates", "said"),
    [
        ([Varied("code.distance", (3, 4.5))], (), "distance = 4.5: code.distance"),
        ([Varied("code.distnce", (3,))], (), "distnce = 3: code.distnce"),
        ([Varied("code.distance", (3, 3))], (), "3 is listed twice"),
        ([Varied("code.distance", (3,)), Varied("code.distance", (5,))], (), "code.distance is given twice"),
        ([Varied("noise.p", (1e-3,))], (1e-3,), "by --set and by --p"),
        ([Varied("code.rounds", "code.size")], (), "code.size is neither set here nor a field"),
        ([Varied("code.distance", tuple(range(3, 1004)))], (), "at most 1,000 values"),
        ([Varied("code.rounds", tuple(range(1, 1000)))], tuple(1e-3 + k * 1e-6 for k in range(12)), "at most 10,000"),
        ([Varied("code.task", ("surface_code:rotated_memory_z", "colour"))], (), "task = colour: code.task"),
        ([Varied("code", ("x",))], (), "with code = x"),
        ([Varied("code.distance.x", (1,))], (), "has no field"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_the_values(surface, kinds, varied, rates, said):
    with pytest.raises((UsageError, NotFoundError)) as error:
        members_of(surface, varied, rates, kinds)
    assert said in error.value.problem
    assert "line" not in error.value.problem  # of a file that nobody wrote
    assert error.value.hint


def test_files_of_members_are_read_beside_the_environment(tmp_path, kinds):
    for name, p in (("a", 0.1), ("b", 0.2)):
        (tmp_path / f"{name}.dem").write_text(f"error({p}) D0 L0\nerror(0.1) D0\n")
    (tmp_path / "own.yaml").write_text("name: own\ncode: {kind: dem, path: a.dem}\ndecoder: mwpm\n")
    own = load_environment(tmp_path / "own.yaml")
    found = members_of(own, [read_varied("code.path=a.dem,b.dem")], (), kinds)
    assert [each.loaded.files.keys() - {"environment.yaml"} for each in found] == [{"a.dem"}, {"b.dem"}]
    assert found[0].rate is None
    with pytest.raises(UsageError, match="brings its noise along"):
        members_of(own, (), (0.1,), kinds)
    with pytest.raises(AutoQECError, match="there is no such file"):
        members_of(own, [read_varied("code.path=c.dem")], (), kinds)
    with pytest.raises((UsageError, NotFoundError), match="beside the environment"):
        members_of(own, [read_varied("code.path=../c.dem")], (), kinds)
