"""Orbits: what is alike by translation has one name, whichever the size, the order and the noise."""

from functools import lru_cache

import numpy as np
import pytest
import stim

from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import environment_from_files
from autoqec.problem.orbits import NOT_PERIODIC, UNIT, _Graph, find_orbits, find_periods
from autoqec.problem.problem import problem_from_circuit, problem_from_dem
from autoqec.testing import surface_problem

#: The polynomials of bb72 and bb144, on a smaller torus of each kind.
GROSS = ("x^3 + y + y^2", "y^3 + x + x^2")


@lru_cache
def bicycle(l, m, rounds=2, a=GROSS[0], b=GROSS[1]):  # noqa: E741 - the paper's letter
    text = (
        f'name: bb\ncode: {{kind: bivariate_bicycle, l: {l}, m: {m}, a: "{a}", b: "{b}", rounds: {rounds}}}\n'
        "noise: {kind: depolarizing, p: [0.003]}\ndecoder: osd\n"
    )
    loaded = environment_from_files({"environment.yaml": text.encode()}, origin="test")
    return build_problem(loaded, load_plugins().maker("code"))


@lru_cache
def colour(distance, rounds):
    noise = dict.fromkeys(("after_clifford_depolarization", "before_measure_flip_probability"), 0.002)
    circuit = stim.Circuit.generated("color_code:memory_xyz", distance=distance, rounds=rounds, **noise)
    return problem_from_circuit(circuit, name=f"colour{distance}")


def names(problem, **options):
    found = find_orbits(problem, **options)
    return [set(level.tolist()) for level in found.messages]


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        (lambda: surface_problem(5, 0.005), lambda: surface_problem(7, 0.001)),
        (
            lambda: surface_problem(5, 0.005, task="rotated_memory_x"),
            lambda: surface_problem(7, 0.005, task="rotated_memory_x"),
        ),
        (lambda: colour(5, 5), lambda: colour(7, 5)),
        (lambda: colour(5, 5), lambda: colour(5, 8)),
    ],
    ids=["surface z", "surface x", "colour", "colour, rounds"],
)
def test_orbits_do_not_grow_with_distance_rounds_or_p(smaller, larger):
    small, large = names(smaller()), names(larger())
    assert small == large
    assert 10 < len(small[1]) < len(small[0]) < 1000
    assert find_orbits(larger()).placed


def test_a_larger_radius_needs_a_larger_code_and_then_does_not_grow_either():
    by_distance = [names(surface_problem(distance, 0.005, rounds=4), radius=2)[0] for distance in (6, 10, 12)]
    assert len(by_distance[0]) < len(by_distance[1])
    assert by_distance[1] == by_distance[2]


def classes_of(labels):
    """A partition as a set of sets."""
    found = {}
    for thing, label in enumerate(np.asarray(labels).tolist()):
        found.setdefault(label, set()).add(thing)
    return {frozenset(members) for members in found.values()}


def translated(problem, l, m):  # noqa: E741 - the paper's letter
    """Orbits of the incidences under all translations of the torus, by applying each to detectors and mechanisms."""
    at = problem.dem.get_detector_coordinates()
    by_place = {tuple(place): detector for detector, place in at.items()}
    mechanisms = problem.mechanisms
    sets = [frozenset(ds.tolist()) for ds in np.split(mechanisms.detector, mechanisms.start[1:-1])]
    # Two mechanisms with the same detectors, but other observables, are alike.
    incidence = {(d, ds): (d, ds) for ds in sets for d in ds}
    leader = dict.fromkeys(incidence)
    for one in incidence:
        if leader[one] is None:
            for u in range(l):
                for v in range(m):
                    moved = {
                        d: by_place[(at[d][0] + 2 * u) % (2 * l), (at[d][1] + 2 * v) % (2 * m), at[d][2]]
                        for d in one[1]
                    }
                    leader[moved[one[0]], frozenset(moved.values())] = one
    return [leader[d, ds] for ds in sets for d in sorted(ds)]


@pytest.mark.parametrize("size", [(6, 6), (9, 6)])
def test_on_a_torus_they_are_the_orbits_of_its_translations(size):
    problem = bicycle(*size)
    assert find_periods(problem) == (2 * size[0] * UNIT, 2 * size[1] * UNIT, 0)
    expected = translated(problem, *size)
    for radius in (1, 3):
        found = find_orbits(problem, radius=radius)
        one_name = {tuple(pair) for pair in zip(map(str, expected), found.messages[0].tolist(), strict=True)}
        assert len(one_name) == len(set(map(str, expected))), "what translations map to each other has one name"
    assert classes_of(found.messages[0]) == classes_of(list(map(str, expected))), "and what they do not has another"


def test_all_checks_of_a_type_and_round_are_one_orbit():
    problem = bicycle(6, 6)
    rounds = [place[2] for _, place in sorted(problem.dem.get_detector_coordinates().items())]
    assert len(rounds) == 36 * 3  # Z checks alone are compared in two rounds and read out in a third
    assert classes_of(find_orbits(problem, radius=3).detectors[0]) == classes_of(rounds)


def test_a_torus_that_covers_another_has_its_names():
    small, large = bicycle(6, 6), bicycle(12, 6)
    assert names(small)[0] != names(large)[0]
    assert names(small) == names(large, periods=find_periods(small))


def test_a_plane_is_no_torus():
    for problem in (surface_problem(3, 0.005), surface_problem(5, 0.005, rounds=1), colour(5, 5)):
        assert find_periods(problem) == NOT_PERIODIC


def test_a_torus_with_one_check_less_is_none():
    problem = bicycle(6, 6)
    kept = [each for each in problem.dem if not (each.type == "error" and str(each.targets_copy()[0]) == "D7")]
    dem = stim.DetectorErrorModel()
    for each in kept:
        dem.append(each)
    assert find_periods(problem_from_dem(dem, name="torn")) == NOT_PERIODIC


def renumbered(problem, seed):
    """The same error model with detectors and errors in another order; the new number of each detector."""
    rng = np.random.default_rng(seed)
    new = rng.permutation(problem.num_detectors)
    lines, places = [], []
    for each in problem.dem:
        targets = [
            f"D{new[t.val]}" if t.is_relative_detector_id() else ("^" if t.is_separator() else str(t))
            for t in each.targets_copy()
        ]
        head = f"{each.type}({', '.join(map(repr, each.args_copy()))})" if each.args_copy() else each.type
        (lines if each.type == "error" else places).append(f"{head} {' '.join(targets)}")
    return problem_from_dem(stim.DetectorErrorModel("\n".join([*rng.permutation(lines), *places])), name="again"), new


def by_what(problem, new):
    """The names of a problem's incidences and mechanisms, by the numbers of their detectors, sorted."""
    found, mechanisms = find_orbits(problem), problem.mechanisms
    owner = np.repeat(np.arange(len(mechanisms)), np.diff(mechanisms.start))
    sets = [tuple(sorted(new[ds].tolist())) for ds in np.split(mechanisms.detector, mechanisms.start[1:-1])]
    messages = sorted(
        (int(new[d]), sets[m], tuple(found.messages[:, i].tolist()))
        for i, (d, m) in enumerate(zip(mechanisms.detector, owner, strict=True))
    )
    return messages, sorted((ds, tuple(found.mechanisms[:, m].tolist())) for m, ds in enumerate(sets))


@pytest.mark.parametrize("problem", [surface_problem(3, 0.01), bicycle(6, 6)], ids=["surface", "bicycle"])
def test_the_order_of_detectors_and_errors_changes_no_name(problem):
    again, new = renumbered(problem, 1)
    assert by_what(again, np.arange(problem.num_detectors)) == by_what(problem, new)


def test_without_coordinates_the_structure_alone_names():
    problem = surface_problem(5, 0.005)
    bare = stim.DetectorErrorModel("\n".join(str(each) for each in problem.dem if each.type == "error"))
    found = find_orbits(problem_from_dem(bare, name="bare"))
    assert not found.placed
    assert found.periods == NOT_PERIODIC
    weights = np.repeat(np.diff(problem.mechanisms.start), np.diff(problem.mechanisms.start))
    assert classes_of(found.messages[1]) == classes_of(weights), "one round tells how many detectors a mechanism flips"
    assert len(set(found.messages[0].tolist())) > len(set(weights.tolist()))


def test_coordinates_that_make_every_message_unique_are_not_used():
    dem = surface_problem(3, 0.005).dem
    places = [f"detector({7**d % 1009}, {11**d % 997}, 0) D{d}" for d in range(dem.num_detectors)]
    errors = [str(each) for each in dem if each.type == "error"]
    found = find_orbits(problem_from_dem(stim.DetectorErrorModel("\n".join(errors + places)), name="scattered"))
    assert not found.placed


def test_names_never_change():
    """Weights hold them: with other names, all would have to be trained again."""
    found = find_orbits(surface_problem(3, 0.005))
    assert int(np.bitwise_xor.reduce(found.messages[0])) == 7550783659638691956
    assert int(np.bitwise_xor.reduce(found.mechanisms[1])) == -3186921239146269404


def test_mechanisms_with_too_many_detectors_are_refused(monkeypatch):
    monkeypatch.setattr("autoqec.problem.orbits._MOST_PAIRS", 100)
    with pytest.raises(UsageError, match="too many detectors to find orbits: [0-9,]+ pairs"):
        _Graph(surface_problem(3, 0.005))
