"""Factors that messages share where they are alike under translation (`sharing: orbit`), and other codes of the family.

Neural belief-matching (arXiv:2603.21730) and Cascade (arXiv:2604.08358) share weights by translation; here orbits are found from
the Tanner graph (`autoqec.problem.orbits`). Their names are kept beside the factors, so that a factor that was learned at one
distance, number of rounds or physical error rate is found again at another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autoqec.candidate.stage_contract import Carried
from autoqec.errors import AutoQECError
from autoqec.problem.orbits import Periods, find_orbits
from autoqec.problem.problem import Problem

#: Labels of factors: int64 `[3, orbits]`, a name, a coarser name and how many there are of it.
CHECK_ORBITS, MESSAGE_ORBITS, MECHANISM_ORBITS = "check_orbits", "message_orbits", "mechanism_orbits"

#: The size of the torus that places are relative to, int64 `[3]`.
PERIODS = "periods"

#: What each parameter has one factor for.
_OWNERS = {"scale": CHECK_ORBITS, "correction": MESSAGE_ORBITS, "memory": MECHANISM_ORBITS}

LABELS = frozenset({*_OWNERS.values(), PERIODS})

_NO_FACTORS = np.empty(0, dtype=np.float32)

#: Weights are of a problem's family if so large a share of its messages occurred in training, and so large a share of the
#: messages of training occurs in it. Between members of a family it is 0.51 or more, of surface, colour and bivariate bicycle
#: codes at distances from 3 and with two rounds or more; between families 0.21 or less (`tests/plugins/test_orbit_factors.py`).
_FAMILY_SHARE = 1 / 3


@dataclass(frozen=True)
class OrbitTable:
    """The orbits of a problem.

    Attributes:
        check, message: Orbits of the detector and of the message of each incidence in the order of the kernels, int64
            `[incidences]`.
        mechanism: Orbit of each mechanism, int64 `[mechanisms]`.
        labels: `LABELS` as arrays.
    """

    check: np.ndarray
    message: np.ndarray
    mechanism: np.ndarray
    labels: Mapping[str, np.ndarray]

    def count(self, parameter: str) -> int:
        """How many factors a parameter has: `scale`, `correction` or `memory`."""
        return int(self.labels[_OWNERS[parameter]].shape[1])


def by_detector(problem: Problem) -> np.ndarray:
    """The order of the kernels: incidences by detector, then mechanism."""
    mechanisms = problem.mechanisms
    owner = np.repeat(np.arange(len(mechanisms)), np.diff(mechanisms.start))
    return np.lexsort((owner, mechanisms.detector))


def orbit_table(problem: Problem) -> OrbitTable:
    """The orbits of a problem, each kind in increasing order of the names."""
    found = find_orbits(problem)
    checks, check = _labelled(found.detectors)
    messages, message = _labelled(found.messages)
    mechanisms, mechanism = _labelled(found.mechanisms)
    labels = {CHECK_ORBITS: checks, MESSAGE_ORBITS: messages, MECHANISM_ORBITS: mechanisms}
    labels[PERIODS] = np.array(found.periods, dtype=np.int64)
    order = by_detector(problem)
    return OrbitTable(check[problem.mechanisms.detector[order]], message[order], mechanism, labels)


def _labelled(names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels int64 `[3, orbits]` of what has these names, `[2, things]`, and the orbit of each thing."""
    fine, first, orbit, count = np.unique(names[0], return_index=True, return_inverse=True, return_counts=True)
    return np.stack([fine, names[1][first], count]).astype(np.int64), orbit


def carried_factors(tensors: Mapping[str, np.ndarray], problem: Problem) -> Carried:
    """Return factors as a problem needs them, whichever problem of its family they were learned on.

    What belongs to an orbit that did not occur in training is the mean of that of its coarser orbit, and where that did not occur
    either, the mean of its layer. A mean counts each check, message or mechanism of training once.

    Args:
        tensors: The stage's tensors. Factors of whole layers start those of all orbits.
        problem: The problem.

    Raises:
        AutoQECError: The factors are those of another family, or have no labels that fit them.
    """
    own = orbit_table(problem)
    if not tensors.keys() & LABELS:
        return _from_layers(tensors, own)
    learned = _checked(tensors)
    if all(np.array_equal(learned[name], own.labels[name]) for name in LABELS):
        return Carried(tensors)
    seen = _names_as_learned(problem, own, learned[PERIODS])
    lookups = {name: _Lookup(learned[name], *seen[name]) for name in _OWNERS.values()}
    lookups[MESSAGE_ORBITS].require_family(problem.name)
    found = {**tensors, **own.labels}
    for parameter, owner in _OWNERS.items():
        factors = tensors.get(parameter)
        if factors is not None and factors.shape[-1:] == learned[owner].shape[1:]:
            found[parameter] = lookups[owner].factors(factors)
    level = np.maximum(lookups[CHECK_ORBITS].level[own.check], lookups[MESSAGE_ORBITS].level[own.message])
    return Carried(found, len(level), int((level == 1).sum()), int((level == 2).sum()))


def _from_layers(tensors: Mapping[str, np.ndarray], own: OrbitTable) -> Carried:
    scale = tensors.get("scale")
    if scale is None or scale.ndim != 2 or scale.shape[1] != 1:
        return Carried(tensors)
    found = {
        "scale": np.repeat(scale, own.count("scale"), axis=1),
        "correction": np.zeros((len(scale), own.count("correction")), dtype=np.float32),
    }
    return Carried({**tensors, **own.labels, **found})


def _checked(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The labels of weights.

    Raises:
        AutoQECError: They are malformed.
    """
    labels = {name: np.asarray(tensors.get(name)) for name in LABELS}
    shapes: dict[str, tuple[int, ...]] = {name: (3, *labels[name].shape[1:2]) for name in _OWNERS.values()}
    shapes |= {
        owner: (3, (tensors.get(name, _NO_FACTORS).shape or (0,))[-1])
        for name, owner in _OWNERS.items()
        if name != "memory"
    }
    for name, shape in {**shapes, PERIODS: (3,)}.items():
        if labels[name].dtype != np.int64 or labels[name].shape != shape or 0 in shape:
            problem = f"neural_bp: {name} must be whole numbers of shape {shape}, one column for each factor"
            raise AutoQECError(problem, code="weights_do_not_fit")
    for name in _OWNERS.values():
        names, _, counts = labels[name]
        if (counts < 1).any() or (names[1:] <= names[:-1]).any():  # a difference of two names may overflow
            problem = f"neural_bp: {name} must have increasing names, each of one thing or more"
            raise AutoQECError(problem, code="weights_do_not_fit")
    return labels


#: Names and coarser names of orbits, and how many things each has.
_Seen = tuple[np.ndarray, np.ndarray, np.ndarray]


def _names_as_learned(problem: Problem, own: OrbitTable, learned: np.ndarray) -> dict[str, _Seen]:
    """The names of a problem's orbits on the torus of training, where its own covers that; its own names elsewhere."""
    covered: Periods = (int(learned[0]), int(learned[1]), int(learned[2]))
    mine = own.labels[PERIODS].tolist()
    if mine == list(covered) or not all(a == b or (a and b and a % b == 0) for a, b in zip(mine, covered, strict=True)):
        return {name: (label[0], label[1], label[2]) for name, label in own.labels.items() if name != PERIODS}
    found, order = find_orbits(problem, covered), by_detector(problem)
    detector = problem.mechanisms.detector[order]
    names = {
        CHECK_ORBITS: (found.detectors[:, detector], own.check),
        MESSAGE_ORBITS: (found.messages[:, order], own.message),
        MECHANISM_ORBITS: (found.mechanisms, own.mechanism),
    }
    seen = {}
    for name, (of_things, orbit) in names.items():
        first = np.unique(orbit, return_index=True)[1]
        seen[name] = (of_things[0][first], of_things[1][first], own.labels[name][2])
    return seen


class _Lookup:
    """Finds the factors of a problem's orbits among learned ones.

    Args:
        learned: Labels of the learned factors, int64 `[3, orbits]`.
        fine, coarse: Names of the problem's orbits.
        count: How many things each has.

    Attributes:
        level: Where each orbit finds its factor: 0 its own, 1 that of the coarser orbit, 2 that of the layer.
    """

    def __init__(self, learned: np.ndarray, fine: np.ndarray, coarse: np.ndarray, count: np.ndarray) -> None:
        self._learned, self._fine, self._coarse, self._count = learned, fine, coarse, count
        self.level = np.where(np.isin(fine, learned[0]), 0, np.where(np.isin(coarse, learned[1]), 1, 2))

    def require_family(self, name: str) -> None:
        """Refuse the weights of another family.

        Raises:
            AutoQECError: Too few messages have an orbit of training, or too few of training occur.
        """
        weights = self._learned[2].astype(np.float64)  # whoever writes weights writes counts, whose sum may overflow
        here = float(self._count[self.level == 0].sum() / self._count.sum())
        back = np.isin(self._learned[0], self._fine)
        there = float(weights[back].sum() / weights.sum())
        if min(here, there) < _FAMILY_SHARE:
            raise AutoQECError(
                f"the weights belong to another family than {name}: {here:.0%} of its messages occurred in training, and"
                f" {there:.0%} of those of training occur in it; a family shares {_FAMILY_SHARE:.0%} or more both ways",
                hint="train on this environment: set init: fresh in training.yaml",
                code="weights_of_another_family",
            )

    def factors(self, learned: np.ndarray) -> np.ndarray:
        """Factors of the problem's orbits, float32 `[..., orbits]`, from learned ones of the same form."""
        weights = self._learned[2].astype(np.float64)
        found = np.repeat((learned * weights).sum(axis=-1, keepdims=True) / weights.sum(), len(self._fine), axis=-1)
        for level, (names, wanted) in enumerate(((self._learned[0], self._fine), (self._learned[1], self._coarse))):
            groups, group = np.unique(names, return_inverse=True)
            mean = np.zeros((*learned.shape[:-1], len(groups)))
            np.add.at(mean.T, group, (learned * weights).T)
            mean /= np.bincount(group, weights=weights)
            which = self.level == level
            found[..., which] = mean[..., np.searchsorted(groups, wanted[which])]
        return found.astype(np.float32)
