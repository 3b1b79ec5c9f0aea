"""Where stim splits errors that are edges, `env check` says what the baseline loses by it."""

import re

import pytest
import stim

from autoqec.plugins import load_plugins
from autoqec.problem.environment import Choice
from autoqec.problem.problem import problem_from_dem
from autoqec.scoring import split_pairs

#: Two of three errors on D0 and D1 are one error on both, which stim may split, because there is a hyperedge too. Split, its
#: edges weigh more than the rarer error with the same syndrome.
SPLIT = """
error(0.01) D0 L0
error(0.01) D1
error(0.2) D0 L0 ^ D1
error(0.1) D0 D1
error(0.01) D2 D3 ^ D4
error(0.01) D2 D3
error(0.01) D4
"""


def finding(text, kind="mwpm"):
    problem, registry, choice = (
        problem_from_dem(stim.DetectorErrorModel(text), name="it"),
        load_plugins(),
        Choice(kind=kind),
    )
    compiled = registry.get("decoder", kind).create().compile(problem)
    return split_pairs.split_pairs_finding(problem, choice, compiled, registry)


def test_both_figures_are_told_where_a_split_weakens_the_baseline():
    (found,) = finding(SPLIT)
    assert found["field"] == "decoder"
    told = "errors on two detectors that stim splits into several edges: 1; mwpm fails in ([0-9,]+) of 262,144 shots, "
    split, whole = re.fullmatch(f"{told}and with these errors whole in ([0-9,]+)", found["finding"]).groups()
    assert int(split.replace(",", "")) > 1.5 * int(whole.replace(",", ""))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (SPLIT.replace("D0 L0 ^ D1", "D0 L0 D1"), "mwpm"),
        (SPLIT.replace("error(0.01) D2 D3 ^ D4", "error(0.01) D2"), "mwpm"),
        (SPLIT.replace("D2 D3 ^ D4", "D2 D3 D4"), "osd"),
    ],
    ids=["nothing split", "no hyperedge", "no matching"],
)
def test_no_shot_is_drawn_where_nothing_is_split(text, kind, monkeypatch):
    monkeypatch.delattr(split_pairs, "sample_chunk")
    assert finding(text, kind) == []


def test_a_decoder_that_no_split_weakens_has_no_finding():
    assert finding(SPLIT, "osd") == []
