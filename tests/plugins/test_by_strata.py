"""A verdict on shots by strata: its words, its record, what audit and the one-file check say of it, and its text."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from autoqec_plugins.holdout import by_strata
from autoqec_plugins.holdout.holdout_verifier import HoldoutVerifier
from autoqec_plugins.holdout.sequential import Plan

from autoqec import autoqec_check
from autoqec.agents.diagnosis.rules_judged import shots_needed
from autoqec.errors import UsageError
from autoqec.loop.auditing import replay_differences
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.results.audit import audit
from autoqec.results.interval_ends import EVALUATED
from autoqec.results.verdict import Verdict
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.fault_strata import LISTED_IN_CHUNK
from autoqec.scoring.strata_tally import StrataTally
from autoqec.scoring.verifier_contract import VerificationRequest
from autoqec.testing import TINY_ENVIRONMENT
from autoqec.testing.whole_notes import whole_verdict
from autoqec.views.round_json import HoldoutRow
from autoqec.views.verdict_text import verdict_lines
from tests.plugins.test_holdout import COST, Rates

#: Probabilities of 0 to 5 faults, and how many sets of the listed ones there are.
CHANCES = (0.9, 0.09, 0.0099, 9e-5, 9e-6, 9e-7)
SETS = (1, 100, 4950)


class ByStrata(Rates):
    """As `Rates`, with shots by strata: a set of k faults fails on each side at 4 % times the side's factor for each fault."""

    def answer(self, function, task):
        if function == "strata":
            assert task.message.fields["most_listed"] == 100_000
            return {"listed": list(SETS), "probabilities": list(CHANCES), "beyond": 1 - math.fsum(CHANCES)}
        self.task = task.message.fields
        return super().answer(function, task)

    def chunk(self, seed, p, rounds, slugs):
        score = super().chunk(seed, p, rounds, slugs)
        if not self.task["shares"]:
            return score
        (first,) = self.task["first_listed"]
        end = min(first + LISTED_IN_CHUNK, sum(SETS))
        ranks = np.arange(first, end)
        faults = np.searchsorted(np.cumsum(SETS), ranks, side="right")
        listed, odds = [], []
        for weight in range(3):
            mine = ranks[faults == weight]
            fails = [mine % 100 < 2 * weight, mine % 100 < self.rate * 2 * weight]
            listed.append(self.paired(*fails))
            each = CHANCES[weight] / CHANCES[0] / SETS[weight]
            odds.append(tuple(math.fsum([each] * int(side.sum())) for side in fails))
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(CHUNK_SHOTS - len(ranks), self.task["shares"])
        sides = [
            (rng.random(count) < 0.04 * weight, rng.random(count) < 0.04 * weight * self.rate)
            for weight, count in enumerate(drawn, start=3)
        ]
        found = StrataTally(tuple(listed), tuple(odds), tuple(self.paired(*each) for each in sides))
        names = ["", *(["neutral", "reference mwpm_correlated"] if self.task["references"] else [])]
        return replace(
            score,
            counts=sum([*found.listed, *found.drawn][1:], found.listed[0]),
            strata=dict.fromkeys(names, found),
            references={"mwpm_correlated": 3} if self.task["references"] else {},
        )

    @staticmethod
    def paired(base, mine):
        from autoqec.results.counts import PairedCounts

        return PairedCounts(len(base), int((base & mine).sum()), int((base & ~mine).sum()), int((~base & mine).sum()))


def judged(rate, constraints="{}", files=(), **more):
    protocol = "protocol: {sampling: stratified, max_shots: 400000, min_shots: 16384, headline_shots: 32768"
    text = TINY_ENVIRONMENT.replace("protocol: {min_shots: 16384, headline_shots: 32768", protocol)
    loaded = environment_from_files({ENVIRONMENT_FILE: f"{text}constraints: {constraints}\n".encode()}, origin="e.yaml")
    request = VerificationRequest(loaded, SealedCandidate(dict.fromkeys(files, b""), b""), "0" * 40, seed_key=bytes(32))
    sent = {"sent": 40, "passes": None} if "gate.yaml" in files else {}
    found = HoldoutVerifier().verify(replace(request, **more), ByStrata(rate, **sent), lambda event: None)
    return Verdict.from_dict(json.loads(json.dumps(found.to_note())))


BETTER = judged(0.5)


def truth(rate):
    """The rates of the model by hand."""
    factor = 1 if rate is None else rate
    ranks = np.arange(sum(SETS)) % 100
    ends = np.cumsum(SETS)
    listed = [
        (ranks[end - count : end] < factor * 2 * k).mean()
        for k, (end, count) in enumerate(zip(ends, SETS, strict=True))
    ]
    return sum(p * (listed[k] if k < 3 else 0.04 * k * factor) for k, p in enumerate(CHANCES))


def test_a_better_candidate_is_verified_with_the_weighted_rates():
    figures = BETTER.figures
    assert (BETTER.verdict, BETTER.reason) == ("VERIFIED", "better")
    assert figures.ler_baseline == pytest.approx(truth(None), rel=0.02)
    assert figures.ler_candidate == pytest.approx(truth(0.5), rel=0.02)
    low, high = figures.gain_interval
    assert low < truth(None) - truth(0.5) < high
    assert high - low < 1e-4, "the exact strata have no part in the width"
    target = BETTER.evidence.target
    assert target.references["mwpm_correlated"] == pytest.approx(figures.ler_baseline)
    assert target.strata.effective_shots > figures.shots
    assert target.mcnemar_p_fixed_n is None
    assert BETTER.extension is None, "counts without weights are no figures"
    assert BETTER.evidence.ablation is None


def test_no_gain_is_not_better_and_a_hopeless_one_is_undecided_at_the_limit():
    assert judged(1.0).reason in ("not_better", "undecided")
    assert judged(1.3).reason == "not_better"


def test_the_sets_are_listed_in_the_test_and_again_for_the_figures():
    strata = BETTER.evidence.target.strata
    for sample in (strata.test, strata.extension, strata.neutral):
        assert [each.counts.shots for each in sample.listed] == list(SETS)
    assert strata.test.listed[2].failing == pytest.approx((0.0099 * 0.04, 0.0099 * 0.02), rel=0.1)


def test_the_record_follows_from_itself_and_a_changed_one_does_not():
    assert not BETTER.malformed
    assert audit(BETTER) == []
    assert audit(BETTER, EVALUATED) == []

    def changed(change):
        note = json.loads(json.dumps(BETTER.to_note()))
        change(note)
        return audit(Verdict.from_dict(note))

    def at(*path, to):
        def change(note):
            *way, last = path
            for step in way:
                note = note[step]
            note[last] = to

        return change

    first = BETTER.to_note()["strata"]["test"]["phases"][0]["shares"]
    for change in (
        at("ler_candidate", to=0.0001),
        at("log_e_better", to=99.0),
        at("strata", "test", "phases", 0, "counts", 0, "candidate_only", to=0),
        at("strata", "test", "phases", 0, "shares", to=[first[1], first[0], *first[2:]]),
        at("strata", "extension", "phases", 0, "shares", to=first),
        at("strata", "test", "listed", 2, "failing", to=[0.005, 0.0]),
        at("strata", "test", "listed", 2, "counts", "shots", to=4949),
        at("strata", "probabilities", 0, to=1.0),
        at("strata", "beyond", to=0.5),
        at("strata", "effective_shots", to=1e9),
        at("strata", "cost_shots", to=-1),
        at("references", "mwpm_correlated", to=0.5),
        at("mcnemar_p_fixed_n", to=0.5),
        at("test", "both", to=0),
    ):
        assert changed(change), change


def test_the_one_file_check_says_that_it_does_not_check_strata():
    rows = dict(autoqec_check.follows(BETTER.to_note()))
    assert rows.pop("test ") is None
    assert not any(rows.values())
    assert "by strata" in autoqec_check.NOT_CHECKED
    plain = whole_verdict(strata=None)
    assert dict(autoqec_check.follows(plain))["test "] == [], "a field without strata hides no test"
    assert dict(autoqec_check.follows({**plain, "ler_candidate": 0.0}))["test "]


def test_a_target_rate_is_held_against_the_bound_of_the_bets():
    met, missed = judged(0.5, "{target_ler: 0.002}"), judged(0.5, "{target_ler: 0.0001}")
    assert (met.verdict, missed.reason) == ("VERIFIED", "target_missed")
    assert truth(0.5) < met.evidence.ler_candidate_bound < truth(0.5) * 1.1
    assert audit(met) == audit(missed) == []
    assert dict(autoqec_check.follows(missed.to_note()))["bound of the rate"] is None


def test_costs_are_means_over_plain_shots():
    gated = judged(0.5, files=["gate.yaml"])
    shots = gated.evidence.target.strata.cost_shots
    assert shots == min(by_strata.COST_SHOTS, 8192)
    assert gated.evidence.target.sent == 40 * shots // CHUNK_SHOTS
    assert gated.evidence.flops_per_shot == math.ceil((40 * COST["flops_per_shot"] + 9) / CHUNK_SHOTS)
    assert gated.sent_on == gated.evidence.sent_on == 40 / CHUNK_SHOTS
    assert audit(gated) == []


def test_the_text_says_by_strata_what_each_adds():
    text = verdict_lines(BETTER)
    assert "stratified sampling: shots are drawn by how many mechanisms fire; test: 5,051 sets listed and" in text
    assert "  2 faults, probability 0.0099, all sets: 4,950, both fail" in text
    assert "  3 faults, probability 9e-05, drawn: " in text
    assert "more faults than 5: probability at most" in text
    assert "ablation: not made on shots by strata" in text
    note = json.loads(json.dumps(BETTER.to_note()))
    note["strata"]["test"]["phases"][0]["shares"] = [0.0, 1.0]
    assert "strata: do not match the schema of a verdict" in verdict_lines(Verdict.from_dict(note))


def test_a_row_of_the_log_says_by_strata_and_what_the_shots_are_worth():
    strata = BETTER.evidence.target.strata
    assert (BETTER.sampling, BETTER.effective_shots) == ("stratified", strata.effective_shots)
    row = HoldoutRow(BETTER.figures, sampling=BETTER.sampling, effective_shots=BETTER.effective_shots)
    assert HoldoutRow.from_json(json.loads(json.dumps(row.to_json()))) == row
    assert HoldoutRow.from_json(BETTER.figures.to_note()).sampling == "plain"


def test_a_replay_gives_the_same_strata():
    again = judged(0.5)
    assert replay_differences(BETTER, again) == []
    note = again.to_note()
    note["strata"]["beyond"] = 0.0
    assert replay_differences(BETTER, Verdict.from_dict(note)) == ["strata"]


def test_more_shots_are_asked_for_in_proportion_to_the_evidence():
    class Case:
        evidence = judged(1.0).evidence

    target = replace(Case.evidence.target, log_e_better=2.0, log_e_needed=8.0)
    Case.evidence = replace(Case.evidence, target=target)
    assert shots_needed(Case) >= 4 * target.test.shots
    Case.evidence = replace(Case.evidence, target=replace(target, log_e_better=-1.0))
    assert shots_needed(Case) is None


def test_only_a_gated_candidate_has_more_shots_where_failures_are_rare():
    gated, other = SealedCandidate({"gate.yaml": b""}, b""), SealedCandidate({}, b"")
    plan = Plan(0.05, 1, 10**7, 10**7, factor=10)
    assert (plan.rare(32_768, gated), plan.rare(32_768, other)) == (327_680, 32_768)
    assert replace(plan, factor=100).rare(32_768, gated) == 524_288
    assert replace(plan, headline_shots=65_536).rare(32_768, gated) == 16_384


def test_a_strong_reference_is_refused_by_the_verifier():
    with pytest.raises(UsageError, match="compared on plain shots alone"):
        judged(0.5, strong_reference="tesseract")
