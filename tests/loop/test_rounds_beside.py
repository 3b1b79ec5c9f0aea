"""What an Ideator is told beside its run's closed rounds: rounds that are open now, and rounds of the family."""

from dataclasses import replace
from functools import partial

import pytest

from autoqec.agents.agent_contract import FamilyRound, PastRound
from autoqec.agents.past_rounds import past_rounds
from autoqec.agents.role_messages import Hypothesis, Proposal
from autoqec.errors import UsageError
from autoqec.history import attach, claim_round, close_claim, drop, start_run
from autoqec.loop import rounds_beside
from autoqec.loop.agent_contexts import build_context
from autoqec.loop.role_questions import ask_coder, ask_ideator
from autoqec.loop.round_state import read_state
from autoqec.loop.round_view import seen_now
from autoqec.loop.rounds_beside import MOST_OF_FAMILY, family_rounds, lowest_ratios, of_one_family
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.testing.sample_notes import some_metrics
from autoqec.testing.tiny import TINY_ENVIRONMENT

LARGER = TINY_ENVIRONMENT.replace("distance: 3", "distance: 5").replace("name: tiny", "name: larger")


def environment(text):
    return environment_from_files({ENVIRONMENT_FILE: text.encode()}, origin="a test").environment


@pytest.mark.parametrize(
    ("before", "after", "one_family"),
    [
        ("distance: 3", "distance: 5", True),
        ("p: [0.006]", "p: [0.001]", True),
        ("unrotated_memory_z", "rotated_memory_z", False),
        ("kind: depolarizing", "kind: phenomenological", False),
        ("decoder: mwpm\n", "decoder: osd\n", False),
    ],
)
def test_a_family_has_the_same_kinds_and_codes_that_differ_in_numbers_alone(before, after, one_family):
    changed = TINY_ENVIRONMENT.replace(before, after)
    assert changed != TINY_ENVIRONMENT
    assert of_one_family(environment(TINY_ENVIRONMENT), environment(changed)) is one_family


def test_a_context_has_the_best_rounds_of_a_large_family_the_best_one_last():
    rounds = [
        FamilyRound({}, PastRound(f"r/{n}", "ok", metrics=some_metrics(ler_ratio=0.5 + 0.01 * (n * 7 % 40))))
        for n in range(40)
    ]
    ratios = [each.past.metrics.figures.ler_ratio for each in lowest_ratios(rounds)]
    assert ratios == pytest.approx([0.5 + 0.01 * n for n in reversed(range(MOST_OF_FAMILY))])


def session_of(made, text, name):
    """A session of a new run on another environment in the same lab."""
    loaded = environment_from_files({ENVIRONMENT_FILE: text.encode()}, origin="a test")
    run = start_run(
        made.ledger,
        name,
        base=made.run.base,
        env_name=loaded.name,
        env_id=loaded.identity,
        env_files=dict(loaded.files),
        settings=dict(made.run.settings),
    )
    return replace(made, run=run)


def test_a_round_of_the_family_that_a_verifier_found_out_is_not_told(with_round, monkeypatch):
    read = rounds_beside.past_rounds
    larger = session_of(with_round, LARGER, "larger-aaaa")
    for reason, told in (("undecided", 1), ("batch_dependent", 0)):
        judged = partial(lambda reason, *asked: [replace(past, verdict_reason=reason) for past in read(*asked)], reason)
        monkeypatch.setattr(rounds_beside, "past_rounds", judged)
        assert len(family_rounds(larger)) == told


def test_rounds_of_other_environments_of_the_family_are_told_and_no_others(with_round):
    scored = f"{with_round.run.name}/2"
    larger = session_of(with_round, LARGER, "larger-aaaa")
    (found,) = family_rounds(larger)  # the first round was not scored
    assert found.past.name == scored
    assert found.past.metrics is not None
    assert found.past.files
    assert found.environment["name"] == "tiny"
    assert family_rounds(with_round) == (), "a run's own environment is none of the others"
    again = session_of(with_round, TINY_ENVIRONMENT, "tiny-again")
    assert family_rounds(again) == (), "two seeds on one environment stay independent"
    other = session_of(with_round, LARGER.replace("unrotated", "rotated"), "rotated-aaaa")
    assert family_rounds(other) == ()


def test_the_ideator_alone_is_told_of_the_family(with_round):
    larger = session_of(with_round, LARGER, "larger-aaaa")
    claim_round(larger.ledger, larger.run.name, {"profile": {}, "agents": {}})
    state = read_state(larger.ledger, larger.run.name, 1)
    assert [each.past.name for each in ask_ideator(larger, state).context.family] == [f"{with_round.run.name}/2"]
    assert build_context(larger, 1, {}).family == ()


def test_other_open_rounds_are_told_once_they_have_an_idea(with_round):
    run = with_round.run.name
    claim_round(with_round.ledger, run)
    claim_round(with_round.ledger, run)
    assert build_context(with_round, 4, {}).open_rounds == ()
    idea = b'{"text": "an idea", "fork_from": ["%s/2"], "compose": "none", "screen": "only"}' % run.encode()
    attach(with_round.ledger, "traces", run, 3, {"ideator.json": idea})
    (told,) = build_context(with_round, 4, {}).open_rounds
    assert (told.name, told.hypothesis, told.fork_from) == (f"{run}/3", "an idea", (f"{run}/2",))
    assert told.screen == "only"
    assert build_context(with_round, 3, {}).open_rounds == (), "the round that asks is no other round"
    attach(with_round.ledger, "traces", run, 4, {"ideator.json": b"no json"})
    assert [each.name for each in build_context(with_round, 5, {}).open_rounds] == [f"{run}/3"]
    for hostile in (b"[" * 100_000, b'{"fork_from": 7}', b'{"fork_from": null, "text": ["x"]}'):
        attach(with_round.ledger, "traces", run, 4, {"ideator.json": hostile}, replace=True)
        assert {each.name for each in build_context(with_round, 5, {}).open_rounds} <= {f"{run}/3", f"{run}/4"}


def test_neither_the_idea_nor_the_candidate_of_an_open_round_can_be_proposed(with_round):
    ledger, run = with_round.ledger, with_round.run.name
    seen = {"closed": "1", "open": "2", "ideas": ""}  # round 2 has closed since then, but this round does not know
    claim_round(ledger, run, {"profile": {}, "agents": {}, "seen": seen})
    beside = read_state(ledger, run, 2)
    check = ask_ideator(with_round, read_state(ledger, run, 3)).check
    check(Hypothesis(text="something else"))
    with pytest.raises(UsageError, match=f"this idea is tried now, by {run}/2"):
        check(Hypothesis(text=beside.hypothesis["text"]))
    with pytest.raises(UsageError, match=f"{run}/2 is open"):
        check(Hypothesis(text="something else", fork_from=(f"{run}/2",)))
    attach(ledger, "traces", run, 3, {"ideator.json": b'{"text": "something else"}'})
    check = ask_coder(with_round, read_state(ledger, run, 3), {}).check
    with pytest.raises(UsageError, match=f"the same as {run}/2"):
        check(Proposal(files={path: data.decode() for path, data in beside.files.items()}))


def test_rounds_that_were_claimed_before_and_are_not_seen_are_told_with_their_seeds(with_round):
    ledger, run = with_round.ledger, with_round.run.name
    claim = claim_round(ledger, run)
    claim_round(ledger, run, {"seen": seen_now(ledger, run).to_details()})
    assert build_context(with_round, 3, {}).unseen == ()
    seeds = {number: build_context(with_round, number, {}).seed for number in (3, 4)}
    assert build_context(with_round, 4, {}).unseen == ({"round": 3, "seed": seeds[3]},)
    attach(ledger, "traces", run, 3, {"ideator.json": b'{"text": "an idea"}'})
    assert build_context(with_round, 4, {}).unseen == ({"round": 3, "seed": seeds[3]},), "it was not seen, and stays so"
    assert build_context(with_round, 5, {}).unseen == ({"round": 4, "seed": seeds[4]},), "of 3 the idea is seen"
    close_claim(ledger, claim, status="abandoned")
    drop(ledger, run, 3)
    assert build_context(with_round, 4, {}).unseen == ()
    assert [each["round"] for each in build_context(with_round, 99, {}).unseen] == [*range(83, 99)]


@pytest.mark.parametrize(
    ("seen", "beside"),
    [
        ({"closed": "1", "open": "2", "ideas": ""}, (2,)),
        ({"closed": "1", "open": "", "ideas": "1-999999999"}, (1, 2)),
        ({"closed": "?"}, ()),
        (None, ()),
    ],
)
def test_a_past_round_names_those_that_were_open_when_it_began(with_round, seen, beside):
    ledger, run = with_round.ledger, with_round.run.name
    claim = claim_round(ledger, run, {"seen": seen} if seen else {})
    close_claim(ledger, claim, status="abandoned")
    past = past_rounds(with_round.records(), lambda commit: {})[-1]
    assert past.beside == tuple(f"{run}/{number}" for number in beside)
