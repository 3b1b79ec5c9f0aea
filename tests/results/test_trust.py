"""Which lines of a round's notes count, which verdict of the round does, and what junk cannot change."""

import hashlib
import json
import random
from dataclasses import replace

import pytest

from autoqec.results.audit import audit
from autoqec.results.interval_ends import EVALUATED
from autoqec.results.note_lines import Line
from autoqec.results.trust.line_trust import ANY, Policy, Signer, Subject, rule, standing_of
from autoqec.results.trust.metrics_trust import choose, metrics_problem
from autoqec.results.verdict import parse_verdict
from autoqec.testing.whole_notes import whole_metrics, whole_verdict

COMMIT, ENVIRONMENT, CANDIDATE, WEIGHTS = "c" * 40, "e" * 64, "a" * 64, "b" * 64
ABOUT = {
    "commit": COMMIT,
    "environment": ENVIRONMENT,
    "candidate": CANDIDATE,
    "weights_sha256": WEIGHTS,
    "metrics": "m",
}
SUBJECT = Subject("run-abcd", frozenset({3}), COMMIT, ENVIRONMENT, (("m", CANDIDATE, WEIGHTS),))


def line(**record):
    text = json.dumps(record, sort_keys=True)
    return Line(hashlib.sha256(text.encode()).hexdigest(), json.loads(text))


def verdict(word="VERIFIED", reason="better", ident="v", **more):
    return line(id=ident, **whole_verdict(word, reason, shots=65_536, about=ABOUT, **more))


def signer(found):
    return {"ada": Signer("good", "ada"), "eve": Signer("unknown", "SHA256:eve")}.get(
        found.record["signature"], Signer("altered")
    )


ASKED = Policy(signed_only=True, signer=signer)
NAMED = Policy(signer=signer)


def changed(noted, **changes):
    return line(**{**noted.record, **changes})


def without(noted, name):
    return line(**{key: value for key, value in noted.record.items() if key != name})


def test_a_whole_verdict_counts_unless_signatures_are_asked_for():
    whole = verdict()
    assert standing_of(whole, SUBJECT).state == "unsigned"
    assert standing_of(whole, SUBJECT).counts
    assert not standing_of(whole, SUBJECT, ASKED).counts
    signed = changed(whole, signature="ada")
    assert [(s.state, s.counts) for s in (standing_of(signed, SUBJECT, p) for p in (ASKED, NAMED))] == [
        ("signed", True)
    ] * 2
    assert standing_of(signed, SUBJECT, ANY).state == "unsigned", "nobody asked who signed it"
    other = standing_of(changed(whole, signature="eve"), SUBJECT, ASKED)
    assert (other.state, other.counts) == ("unsigned", False)
    assert "SHA256:eve" in other.why
    altered = standing_of(changed(whole, signature="x"), SUBJECT, NAMED)
    assert (altered.state, altered.counts) == ("invalid", False)


#: Changes that make a verdict one about something else.
ELSEWHERE = [
    {"commit": "d" * 40}, {"environment": "0" * 64}, {"candidate": "0" * 64}, {"weights_sha256": "0" * 64},
    {"run": "other-abcd"}, {"round": 4}, {"round": "3"}, {"round": True}, {"run": ["run-abcd"]},
]  # fmt: skip


@pytest.mark.parametrize("changes", ELSEWHERE, ids=str)
def test_a_verdict_about_something_else_is_foreign(changes):
    found = standing_of(changed(verdict(), signature="ada", **changes), SUBJECT, ASKED)
    assert (found.state, found.counts) == ("foreign", False), found.why


def test_what_a_verdict_is_about_may_be_said_twice():
    assert standing_of(changed(verdict(), run="run-abcd", round=3), SUBJECT).counts
    renumbered = replace(SUBJECT, rounds=frozenset({3, 7}))
    assert standing_of(changed(verdict(), round=7), renumbered).counts


def test_more_metrics_make_no_verdict_foreign():
    honest, swapped = verdict(), changed(verdict(), weights_sha256="0" * 64)
    for scored in (
        (),
        (("m", "", ""),),
        (("m", CANDIDATE, WEIGHTS), ("x", "0" * 64, "0" * 64)),
        (("x", CANDIDATE, WEIGHTS),),
    ):
        assert standing_of(honest, replace(SUBJECT, scored=scored)).counts, scored
    assert standing_of(swapped, SUBJECT).state == "foreign"
    assert standing_of(swapped, replace(SUBJECT, scored=(*SUBJECT.scored, ("x", "", "")))).state == "foreign"


#: Changes after which a verdict does not follow from its counts.
FORGED = [
    {"verdict": "FAILED"}, {"verdict": "VERY"}, {"reason": "not_better"}, {"alpha": 0.9}, {"alpha_attempt": 0.05},
    {"attempt": 0}, {"attempt": -1}, {"attempt": 10**15}, {"attempt": "1"}, {"verified_before": 6000, "alpha_attempt": 2.34},
    {"verified_before": 1, "alpha_attempt": 0.00078125}, {"verified_before": -1}, {"delta_ler": 0.5}, {"ler_candidate": 0.0},
    {"delta_ler_ci": [0.4, 0.6]}, {"delta_ler_ci": [-1.0, 1.0]}, {"delta_ler_ci": None}, {"ler_ratio": 0.1},
    {"ler_ratio_ci": [0.0, 0.1]}, {"ler_ratio_ci": [0.0, None]}, {"ler_ratio_ci_all_shots": [0.1, 0.2]},
    {"mcnemar_p_fixed_n": 1e-300}, {"log_e_better": 700.0}, {"log_e_needed": 0.0}, {"shots": 10**9}, {"shots_in_all": 1},
    {"digests": []}, {"test": {"shots": 1}},
    {"extension": {"shots": 65_536, "both": 0, "baseline_only": 900, "candidate_only": 0}},
    {"chunk_shots": 0}, {"word": "not_better"}, {"commit": None}, {"weights_sha256": ""}, {"id": 7}, {"id": ""},
]  # fmt: skip


@pytest.mark.parametrize("changes", FORGED, ids=lambda changes: str(changes)[:50])
def test_a_verdict_that_does_not_follow_from_its_counts_is_invalid(changes):
    forged = changed(verdict(), **changes)
    found = standing_of(forged, SUBJECT, NAMED)
    assert (found.state, found.counts) == ("invalid", False)
    assert found.why


@pytest.mark.parametrize("event", ["x", "begun", "head_to_head", "undecided", None, 7, {}])
def test_an_event_is_no_verdict(event):
    """A VERIFIED line with a made-up event counted as an earlier success."""
    noted = changed(verdict(), event=event)
    ruling = rule([noted], SUBJECT)
    assert ruling.verdict is None
    assert standing_of(noted, SUBJECT).counts == (event in ("begun", "undecided"))


def test_a_beginning_and_a_head_to_head_are_about_the_round_too():
    begun = line(id="b", event="begun", attempt=1)
    assert standing_of(begun, SUBJECT).counts
    assert standing_of(changed(begun, round=3, commit=COMMIT, environment=ENVIRONMENT), SUBJECT).counts
    assert standing_of(changed(begun, commit="d" * 40), SUBJECT).state == "foreign"
    assert standing_of(changed(begun, attempt=0), SUBJECT).state == "invalid"
    pair = line(
        id="h",
        event="head_to_head",
        rival="d" * 40,
        alpha=0.01,
        counts=whole_metrics()["counts"],
        environment=ENVIRONMENT,
    )
    assert standing_of(pair, SUBJECT).counts
    assert standing_of(changed(pair, environment="0" * 64), SUBJECT).state == "foreign"
    assert standing_of(changed(pair, counts=None), SUBJECT).state == "invalid"


def test_time_decides_nothing():
    first, second = (
        verdict(attempt=1, ident="a", ts="9999"),
        verdict("FAILED", "not_better", ident="b", attempt=2, ts="0"),
    )
    for lines in ([first, second], [second, first]):
        assert rule(lines, SUBJECT).verdict.line == second


def test_a_signed_verdict_goes_before_any_unsigned_one():
    signed = changed(verdict("SUSPICIOUS", "hostile_syscall", ident="a"), signature="ada")
    later = verdict(ident="z", attempt=9, supersedes="a", ts="9999", intent="far")
    for policy in (NAMED, ASKED):
        assert rule([signed, later], SUBJECT, policy, lambda: {"far": 99}).verdict.line == signed
    assert rule([signed, later], SUBJECT, ANY, lambda: {"far": 99}).verdict.line == later, "nobody asked who signed it"


def test_the_chain_goes_before_the_attempt():
    early, late = (
        verdict(ident="a", attempt=5, intent="i1"),
        verdict("FAILED", "not_better", ident="b", attempt=2, intent="i2"),
    )
    assert rule([early, late], SUBJECT, positions=lambda: {"i1": 1, "i2": 2}).verdict.line == late
    assert rule([early, late], SUBJECT, positions=lambda: {"i1": 2, "i2": 1}).verdict.line == early
    assert rule([early, late], SUBJECT).verdict.line == early


def test_of_two_verdicts_on_one_intent_the_worse_counts_and_it_is_a_conflict():
    good, bad = verdict(ident="z", intent="i"), verdict("FAILED", "not_better", ident="a", intent="i")
    ruling = rule([good, bad], SUBJECT, positions=lambda: {"i": 1})
    assert ruling.verdict.line == bad
    assert any("the intent i" in each for each in ruling.conflicts)


def test_a_line_with_the_id_of_another_is_a_conflict_and_hides_nothing():
    honest = changed(verdict(), signature="ada")
    forged = verdict("FAILED", "not_better")
    ruling = rule([forged, honest], SUBJECT, NAMED)
    assert ruling.verdict.line == honest
    assert any("the id v" in each for each in ruling.conflicts)


def test_only_a_verdict_that_counts_supersedes():
    old, new = verdict(ident="a", attempt=2), verdict("FAILED", "not_better", ident="b", attempt=1, supersedes="a")
    assert rule([old, new], SUBJECT).verdict.line == new
    assert rule([old, changed(new, delta_ler=0.9)], SUBJECT).verdict.line == old
    assert rule([old, changed(new, commit="d" * 40)], SUBJECT).verdict.line == old
    assert rule([old, line(id="q", supersedes="a")], SUBJECT).verdict.line == old
    both = rule([changed(old, supersedes="b"), new], SUBJECT)
    assert both.verdict is not None, "two that name each other do not both go"


class Counted(dict):
    """A record that counts how often somebody asks what it supersedes."""

    asked = 0

    def get(self, name, default=None):
        Counted.asked += name == "supersedes"
        return super().get(name, default)


@pytest.mark.parametrize("draw", [random.Random(seed) for seed in range(5)])
def test_no_verdict_is_compared_with_all_others(draw):
    """Anybody can add tens of thousands; each of them is cheap to examine, and all pairs of them are not."""
    first = verdict("FAILED", "crash").record
    names = [f"v{number}" for number in range(10)]
    lines = []
    for number in range(300):
        more = {"supersedes": draw.choice([*names, 7, ""])} if draw.random() < 0.8 else {}
        if draw.random() < 0.3:
            more["signature"] = "ada"
        record = Counted(first | {"id": draw.choice(names), "attempt": 1} | more)
        lines.append(Line(f"{number:064d}", record))
    Counted.asked = 0
    ruling = rule(lines, SUBJECT, Policy(signer=signer, audited=lambda line: ""))
    assert Counted.asked < 10 * len(lines)
    counting = [each for each in ruling.standings if each.counts]
    standing = [each for each in counting if not any(takes_place(other, each) for other in counting)] or counting
    assert ruling.verdict in standing


def takes_place(one, other):
    """Whether a verdict takes the place of another, by the rule as the documentation has it."""
    a, b = one.record, other.record
    named = a.get("supersedes") == b["id"] != a["id"] and b.get("supersedes") != a["id"]
    return named and one.authority >= other.authority


def test_what_does_not_count_is_shown_with_its_reason():
    forged = changed(verdict(), delta_ler=0.9)
    ruling = rule([line(id="q", ts="9"), forged], SUBJECT)
    assert ruling.verdict is None
    assert ruling.shown.state == "invalid"
    assert len(ruling.rejected) == 2
    assert rule([verdict()], SUBJECT, ASKED).shown.to_json() == {"state": "unsigned", "why": "it has no signature"}
    assert rule([], SUBJECT).shown is None


WORDS = [
    "VERIFIED",
    "FAILED",
    "SUSPICIOUS",
    "x",
    0,
    None,
    "9",
    "v",
    "begun",
    "undecided",
    "head_to_head",
    COMMIT,
    -1,
    10**15,
    [],
]


def junk(draw, honest):
    """A line that anybody may add: junk, or an honest line changed in some fields, unsigned or with a copied signature."""
    names = [*honest.record, "event", "supersedes", "intent", "signature", "run", "round"]
    base = dict(honest.record) if draw.random() < 0.7 else {}
    for name in draw.sample(names, draw.randrange(1, 6)):
        if draw.random() < 0.2:
            base.pop(name, None)
        else:
            base[name] = draw.choice(WORDS) if draw.random() < 0.7 else honest.record.get(draw.choice([*honest.record]))
    if draw.random() < 0.3:
        base = whole_verdict("FAILED", "not_better", shots=65_536, about=ABOUT, attempt=draw.randrange(1, 99)) | {
            "id": draw.choice(["v", "w"]), "supersedes": "v", "ts": "9999", "intent": draw.choice(["i", "j"]),
        }  # fmt: skip
    return line(**base)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_added_the_honest_signed_verdict_counts(seed):
    """DESIGN, promise 8. A signature is good only on the very line that was signed."""
    draw = random.Random(seed)
    word, reason = draw.choice([("VERIFIED", "better"), ("SUSPICIOUS", "hostile_syscall"), ("FAILED", "not_better")])
    honest = changed(verdict(word, reason, intent="i"), signature="ada")
    good = Policy(True, lambda found: Signer("good", "ada") if found.digest == honest.digest else Signer("altered"))
    lines = [honest, *(junk(draw, honest) for _ in range(draw.randrange(1, 30)))]
    draw.shuffle(lines)
    places = {"i": 1, "j": draw.randrange(0, 9)}
    for policy in (good, replace(good, signed_only=False)):
        assert rule(lines, SUBJECT, policy, lambda: places).verdict.line == honest


@pytest.mark.parametrize("gain", [0.0002, 0.001, 0.004, 0.0141])
@pytest.mark.parametrize("shots", [4_096, 65_536, 2_000_000])
def test_the_cheap_audit_agrees_with_the_full_one(gain, shots):
    """An end of an interval is accepted where the search finds it, and not a millionth beside it."""
    for word, reason in (("VERIFIED", "better"), ("FAILED", "not_better"), ("SUSPICIOUS", "harm")):
        noted = whole_verdict(word, reason, gain=gain, shots=shots, about=ABOUT)
        full, cheap = (audit(parse_verdict(noted).record, *ends) for ends in ((), (EVALUATED,)))
        assert full == cheap
        for name in ("delta_ler_ci", "ler_ratio_ci", "ler_ratio_ci_all_shots"):
            for place in (0, 1):
                for step in (1e-6, -1e-6):
                    ends = list(noted[name])
                    ends[place] = step if ends[place] is None else ends[place] + step
                    moved = parse_verdict({**noted, name: ends}).record
                    assert bool(audit(moved, EVALUATED)) == bool(audit(moved)), (name, place, step)


def test_of_metrics_the_named_the_programs_and_the_first_count_in_this_order():
    def scored(ident, **more):
        return line(id=ident, **whole_metrics(shots=65_536), **more)

    first, own, named = scored("a", ts="1"), scored("attempt", ts="9"), scored("named", ts="5")
    replacing = scored("z", ts="0", supersedes="a")
    assert choose([]) is None
    assert choose([own, first]) == first
    assert choose([own, first], attempt="attempt") == own
    assert choose([own, first, named], "named", "attempt") == named
    assert choose([first, replacing]) == replacing
    assert choose([own, scored("z", ts="0", supersedes="attempt")], attempt="attempt") == own


@pytest.mark.parametrize(
    "changes",
    [
        {"delta_ler": 0.5}, {"delta_ler_ci": [0.4, 0.6]}, {"ler_ratio_ci": [0.0, 0.1]}, {"shots": 1}, {"counts": None},
        {"counts": {"shots": 10, "both": 11}}, {"params": -1}, {"flops_per_shot": None}, {"ler_candidate": "x"},
        {"other_rates": [{"p": 0.1, **{k: v for k, v in whole_metrics(shots=65_536).items() if k != "counts"}}]},
    ],
    ids=lambda changes: str(changes)[:40],
)  # fmt: skip
def test_metrics_that_do_not_follow_from_their_counts_are_not_whole(changes):
    whole = whole_metrics(shots=65_536)
    assert metrics_problem(line(id="m", **whole)) == ""
    assert metrics_problem(line(id="m", **{**whole, **changes}))


@pytest.mark.parametrize(
    ("change", "whole"),
    [
        ({}, True),
        ({"flops_per_shot": 499}, False),
        ({"sent": 6_553}, False),
        ({"sent": -1}, False),
        ({"flops_per_sent_shot": None}, False),
        ({"gate_flops": 65_536}, False),
        ({"gate_flops": 65_536, "flops_per_shot": 502}, True),
        ({"passes": 13_120, "flops_per_shot": 1_001}, True),
        ({"passes": 13_120}, False),
        ({"passes": 6_559}, False),
        ({"passes": 64 * 6_560 + 1, "flops_per_shot": 32_032}, False),
        ({"passes": 13_120, "sent": None, "flops_per_shot": 1_001}, False),
    ],
)
def test_the_mean_cost_of_gated_metrics_follows_from_what_was_sent_on(change, whole):
    note = whole_metrics(shots=65_536, sent=6_560, flops_per_sent_shot=5_000, flops_per_shot=501) | change
    said = metrics_problem(Line("d" * 64, note))
    assert said == ("" if whole else "its mean cost does not follow from the shots that were sent on")
