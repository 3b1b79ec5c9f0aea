"""What a round sees of its run is what its claim says, however the other rounds go on."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from autoqec.agents.role_messages import Hypothesis
from autoqec.errors import AutoQECError, UsageError
from autoqec.history import attach, claim_round, close_claim, read_claim, update_claim
from autoqec.history.rounds.round_numbers import RoundNumbers
from autoqec.history.rounds.seen_rounds import Seen, seen_by
from autoqec.loop import agent_contexts, role_questions
from autoqec.loop.agent_contexts import build_context
from autoqec.loop.round_view import round_view, seen_now, view_of
from autoqec.loop.screening import find_rivals


def numbers(text):
    return RoundNumbers.parse(text)


def test_a_claim_says_what_its_round_sees_and_a_damaged_one_is_named(with_round):
    ledger, run = with_round.ledger, with_round.run.name
    claim_round(ledger, run)
    claim_round(ledger, run)
    attach(ledger, "traces", run, 3, {"ideator.json": b'{"text": "an idea"}'})
    now = seen_now(ledger, run)
    assert now == Seen(numbers("1-2"), numbers(""), numbers("3")), "a round without a hypothesis is not seen"
    assert Seen.from_details(now.to_details()) == now
    claim = read_claim(ledger, run, 4)
    assert seen_by(claim) is None
    for damaged in ({"closed": "1-2"}, [], {"closed": 1, "open": "", "ideas": ""}):
        with pytest.raises(AutoQECError, match="the claim of .*/4 is damaged: seen"):
            seen_by(replace(claim, details={"seen": damaged}))


def test_a_round_sees_no_result_of_a_round_that_was_open_when_it_was_claimed(with_round, monkeypatch):
    everything = lambda session, records: tuple(f"{each.run}/{each.number}" for each in records)  # noqa: E731
    monkeypatch.setattr(agent_contexts, "agents_front", everything)
    ledger, run = with_round.ledger, with_round.run.name
    scored = with_round.records()[1]
    assert scored.metrics is not None
    seen = Seen(closed=numbers("1"), open=numbers("2"))
    claim_round(ledger, run, {"seen": seen.to_details()})
    view = round_view(with_round, 3)
    assert [each.number for each in view.closed] == [1]
    (beside,) = view.open
    assert (beside.commit, beside.status, beside.metrics, beside.verdict) == (scored.commit, "open", None, None) or (
        beside.status == "interrupted"  # its process was another one
    )
    assert beside.claim.state == "open"
    context = build_context(with_round, 3, {})
    assert [each.name for each in context.history] == [f"{run}/1"]
    (told,) = context.open_rounds
    assert told.name == f"{run}/2"
    assert told.files
    assert told.metrics is None
    assert context.machine["timings"] == []
    assert context.front == (f"{run}/1",)
    assert [*find_rivals(with_round, 3, 10**12, 10**12)] == []
    update_claim(ledger, read_claim(ledger, run, 3), details={})
    assert [each.claim.number for each in find_rivals(with_round, 3, 10**12, 10**12)] == [2]
    assert [each.name for each in build_context(with_round, 3, {}).history] == [f"{run}/1", f"{run}/2"]


def test_of_an_open_round_that_was_seen_by_its_hypothesis_alone_no_file_is_seen(with_round):
    run = with_round.run.name
    records = with_round.records()
    seen = Seen(closed=numbers("1"), ideas=numbers("2"))
    (beside,) = view_of(records, 3, seen).open
    assert (beside.commit, beside.identity, beside.metrics) == (None, None, None)
    claim_round(with_round.ledger, run, {"seen": seen.to_details()})
    (told,) = build_context(with_round, 3, {}).open_rounds
    assert told.hypothesis
    assert not told.files


def test_a_round_that_is_still_open_is_not_closed_to_anybody(with_round):
    claim_round(with_round.ledger, with_round.run.name)
    seen = Seen(closed=numbers("1-9"))
    assert [each.number for each in view_of(with_round.records(), 4, seen).closed] == [1, 2]


def test_a_merge_that_conflicted_in_a_round_that_was_open_is_not_known_to_conflict(with_round, monkeypatch):
    monkeypatch.setattr(role_questions, "check_parents", lambda *parents: None)
    ledger, run = with_round.ledger, with_round.run.name
    claim = claim_round(ledger, run)
    report = b'{"fork_from": ["%s/1", "%s/2"], "compose": "pure"}' % (run.encode(), run.encode())
    attach(ledger, "attempts", run, 3, {"report.json": report})
    close_claim(ledger, claim, status="compose_conflict")
    merge = Hypothesis(text="a merge", fork_from=(f"{run}/1", f"{run}/2"), compose="pure")
    for closed, conflicts in ("1-3", 1), ("1-2", 0):
        seen = Seen(closed=numbers(closed), open=numbers("3"))
        claim = claim_round(ledger, run, {"seen": seen.to_details()})
        assert len(build_context(with_round, claim.number, {}).failed_composes) == conflicts
        with pytest.raises(UsageError, match="conflicted before") if conflicts else nullcontext():
            role_questions.check_hypothesis(with_round, round_view(with_round, claim.number), merge)
