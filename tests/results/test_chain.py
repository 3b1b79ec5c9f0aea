"""The chain of a run's verifications, and the level of the next one, whatever lines anybody adds."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoqec.results.audit import audit
from autoqec.results.chain import MOST_HEADS, chain_of, intents_in, missing_text
from autoqec.results.statistics import attempt_alpha, next_attempt
from autoqec.results.verdict import Verdict
from autoqec.results.verification_events import Begun
from autoqec.testing.sample_notes import verdict_note

SHARE = 1 / 128


def line(record):
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest(), record


def level(lines):
    """The level of the next attempt, as a part of the budget; 0 if the budget is spent."""
    attempt = chain_of(intents_in(lines)).next_attempt
    return attempt_alpha(1.0, attempt) if attempt is not None else 0.0


def honest(count, first=1, chain=None):
    """The lines of a clone that begins one verification after another."""
    lines, heads = [], chain or []
    for number in range(first, first + count):
        lines.append(line({"id": f"{number}", **Begun(number, chain=tuple(heads)).to_note()}))
        heads = [lines[-1][0]]
    return lines


numbers = st.one_of(st.integers(-5, 300), st.integers(-(2**70), 2**70), st.sampled_from([10**15, 2**63 - 1, 2**63]))
values = st.one_of(numbers, st.none(), st.booleans(), st.floats(), st.text(max_size=3), st.lists(st.integers()))
begun = st.builds(
    lambda attempt, more: {"event": "begun", "attempt": attempt, **more},
    st.one_of(numbers, values),
    st.dictionaries(st.sampled_from(["share", "id", "chain", "run", "event", "verified_before"]), values),
)
verified = st.builds(lambda n: {**verdict_note(), "id": f"v{n}", "commit": f"x{n}"}, st.integers())
short = st.builds(
    lambda n: {"id": f"s{n}", "v": 1, "event": "x", "verdict": "VERIFIED", "commit": f"x{n}"}, st.integers()
)
junk = st.recursive(values, lambda inner: st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5)
anything = st.lists(st.one_of(begun, begun, verified, short, junk), max_size=12)


@settings(deadline=None)
@given(st.one_of(st.integers(0, 8), st.integers(60, 70)), anything, anything)
def test_no_lines_raise_the_level_of_the_next_attempt(count, before, after):
    lines = [*honest(count), *((f"b{n}", each) for n, each in enumerate(before))]
    more = [*lines, *((f"a{n}", each) for n, each in enumerate(after))]
    assert level(more) <= level(lines) <= SHARE


@settings(deadline=None)
@given(st.lists(numbers.filter(lambda n: n >= 1), max_size=40), st.lists(numbers.filter(lambda n: n >= 1), max_size=40))
def test_more_attempts_never_give_an_earlier_number(some, more):
    first, second = next_attempt(some), next_attempt([*some, *more])
    assert second is None or (first is not None and first <= second)


def test_six_thousand_forged_successes_do_not_change_the_level():
    forged = [
        (f"{n}", {"id": f"{n}", "v": 1, "event": "x", "verdict": "VERIFIED", "commit": f"x{n}"}) for n in range(6000)
    ]
    assert level(forged) == level([]) == SHARE


@pytest.mark.parametrize("number", [200, 10**15, 2**63 - 1])
def test_an_absurd_number_costs_one_attempt_and_no_more(number):
    lines = [*honest(3), ("x", {"event": "begun", "attempt": number})]
    assert chain_of(intents_in(lines)).next_attempt == 5


def test_a_number_that_clones_can_have_reached_is_believed():
    lines = [*honest(3), ("x", {"event": "begun", "attempt": 60})]
    assert chain_of(intents_in(lines)).next_attempt == 61


def test_a_late_number_that_makes_up_for_what_clones_spent_twice_is_not_forgotten():
    numbers = [1] * 100
    for _ in range(5):
        numbers.append(next_attempt(numbers))
    assert numbers[100:] == sorted(set(numbers[100:]))
    assert numbers[100] > 2 * len(numbers)  # absurd by its size alone, but its share still counts


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"verified_before": 6000, "alpha_attempt": 2.34},
            "verified_before: the note says 6000, but 0 attempts came before",
        ),
        ({"alpha": 0.05, "alpha_attempt": 0.06}, "alpha_attempt: the note says 0.06, above the error budget"),
        ({"attempt": 0}, "attempt: the note says 0"),
        ({"attempt": 2, "verified_before": 1, "intent": "a" * 64}, "earlier verdicts do not raise a level"),
    ],
)
def test_an_audit_names_a_level_that_nobody_can_have_had(changes, said):
    numbers = {"attempt": 1, "verified_before": 0, "alpha": 0.05, "alpha_attempt": 0.05 / 128}
    assert said in "\n".join(audit(Verdict.from_dict(verdict_note() | numbers | changes)))


def test_a_chain_of_one_clone_is_a_line():
    lines = honest(4)
    chain = chain_of(intents_in(lines), [("verdict", lines[1][0])], [lines[3][0], lines[1][0]])
    assert chain.heads == (lines[3][0],)
    assert [chain.depth[digest] for digest, _ in lines] == [1, 2, 3, 4]
    assert chain.roots == (lines[0][0],)
    assert (chain.breaks, chain.forks) == ((), {})
    assert missing_text("r", chain.breaks) is None


def test_two_clones_that_went_on_from_one_intent_are_a_fork_and_the_next_intent_joins_them():
    lines = honest(2)
    here, there = honest(1, 3, [lines[1][0]]), honest(2, 3, [lines[1][0], lines[0][0]])
    chain = chain_of(intents_in([*lines, *here, *there]))
    assert chain.forks[lines[1][0]] == tuple(sorted([here[0][0], there[0][0]]))
    assert chain.next_chain == chain.heads == tuple(sorted([here[0][0], there[1][0]]))
    joined = honest(1, 5, list(chain.next_chain))
    after = chain_of(intents_in([*lines, *here, *there, *joined]))
    assert after.heads == (joined[0][0],)
    assert after.depth[joined[0][0]] == 5


def test_a_line_that_is_gone_is_missed_by_what_names_it():
    lines = honest(3)
    gone = lines[1][0]
    (found,) = chain_of(intents_in([lines[0], lines[2]]), [("v2", gone)]).breaks
    assert (found.digest, found.named_by) == (gone, ("3", "v2"))
    assert "named by 3 and 1 more" in missing_text("r", [found])


def test_a_tail_that_was_cut_off_is_missed_by_a_clone_that_remembers_it():
    lines = honest(3)
    assert chain_of(intents_in(lines[:2])).breaks == ()
    (found,) = chain_of(intents_in(lines[:2]), remembered=[lines[2][0]]).breaks
    assert (found.digest, found.named_by) == (lines[2][0], ())


def test_of_too_many_heads_the_deepest_are_named():
    lines = honest(3)
    many = [line({"event": "begun", "attempt": 1, "id": f"{n}"}) for n in range(200)]
    chain = chain_of(intents_in([*lines, *many]))
    assert len(chain.next_chain) == MOST_HEADS
    assert lines[2][0] in chain.next_chain


def test_digests_that_name_each_other_do_not_hang():
    circle = {"a": Begun(1, chain=("b",)), "b": Begun(2, chain=("a", "b")), "c": Begun(3, chain=("b",))}
    chain = chain_of(circle)
    assert chain.heads == ("c",)
    assert set(chain.depth) == {"a", "b", "c"}
