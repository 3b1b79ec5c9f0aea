"""The reasons of verdicts: one table, which the verifier's rules and the audit keep to."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

import autoqec
from autoqec.results.audit import audit
from autoqec.results.counts import PairedCounts
from autoqec.results.decision import cell_result, decide
from autoqec.results.reasons import REASONS, word_for
from autoqec.results.statistics import attempt_alpha
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_parts import Attempt, Check, Evidence, OtherCell

ALPHA = attempt_alpha(0.05, 1, 0)
ATTEMPT = Attempt(1, 0, 0.05, ALPHA, "00")


def of_test(both, plain, own, extension=True):
    counts = PairedCounts(4096, both, plain, own)
    digests = ("a", "b") if extension else ("a",)
    return cell_result(counts, ALPHA, digests, extension=counts if extension else None)


BETTER, WORSE, EVEN = of_test(100, 200, 20), of_test(100, 20, 200, False), of_test(10, 5, 5, False)
EVIDENCE = Evidence(attempt=ATTEMPT, chunk_shots=4096, target=BETTER)

#: Evidence for each reason that the rules give; a candidate's fault gives its own.
SHOWN = {
    "better": EVIDENCE,
    "not_better": replace(EVIDENCE, target=WORSE),
    "undecided": replace(EVIDENCE, target=EVEN),
    "over_budget": Evidence(attempt=ATTEMPT, over=("params 9 is above max_params 8",)),
    "target_missed": replace(EVIDENCE, target_ler=1e-6, ler_candidate_bound=0.1),
    "weights_do_not_fit": replace(EVIDENCE, cells=(OtherCell({}, "p = 1", "weights_do_not_fit"),)),
} | {
    reason: replace(EVIDENCE, checks=(Check("x", "failed", "as counted", reason),))
    for reason, known in REASONS.items()
    if known.word == "SUSPICIOUS" and not known.fault
}
FAULTS = [reason for reason, known in REASONS.items() if known.fault]


@pytest.mark.parametrize("reason", SHOWN)
def test_the_rules_give_the_word_of_the_table(reason):
    assert decide(SHOWN[reason]) == (REASONS[reason].word, reason)


def test_every_reason_is_shown():
    assert set(SHOWN) | set(FAULTS) == set(REASONS) - {"constraint"}, "version 0.1 alone gave `constraint`"


@pytest.mark.parametrize("reason", FAULTS)
def test_a_true_verdict_on_a_fault_passes_its_audit_and_no_other_word_does(reason):
    evidence = Evidence(attempt=ATTEMPT, fault="it broke its contract")
    for word in ("VERIFIED", "SUSPICIOUS", "FAILED"):
        said = audit(Verdict.on(word, reason, evidence))
        assert (said == []) == (word == word_for(reason)), said


def test_a_fault_is_no_reason_to_be_believed():
    evidence = Evidence(attempt=ATTEMPT, fault="it broke its contract")
    assert audit(Verdict.on("VERIFIED", "better", evidence))
    assert audit(Verdict.on("VERIFIED", "of_a_plugin", evidence))
    assert audit(Verdict.on("FAILED", "of_a_plugin", evidence)) == []
    assert audit(Verdict.on("VERIFIED", "better", SHOWN["over_budget"]))
    assert audit(Verdict.on("FAILED", "over_budget", SHOWN["over_budget"])) == []


@pytest.mark.parametrize("reason", ["better", "not_better", "undecided"])
def test_a_word_that_follows_from_its_counts_passes_its_audit(reason):
    assert audit(Verdict.on(REASONS[reason].word, reason, SHOWN[reason])) == []


def test_the_reasons_of_faults_and_checks_in_the_code_are_in_the_table():
    top = Path(autoqec.__file__).parent
    tree = ast.parse((top / "results/verdict_checks.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check"]
    given = {each.args[3].value for each in calls if len(each.args) > 3}
    assert len(given) >= 6
    assert given <= set(REASONS)
