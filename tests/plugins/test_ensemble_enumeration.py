"""Weights and choices of an ensemble against all sets of mechanisms of small models, with one observable and with two."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
import stim

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.ensemble import open_ensemble
from autoqec.decoding.ensemble_file import Ensemble
from autoqec.plugins import load_plugins
from autoqec.problem.environment import Choice
from autoqec.problem.problem import problem_from_dem

REGISTRY = load_plugins()

#: Two rounds of a three-bit line between two boundaries, with two errors of two edges each.
LADDER = """
error(0.1) D0
error(0.08) D0 D1
error(0.12) D1 L0
error(0.1) D2
error(0.07) D2 D3
error(0.09) D3 L0
error(0.05) D0 D2
error(0.06) D1 D3
error(0.04) D0 D3
error(0.03) D0 ^ D1 D3
error(0.02) D2 D3 ^ D1 L0
"""

#: A line with an observable at each end, and a branch.
FORK = """
error(0.1) D0 L0
error(0.05) D0 D1
error(0.12) D1 L1
error(0.04) D1
error(0.07) D2
error(0.03) D1 D2
error(0.06) D2 L0
error(0.05) D0 D2
"""


def names_of(problem):
    """Each set of edges that mechanisms make: by its name, what it flips, its syndrome and its least weight."""
    edges, found = problem.edges, {}
    made = [edges.of_mechanism[a:b].tolist() for a, b in itertools.pairwise(edges.start)]
    for fires in itertools.product((0, 1), repeat=len(made)):
        chosen, weight, flips = set(), 0.0, 0
        for mechanism in np.flatnonzero(fires):
            weight += float(problem.priors_llr[mechanism])
            flips ^= int(problem.mechanisms.observables[mechanism, 0])
            chosen ^= set(made[mechanism])
        name = 0xCBF29CE484222325
        for edge in sorted(chosen):
            name = ((name ^ edge) * 0x100000001B3) % 2**64
        if name not in found or weight < found[name][1]:
            found[name] = (flips, weight)
    return found


@dataclass
class Spy:
    """A decoder that remembers its solutions."""

    inner: object
    told: list = field(default_factory=list)

    def decode(self, syndromes, beliefs=None):
        return self.inner.decode(syndromes, beliefs)

    def solutions(self, syndromes, beliefs):
        self.told.append(self.inner.solutions(syndromes, beliefs))
        return self.told[-1]


@pytest.mark.parametrize("model", [LADDER, FORK], ids=["one observable", "two observables"])
@pytest.mark.parametrize("select", ["class_sum", "least_weight"])
def test_weights_and_the_choice_are_those_of_an_enumeration(model, select):
    problem = problem_from_dem(stim.DetectorErrorModel(model), name="small")
    known = names_of(problem)
    spy = Spy(compile_decoder(Choice(kind="mwpm"), problem, REGISTRY))
    syndromes = np.arange(1 << problem.num_detectors, dtype=np.uint8)[:, None]

    def pipeline(asked, priors):
        start = problem.priors_llr if priors is None else priors
        return np.repeat(start[None], len(asked), axis=0), np.zeros(len(asked), dtype=bool)

    fields = {"members": 12, "passes": 6, "prior_spread": 2.0, "belief_spread": 2.0, "gap_share": 0.0, "agree": 0}
    chosen = open_ensemble(Ensemble(**fields, select=select), spy, problem).decode(syndromes, pipeline)
    several = 0
    for shot in range(len(syndromes)):
        names = {}
        for found in spy.told:
            for name, flips, weight in zip(
                found.names[shot], found.observables[shot, :, 0], found.weights[shot], strict=True
            ):
                if np.isfinite(weight):
                    assert int(name) in known
                    assert known[int(name)][0] == flips
                    assert known[int(name)][1] == pytest.approx(float(weight), abs=1e-3)
                    names[int(name)] = known[int(name)]
        sums = {}
        for flips, weight in names.values():
            if select == "class_sum":
                sums[flips] = np.logaddexp(sums.get(flips, -np.inf), -weight)
            else:
                sums[flips] = max(sums.get(flips, -np.inf), -weight)
        several += len(names) > len(sums)
        if sums:
            best = max(sums.values())
            assert sums[int(chosen.answer.observables[shot, 0])] == pytest.approx(best, abs=1e-5)
    assert several > 3
