"""Words of messages that name a count or a list."""

from autoqec.counted_words import counted, cut_line, some_of


def test_counts_and_lists():
    assert (counted(1, "round"), counted(1200, "round"), counted(2, "hypothesis", "hypotheses")) == (
        "1 round",
        "1,200 rounds",
        "2 hypotheses",
    )
    names = [f"r-{number}" for number in range(12)]
    assert some_of(names[:3]) == "r-0, r-1, r-2"
    assert some_of(names, 2) == "r-0, r-1 and 10 more"
    assert some_of(names).endswith("r-9 and 2 more")


def test_words_of_others_are_one_line():
    assert cut_line("a\x1b[2J\n\tb\u202e  c", 80) == "a [2J b c"
    assert (cut_line("x" * 20, 20), cut_line("x" * 21, 20)) == ("x" * 20, "x" * 19 + "…")
