"""Comparing and sweeping from Python: decoders by name or as rounds, on what is in memory, with the figures of the record."""

import json

import pytest
import stim

import autoqec
from autoqec.errors import NotFoundError, UsageError

RUN = "tiny-abcd"
CIRCUIT = stim.Circuit.generated(
    "surface_code:rotated_memory_z", distance=3, rounds=2, after_clifford_depolarization=0.01
)
KEY = "5a" * 32


@pytest.fixture(scope="module")
def compared(recorded):
    """Two decoders and a round that does not fit, on a circuit in memory; and what was told meanwhile."""
    events = []
    lab = autoqec.open(recorded.folder)
    found = autoqec.compare(
        ["mwpm", "pymatching", lab.round(f"{RUN}/1")],
        CIRCUIT,
        until="4000shots",
        key=KEY,
        jobs=1,
        timing_seconds=0,
        progress=events.append,
    )
    return found, events


def test_rows_and_pairs_are_the_record(compared, recorded):
    found, events = compared
    lab_folder = recorded.folder
    record = found.record
    rows = found.rows()
    assert [row["decoder"] for row in rows] == [decoder.label for decoder in record.decoders]
    assert rows[0]["shots"] == record.total == 4000
    assert rows[0]["failures"] == record.rate(0).failures > 0
    assert (rows[0]["ler_low"], rows[0]["ler_high"]) == (record.rate(0).low, record.rate(0).high)
    assert rows[0]["failures"] == rows[1]["failures"]  # both are exact matching on one graph
    assert rows[2]["failures"] is None
    assert "fit" in rows[2]["failed"]
    (pair, *_) = found.pairs.rows()
    assert (pair["base"], pair["other"], pair["both"]) == ("mwpm", "pymatching", rows[0]["failures"])
    assert pair["word"] == found.word("mwpm", "pymatching") == "undecided"
    assert (
        found.word("mwpm", f"exp/{RUN}/1") == found.word("mwpm", autoqec.open(lab_folder).round(f"{RUN}/1")) == "failed"
    )
    assert {event.stage for event in events} >= {"start", "count"}
    assert record.shots.key == KEY
    with pytest.raises(UsageError, match="osd is none of the decoders"):
        found.word("mwpm", "osd")


def test_a_notebook_shows_it_and_pandas_takes_it(compared):
    found, _ = compared
    assert repr(found) == "<3 decoders on 4,000 shots of the circuit>"
    page = found._repr_html_()
    assert page.count("<table>") == 2
    pytest.importorskip("pandas")
    assert list(found.to_pandas()["decoder"])[:2] == ["mwpm", "pymatching"]
    assert len(found.pairs.to_pandas()) == 3


def test_what_is_saved_is_what_the_command_reads(compared, tmp_path, capsys):
    found, _ = compared
    found.save(tmp_path / "claim.json")
    found.save_csv(tmp_path / "counts.csv")
    told = json.loads((tmp_path / "claim.json").read_text())
    assert told["results"]["decoders"][0]["failures"] == found.rows()[0]["failures"]
    assert "mwpm" in (tmp_path / "counts.csv").read_text()


@pytest.mark.parametrize(
    ("act", "kind", "said"),
    [
        (lambda lab: autoqec.compare("mwpm", CIRCUIT), UsageError, "the decoders are a list"),
        (lambda lab: autoqec.compare(["mwpm", 3], CIRCUIT), UsageError, "a name or a round, not of type int"),
        (lambda lab: autoqec.compare(["mwpm", "mwpm"], CIRCUIT), UsageError, "mwpm is named twice"),
        (lambda lab: autoqec.compare(["mwpm", "nothing"], CIRCUIT), NotFoundError, "nothing"),
        (lambda lab: autoqec.compare(["mwpm", "osd"], 3), UsageError, "nothing of type int can be decoded"),
        (lambda lab: autoqec.compare(["mwpm", "osd"], CIRCUIT, p=0.1), UsageError, "p cannot be chosen"),
        (lambda lab: autoqec.compare(["mwpm", "osd"], CIRCUIT, key="5a"), UsageError, "64 hexadecimal"),
        (lambda lab: autoqec.compare(["mwpm", "osd"], CIRCUIT, until="soon"), UsageError, "does not say when to stop"),
        (
            lambda lab: autoqec.compare(["mwpm", "osd"], CIRCUIT, until=5000),
            UsageError,
            "5000 does not say when to stop",
        ),
        (lambda lab: autoqec.compare(["mwpm", "osd"], CIRCUIT, baseline="bp_lsd"), UsageError, "none of the decoders"),
        (lambda lab: autoqec.compare(["mwpm", "osd"], "nowhere", lab=lab), NotFoundError, "no environment named"),
        (lambda lab: autoqec.compare(["mwpm", f"exp/{RUN}/9"], CIRCUIT, lab=lab), NotFoundError, "no round"),
        (lambda lab: autoqec.sweep([], "tiny", lab=lab), UsageError, "at least one decoder"),
        (lambda lab: autoqec.sweep(["mwpm"], "tiny", p=[2.0], lab=lab), UsageError, "p"),
        (lambda lab: autoqec.sweep(["mwpm"], "tiny", max_shots=0, lab=lab), UsageError, "at least one shot"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_counted(lab, act, kind, said):
    with pytest.raises(kind, match=said):
        act(lab)


def test_a_sweep_counts_a_family(lab, tmp_path):
    events = []
    found = autoqec.sweep(
        ["mwpm"],
        "tiny",
        sets={"code.distance": [3, 5]},
        p=[0.01, 0.02],
        max_shots=500,
        jobs=1,
        lab=lab,
        progress=events.append,
    )
    assert [(row["distance"], row["p"]) for row in found.rows()] == [(3, 0.01), (5, 0.01), (3, 0.02), (5, 0.02)]
    assert all(0 < row["shots"] <= 500 for row in found.rows())
    assert repr(found) == "<4 points of tiny, rates per shot>"
    assert "<table>" in found._repr_html_()
    assert len(found.suppressions) == 2
    assert list(found.left_out) == []
    assert events
    found.plot(tmp_path / "sweep.svg")
    assert (tmp_path / "sweep.svg").read_text().startswith("<?xml")
    with pytest.raises(UsageError):
        found.plot(tmp_path / "sweep.txt")
