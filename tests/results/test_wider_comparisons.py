"""An audit recomputes the figures beside the test: references, the share of a gap, and whether parents' gains add up."""

from copy import deepcopy

import pytest

from autoqec.results.audit import audit
from autoqec.results.counts import PairedCounts
from autoqec.results.interval_ends import EVALUATED, SEARCHED
from autoqec.results.note_form import write_record
from autoqec.results.verdict import Verdict
from autoqec.results.wider_comparisons import added_up, gap_closed
from autoqec.testing.whole_notes import whole_verdict

SHARE = gap_closed("tesseract", 8192, {"baseline": 115, "candidate": 80, "strong": 60})
PARENTS = added_up({"r/1": 0.004, "r/2": 0.003}, 0.0055, lambda best: PairedCounts(16_384, 130, 50, 26))


def note(**changes):
    whole = whole_verdict()
    shots = whole["shots"]
    beside = {
        "references": {"mwpm_correlated": 2_100 / shots},
        "share_of_gap": write_record(SHARE),
        "compose": write_record(PARENTS),
    }
    return deepcopy({**whole, **beside, **changes})


def with_field(path, value):
    found = note()
    *folders, name = path.split(".")
    inner = found
    for folder in folders:
        inner = inner[folder]
    assert name in inner
    inner[name] = value
    return found


@pytest.mark.parametrize("ends", [SEARCHED, EVALUATED])
def test_true_figures_agree(ends):
    assert audit(Verdict.from_dict(note()), ends) == []


@pytest.mark.parametrize("ends", [SEARCHED, EVALUATED])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("references.mwpm_correlated", 0.001),
        ("references.mwpm_correlated", 1.5),
        ("share_of_gap.share", 0.99),
        ("share_of_gap.strong", {"ler": 0.001, "ler_ci": [0.0, 0.002]}),
        ("share_of_gap.failures", {"baseline": 115, "candidate": 61, "strong": 60}),
        ("share_of_gap.failures", {"baseline": 115, "candidate": 80}),
        ("share_of_gap.failures", {"baseline": 10**30, "candidate": 80, "strong": 60}),
        ("share_of_gap.shots", 0),
        ("compose.composition", "adds_up"),
        ("compose.sum", 0.001),
        ("compose.best_parent", "r/2"),
        ("compose.over_best", 0.01),
        ("compose.over_best_ci", [0.0, 0.01]),
        ("compose.parents", {}),
    ],
)
def test_a_figure_beside_the_test_that_does_not_follow_is_found(path, value, ends):
    found = audit(Verdict.from_dict(with_field(path, value)), ends)
    assert any(path.split(".")[0] in sentence for sentence in found), found
