"""Rows of sinter's CSV format, against sinter in both directions."""

import io
from collections import Counter

import pytest

from autoqec.errors import UsageError
from autoqec.results.sinter_rows import SinterRow, columns_of, header, read_rows

sinter = pytest.importorskip("sinter")

ROWS = [
    SinterRow(1000, 42, 3, seconds, decoder, f"id{place}", {"d": 3, "p": 1e-3, "text": 'a, "b" é\\'}, counts)
    for place, (seconds, decoder, counts) in enumerate(
        [
            (0.0, "mwpm", {}),
            (0.12345, "osd:method=osd_cs,order=10", {"right@0": 3, "wrong@1": 5}),
            (3.456, "exp/run/3@abcdef", {}),
            (12345.678, 'a "quoted" name', {"é": 1}),
        ]
    )
]


def as_sinter(row):
    return sinter.TaskStats(
        strong_id=row.strong_id,
        decoder=row.decoder,
        json_metadata=row.json_metadata,
        shots=row.shots,
        errors=row.errors,
        discards=row.discards,
        seconds=row.seconds,
        custom_counts=Counter(row.custom_counts),
    )


def test_they_are_written_as_sinter_writes_them():
    assert header() == sinter.CSV_HEADER
    for row in ROWS:
        assert row.line() == as_sinter(row).to_csv_line()


def test_sinter_reads_them_and_we_read_those_of_sinter():
    text = "\n".join([header(), *(row.line() for row in ROWS), ""])
    read = sinter.read_stats_from_csv_files(io.StringIO(text))
    assert [(each.shots, each.errors, each.decoder, each.json_metadata) for each in read] == [
        (row.shots, row.errors, row.decoder, row.json_metadata) for row in ROWS
    ]
    found = read_rows(text, name="counts.csv")
    assert [row.line() for row in found] == [row.line() for row in ROWS]
    old = 'shots,errors,discards,seconds,decoder,strong_id,json_metadata\n1000,42,0,0.125,pymatching,9c31,"{""d"":9}"\n'
    assert read_rows(old, name="old.csv") == [SinterRow(1000, 42, 0, 0.125, "pymatching", "9c31", {"d": 9})]


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (ROWS[0].line()[:60], 3),
        ("1000,42", 3),
        ("1000,1200,0,0.1,mwpm,id,{}", 3),
        ("x,1,0,0.1,mwpm,id,{},", 3),
        (f"{10**300},1,0,0.1,mwpm,id,{{}},", 3),
        ("1000,1,0,nan,mwpm,id,{},", 3),
        ("1000,1,0,1e999,mwpm,id,{},", 3),
        ("1000,1,0,-1,mwpm,id,{},", 3),
        ('1000,1,0,0.1,mwpm,id,"{""d"":}",', 3),
        ('1000,1,0,0.1,mwpm,id,{},"[1]"', 3),
    ],
)
def test_a_line_that_is_no_row_is_named(line, number):
    text = "\n".join([header(), ROWS[1].line(), line, ""])
    with pytest.raises(UsageError, match=rf"counts\.csv, line {number}: not a row"):
        read_rows(text, name="counts.csv")


def test_a_file_of_something_else_is_refused():
    with pytest.raises(UsageError, match="no column shots"):
        read_rows("name,age\nAda,36\n", name="people.csv")
    with pytest.raises(UsageError, match="no column shots"):
        columns_of("", name="empty.csv")
