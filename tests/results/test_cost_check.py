"""The check of a cost: what was counted must be what was scored."""

from dataclasses import replace

import pytest

from autoqec.results.verdict_checks import _cost
from autoqec.results.verdict_parts import Evidence, Recorded

ALIKE = Recorded((3, 5, 8, 9), (), 1000, 200, 2.5)
EVIDENCE = Evidence(flops_per_shot=1000, constants=200, cpu_us_per_shot=3.5, trusted_code=False, recorded=ALIKE)


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, "passed"),
        ({"differing": (5,)}, "failed"),
        ({"flops_per_shot": 1100}, "passed"),
        ({"flops_per_shot": 1101}, "failed"),
        ({"constants": 221}, "failed"),
        ({"cpu_us_per_shot": 1e9}, "passed"),  # a busy machine flags nobody
    ],
)
def test_answers_and_counts_decide(changes, result):
    found = _cost(replace(EVIDENCE, recorded=replace(ALIKE, **changes)))
    assert (found.result, found.reason) == (result, "cost_mismatch" if result == "failed" else None)


def test_a_processor_that_was_slow_flags_nobody():
    assert _cost(replace(EVIDENCE, cpu_us_per_shot=1e9)).result == "passed"


@pytest.mark.parametrize(("flops", "result"), [(34, "failed"), (35, "passed")])
def test_verdicts_without_a_record_keep_their_rule(flops, result):
    assert _cost(replace(EVIDENCE, recorded=None, flops_per_shot=flops)).result == result


def test_trusted_stages_are_believed():
    assert _cost(replace(EVIDENCE, trusted_code=True, recorded=None)).result == "passed"
