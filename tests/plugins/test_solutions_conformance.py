"""`check_decoder` on decoders that offer solutions: ours pass, and one that breaks a rule is told which."""

from dataclasses import replace

import numpy as np
import pytest

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.plugins import load_plugins
from autoqec.problem.environment import Choice
from autoqec.testing import surface_problem
from autoqec.testing.conformance_solutions import check_solutions

REGISTRY = load_plugins()
PROBLEM = surface_problem(3, p=0.02)


class Changed:
    """A decoder whose solutions are changed before anybody sees them."""

    takes_beliefs = True

    def __init__(self, change, kind="mwpm"):
        self._change, self._kind = change, kind

    def compile(self, problem):
        return ChangedCompiled(compile_decoder(Choice(kind=self._kind), problem, REGISTRY), self._change)


class ChangedCompiled:
    def __init__(self, inner, change):
        self._inner, self._change = inner, change

    def decode(self, syndromes, beliefs=None):
        return self._inner.decode(syndromes, beliefs)

    def solutions(self, syndromes, beliefs):
        return self._change(self._inner.solutions(syndromes, beliefs))


def check(change, kind="mwpm"):
    decoder = Changed(change, kind)
    check_solutions(decoder, decoder.compile(PROBLEM), PROBLEM, 5)


@pytest.mark.parametrize("kind", ["mwpm", "osd", "bp_lsd"])
def test_our_decoders_pass(kind):
    check(lambda found: found, kind)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda found: replace(found, weights=found.weights.astype(float)), "weights must be float32"),
        (lambda found: replace(found, names=found.names[:, :1]), "names must have shape"),
        (lambda found: replace(found, weights=found.weights * np.float32(np.nan)), "must not be NaN"),
        (lambda found: replace(found, weights=found.weights * np.float32(1.1)), "a weight is the sum"),
        (lambda found: replace(found, names=found.names * np.uint64(0)), "equal names"),
        (
            lambda found: replace(found, believed=found.believed + np.float32(len(found.names))),
            "other shots of a batch",
        ),
        (lambda found: replace(found, observables=np.full_like(found.observables, 2)), "must be among the solutions"),
    ],
    ids=["dtype", "shape", "NaN", "weights", "names", "batch", "answer"],
)
def test_a_decoder_that_breaks_a_rule_is_told_which(change, told):
    with pytest.raises(AssertionError, match=told):
        check(change)


def test_a_decoder_without_solutions_passes():
    decoder = compile_decoder(Choice(kind="mwpm_correlated"), PROBLEM, REGISTRY)
    check_solutions(None, decoder, PROBLEM, 5)
