"""Numbers of rounds as ranges: they hold these numbers and no others, and cost nothing however long a range is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoqec.history.rounds.round_numbers import RoundNumbers, renumbered_details

SOME = st.sets(st.integers(1, 40))


@given(SOME, SOME)
def test_ranges_hold_these_numbers_and_no_others(some, others):
    found = RoundNumbers.parse(str(RoundNumbers.of(some)))
    assert found == RoundNumbers.of(some)
    assert {number for number in range(1, 41) if number in found} == some
    assert found.missing_from(others) == min(some - others, default=None)


@given(SOME, st.dictionaries(st.integers(1, 40), st.integers(41, 90)))
def test_rounds_that_get_new_numbers_stay_the_same_rounds(some, numbers):
    assert RoundNumbers.of(some).renumbered(numbers) == RoundNumbers.of(numbers.get(each, each) for each in some)


@pytest.mark.parametrize("text", ["1-", "0", "1,", ",1", "1 2", "-1", "1-2-3", "٣", "1" * 10, 7, None, ["1"]])
def test_what_is_no_list_of_ranges_is_refused(text):
    with pytest.raises(ValueError, match="no list of ranges"):
        RoundNumbers.parse(text)


def test_a_list_that_anybody_wrote_is_put_in_order():
    assert str(RoundNumbers.parse("7,3-5,4-6,9-8")) == "3-7"
    assert str(RoundNumbers.parse("1-999999999").renumbered({5: 2_000_000_000})) == "1-4,6-999999999,2000000000"


def test_of_a_claims_details_what_cannot_be_read_stays():
    details = {"agents": 1, "seen": {"closed": "1-3", "open": ["2"], "later": "no list"}}
    seen = {"closed": "1-2,9", "open": ["2"], "later": "no list"}
    assert renumbered_details(details, {3: 9}) == {"agents": 1, "seen": seen}
    assert renumbered_details({"seen": 7}, {3: 9}) == {"seen": 7}
    assert renumbered_details({}, {3: 9}) == {}
