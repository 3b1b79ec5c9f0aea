"""Decoders are compared on the same fresh shots: counted in order, stopped by a rule, saved after every look, and repeatable."""

import importlib
import json
from dataclasses import replace

import numpy as np
import pymatching
import pytest

from autoqec.comparing.compare_decoders import ComparisonInterrupted, ComparisonPlan, compare
from autoqec.comparing.comparison_file import read_comparison, write_comparison, write_rows
from autoqec.comparing.counted_parts import part_size, pieces
from autoqec.comparing.decoder_names import read_decoders
from autoqec.comparing.replaying import replay, saved_decoders, saved_source
from autoqec.comparing.shot_source import KeyedShots
from autoqec.comparing.stopping_rule import StoppingRule, read_until
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.results.sinter_rows import read_rows

KEY = bytes(range(32))
SHOTS = 9000


def keyed(problem):
    return KeyedShots(problem, KEY)


def plan(shots=SHOTS, **more):
    return ComparisonPlan(until=StoppingRule(False, shots), jobs=1, timing_seconds=0, **more)


def compared(names, source, registry, how, **more):
    return compare(read_decoders(names, registry), source, how, shots=keyed, registry=registry, **more)


def counts(comparison):
    """Everything but the seconds, the clock and the machine."""
    return [replace(part, seconds=()) for part in comparison.parts]


@pytest.fixture(scope="module")
def compared_once(registry, source, tmp_path_factory):
    """Three decoders on the same shots, and the file of it."""
    path = tmp_path_factory.mktemp("saved") / "it.json"
    names = ["mwpm", "mwpm_correlated", "pymatching"]
    how = replace(plan(save=path), timing_seconds=0.05)
    seen = []
    found = compared(names, source, registry, how, progress=seen.append)
    assert seen[0].stage == "start"
    assert {each.stage for each in seen} == {"start", "time", "count"}
    return found, path


def test_counts_are_those_of_pymatching_itself_on_the_same_shots(compared_once, problem):
    found, _ = compared_once
    stream = keyed(problem)
    drawn = [stream.take(first, count) for first, count in pieces(0, SHOTS)]
    syndromes, truth = (np.concatenate([getattr(s, n) for s in drawn]) for n in ("syndromes", "observables"))
    matching = pymatching.Matching.from_detector_error_model(problem.dem)
    plain = matching.decode_batch(syndromes, bit_packed_shots=True, bit_packed_predictions=True)
    two_pass = pymatching.Matching.from_detector_error_model(problem.dem, enable_correlations=True)
    better = two_pass.decode_batch(
        syndromes, bit_packed_shots=True, bit_packed_predictions=True, enable_correlations=True
    )
    fails, fails_too = ((own != truth).any(axis=1) for own in (plain, better))
    assert found.total == SHOTS == len(truth)
    assert found.rate(0).failures == found.rate(2).failures == fails.sum() > 0
    assert found.rate(1).failures == fails_too.sum() > 0
    both = int((fails & fails_too).sum())
    assert vars(found.counts(0, 1)) == {
        "shots": SHOTS,
        "both": both,
        "baseline_only": int(fails.sum()) - both,
        "candidate_only": int(fails_too.sum()) - both,
    }
    assert found.together().get((0,), 0) == found.together().get((2,), 0) == 0


def test_times_are_measured_with_their_spread(compared_once):
    for decoder in compared_once[0].decoders:
        time = decoder.time
        assert time.batch.least <= time.batch.median <= time.batch.most
        assert time.percentiles["p50"].median > 0
        assert "p99.9" not in time.percentiles or time.single_shots >= 1000


def test_the_record_does_not_depend_on_the_number_of_processes(compared_once, registry, source):
    again = compared(["mwpm", "mwpm_correlated", "pymatching"], source, registry, replace(plan(), jobs=3))
    assert counts(again) == counts(compared_once[0])


def test_the_file_holds_it_all_and_an_interrupted_one_goes_on(compared_once, registry, source, tmp_path):
    found, path = compared_once
    assert read_comparison(path) == found
    half = tmp_path / "half.json"

    def interrupt(event):
        if event.stage == "count" and event.comparison.total >= 1000:
            raise KeyboardInterrupt

    names = ["mwpm", "mwpm_correlated", "pymatching"]
    with pytest.raises(ComparisonInterrupted) as caught:
        compared(names, source, registry, plan(save=half), progress=interrupt)
    stopped = read_comparison(half)
    assert stopped == caught.value.comparison
    assert (stopped.stopped, 1000 <= stopped.total < SHOTS) == ("interrupted", True)
    # Nobody says the key again: the file has it.
    on = compare(read_decoders(names, registry), source, plan(save=half), registry=registry)
    assert counts(on) == counts(found)
    assert on.created == stopped.created


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            ["mwpm", "pymatching"],
            "its decoders are mwpm, mwpm_correlated, pymatching, and here they are mwpm, pymatching",
        ),
        (["mwpm", "mwpm_correlated", "pymatching"], "what is decoded"),
    ],
)
def test_a_file_of_something_else_is_refused(compared_once, registry, source, circuit, names, told):
    from autoqec.comparing.decoding_source import source_from_circuit

    other = source if len(names) == 2 else source_from_circuit(str(circuit).replace("0.01", "0.02"))
    with pytest.raises(UsageError, match=told) as caught:
        compared(names, other, registry, plan(save=compared_once[1]))
    assert caught.value.code == "other_comparison"


def test_other_versions_of_a_decoder_are_refused(compared_once, registry, source, tmp_path):
    found, _ = compared_once
    older = {**found.decoders[2].settings, "needs": "pymatching 1.0"}
    path = tmp_path / "older.json"
    write_comparison(found.with_decoder(2, settings=older), path)
    with pytest.raises(UsageError, match="pymatching has needs pymatching 1.0 there and pymatching"):
        compared(["mwpm", "mwpm_correlated", "pymatching"], source, registry, plan(save=path))


def test_a_replay_finds_the_same_and_names_the_decoder_that_differs(compared_once, registry):
    saved = read_comparison(compared_once[1])
    decoders, source = saved_decoders(saved, registry), saved_source(saved, registry)
    again = replay(saved, decoders, source, registry)
    assert (again.same, again.shots, again.versions, again.settings) == (True, SHOTS, {}, {})
    part = saved.parts[3]
    # A decoder that fails other shots changes the joint counts, and mwpm is not to blame.
    failed = {**part.failed, "2": part.failed.get("2", 0) + 1}
    forged = replace(part, failed=failed, invalid=(0, 0, 1))
    others = (*saved.parts[:3], forged, *saved.parts[4:])
    differs = replay(replace(saved, parts=others), decoders, source, registry)
    assert list(differs.differing) == ["mwpm_correlated", "pymatching"]
    assert differs.differing["pymatching"].why == "0 shots have no valid answer, not 1"
    assert differs.differing["mwpm_correlated"].first == sum(each.shots for each in saved.parts[:3])
    assert differs.other_shots is None
    part = saved.parts[0]
    apart = {
        **part.failed,
        "7": part.failed["7"] - 1,
        "3": part.failed.get("3", 0) + 1,
        "4": part.failed.get("4", 0) + 1,
    }
    forged = replace(part, digest="0" * 64, failed=apart)
    moved = replay(replace(saved, parts=(forged,)), decoders, source, registry)
    assert (moved.same, moved.other_shots) == (False, 0)
    assert {each.why for each in moved.differing.values()} == {"the saved joint counts do not follow from these shots"}
    assert len(moved.differing) == 3


def test_a_replay_wants_what_was_decoded(compared_once, registry, circuit):
    from autoqec.comparing.decoding_source import source_from_circuit

    saved = read_comparison(compared_once[1])
    with pytest.raises(UsageError, match="has no shots"):
        replay(replace(saved, parts=()), saved_decoders(saved, registry), saved_source(saved, registry), registry)
    bare = replace(saved, source=replace(saved.source, files={}))
    with pytest.raises(UsageError, match="does not hold what it decoded"):
        saved_source(bare, registry)
    assert saved_source(bare, registry, source_from_circuit(circuit)).identity == saved.source.identity
    with pytest.raises(UsageError, match="is not what"):
        saved_source(bare, registry, source_from_circuit(str(circuit).replace("0.01", "0.02")))
    for name, value in [("rounds", 10**9), ("p", 1e-9), ("observables", 2)]:
        with pytest.raises(UsageError, match=f"source.{name} of the saved comparison is"):
            saved_source(replace(saved, source=replace(saved.source, **{name: value})), registry)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: [], "its schema is not"),
        (lambda it: it | {"schema": "autoqec.decoder_comparison/9"}, "its schema is not"),
        (lambda it: {k: v for k, v in it.items() if k != "shots"}, "shots is missing"),
        (lambda it: it | {"baseline": 7}, "baseline is none"),
        (lambda it: it | {"baseline": True}, "baseline is malformed"),
        (lambda it: it | {"stopped": "yes"}, "stopped is malformed"),
        (lambda it: it | {"decoders": it["decoders"][:1]}, "it has 1 decoders"),
        (lambda it: it | {"decoders": [it["decoders"][0]] * 3}, "one label"),
        (lambda it: it | {"shots": {"kind": "keyed", "key": "../x"}}, "64 hexadecimal"),
        (lambda it: it | {"parts": [it["parts"][0] | {"failed": {"9": 1}}]}, "did not decode it"),
        (lambda it: it | {"parts": [it["parts"][0] | {"failed": {"1": 10**9}}]}, "more shots failed"),
        (lambda it: it | {"parts": [it["parts"][0] | {"failed": {"1": -1}}]}, "more shots failed"),
        (lambda it: it | {"parts": [it["parts"][0] | {"took": 99}]}, "no such decoders"),
        (lambda it: it | {"parts": [it["parts"][0] | {"shots": -5}]}, "no shots"),
        (lambda it: it | {"parts": [it["parts"][0] | {"digest": "x"}]}, "digest is malformed"),
        (lambda it: it | {"parts": [it["parts"][0] | {"answers": []}]}, "one entry for each"),
        (lambda it: it | {"parts": [it["parts"][0] | {"gates": {"1": [0, 5, 6]}}]}, "gates is impossible"),
        (lambda it: it | {"parts": [it["parts"][0] | {"gates": {"-1": [0, 0, 0]}}]}, "gates is impossible"),
        (lambda it: it | {"parts": [it["parts"][0] | {"gates": {"1": [0, 0]}}]}, "parts.0.gates"),
        (lambda it: it | {"parts": [it["parts"][0] | {"seconds": [-1.0, 0.0, 0.0]}]}, "impossible"),
        (lambda it: it | {"parts": [it["parts"][0] | {"took": 5, "failed": {}}]}, "took leaves out a decoder"),
        (lambda it: it | {"decoders": [*it["decoders"][:2], it["decoders"][2] | {"most_shots": 0}]}, "most_shots"),
        (lambda it: it | {"decoders": [*it["decoders"][:2], it["decoders"][2] | {"most_shots": 9}]}, "has one after"),
        (lambda it: it | {"decoders": [*it["decoders"][:2], it["decoders"][2] | {"gate": "osd"}]}, "gate is none of"),
        (lambda it: it | {"decoders": [*it["decoders"][:2], it["decoders"][2] | {"gate": "mwpm"}]}, "other decoders"),
        (lambda it: it | {"parts": it["parts"][:1]}, r"results.decoders.0.shots does not follow"),
        (lambda it: it | {"results": it["results"] | {"pairs": []}}, "results.pairs does not follow"),
        (
            lambda it: (
                it | {"results": it["results"] | {"pairs": [p | {"word": "better"} for p in it["results"]["pairs"]]}}
            ),
            "results.pairs.0.word does not follow",
        ),
    ],
)
def test_what_no_comparison_can_have_counted_is_refused(compared_once, tmp_path, change, told):
    path = tmp_path / "forged.json"
    path.write_text(json.dumps(change(json.loads(compared_once[1].read_text()))))
    with pytest.raises(UsageError, match=told) as caught:
        read_comparison(path)
    assert caught.value.code == "bad_comparison"


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"schema": NaN}', "\x00"])
def test_what_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "it.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="is no saved comparison"):
        read_comparison(path)


def test_files_that_are_not_there_or_cannot_be_written_are_named(compared_once, registry, source, tmp_path):
    with pytest.raises(NotFoundError):
        read_comparison(tmp_path / "none")
    with pytest.raises(UsageError, match="no plain file"):
        read_comparison(tmp_path)
    seen = []
    with pytest.raises(AutoQECError, match="cannot be written") as caught:
        compared(["mwpm", "osd"], source, registry, plan(save=tmp_path / "no" / "it"), progress=seen.append)
    assert caught.value.code == "not_written"
    assert [each.stage for each in seen] == ["start"]  # before anything was decoded


def test_a_decoder_that_fails_leaves_the_others_to_go_on(registry, source, foreign, compared_once):
    names = ["mwpm", foreign("Raises"), "mwpm_correlated", foreign("Refuses")]
    found = compared(names, source, registry, plan(3000))
    assert (found.total, found.stopped) == (3000, "shots")
    raises, refuses = found.decoders[1].failed, found.decoders[3].failed
    assert (raises.reason, raises.at, refuses.reason, refuses.at) == ("exception", 0, "unusable", 0)
    assert found.rate(1) is None
    assert found.rate(0).shots == found.rate(2).shots == 3000
    words = {(pair.base, pair.other): pair.word for pair in found.pairs()}
    assert words.pop((0, 2)) != "failed"
    assert set(words.values()) == {"failed"}
    assert found.needed == pytest.approx(6 / 0.05)


def test_one_decoder_that_is_left_stops_it(registry, source, foreign):
    found = compared(["mwpm", foreign("Refuses")], source, registry, plan(3000))
    assert (found.total, found.stopped) == (0, "failed")


def test_a_slow_decoder_decodes_fewer_shots_if_asked(registry, source):
    how = plan(3000, most_shots={"mwpm_correlated": 700})
    found = compared(["mwpm", "mwpm_correlated"], source, registry, how)
    assert [found.rate(place).shots for place in range(2)] == [3000, 700]
    assert (found.counts(0, 1).shots, found.total) == (700, 3000)
    with pytest.raises(UsageError, match="osd is none of the decoders"):
        compared(["mwpm", "pymatching"], source, registry, plan(most_shots={"osd": 7}))


def test_a_slow_decoder_decodes_only_what_the_baseline_is_unsure_of_if_asked(registry, source):
    names = ["osd", "mwpm_correlated"]
    found = compared(names, source, registry, plan(3000, gated=frozenset({"mwpm_correlated"})))
    whole = compared(names, source, registry, plan(3000))
    gate = found.gate(1)
    assert found.gate(0) is None
    assert (gate.shots, found.decoders[1].gate) == (3000, "osd")
    assert 0 < gate.sent + gate.sampled < 3000
    assert found.rate(0) == whole.rate(0)
    assert [part.answers[0] for part in found.parts] == [part.answers[0] for part in whole.parts]
    # Elsewhere it has the other's answer, so only what it decodes can tell them apart.
    apart = found.counts(0, 1)
    assert 0 < apart.baseline_only + apart.candidate_only <= gate.sent
    again = replay(found, saved_decoders(found, registry), source, registry)
    assert again.same, again.differing
    first = replace(found.parts[0], gates={"1": (1, 1, 0)})
    forged = replay(replace(found, parts=(first,)), saved_decoders(found, registry), source, registry)
    assert forged.differing["mwpm_correlated"].why == "it decoded other shots behind its gate"


@pytest.mark.parametrize(
    ("names", "gated", "told"),
    [
        (["pymatching", "osd"], "osd", "pymatching does not say how sure it is"),
        (["mwpm", "osd"], "mwpm", "has to decode all"),
        (["mwpm", "osd"], "bp_lsd", "none of the decoders"),
    ],
)
def test_a_gate_needs_a_decoder_that_can_choose(registry, source, names, gated, told):
    with pytest.raises(UsageError, match=told):
        compared(names, source, registry, plan(gated=frozenset({gated})))


def test_without_the_decoder_that_chooses_nothing_goes_on_behind_it(registry, source, monkeypatch):
    from autoqec.comparing.decoder_process import DecoderFault, PluginProcess

    fault = DecoderFault("crash", "it ended")
    monkeypatch.setattr(PluginProcess, "choose", lambda process, syndromes, sample: fault)
    how = plan(3000, gated=frozenset({"mwpm_correlated"}))
    found = compared(["mwpm", "mwpm_correlated"], source, registry, how)
    assert [each.failed and each.failed.reason for each in found.decoders] == ["crash", "unusable"]
    assert (found.stopped, found.total) == ("failed", 0)


def test_it_stops_once_every_pair_is_decided(registry, circuit):
    from autoqec.comparing.decoding_source import source_from_circuit

    noisy = source_from_circuit(str(circuit).replace("0.01", "0.04"))
    rule = StoppingRule(True, 200_000)
    found = compared(["mwpm", "mwpm_correlated"], noisy, registry, ComparisonPlan(until=rule, jobs=1, timing_seconds=0))
    assert found.stopped == "decided"
    assert found.total < 200_000
    assert [pair.word for pair in found.pairs()] != ["undecided"]
    # A part earlier it was not decided: it stops at the first look at which it is.
    assert not replace(found, parts=found.parts[:-1]).decided()


def test_sinter_reads_the_rows_and_combines_them(compared_once, tmp_path, capsys):
    sinter = pytest.importorskip("sinter")
    found, _ = compared_once
    path = tmp_path / "it.csv"
    write_rows(found, path)
    read = sinter.read_stats_from_csv_files(path)
    assert {each.decoder: (each.shots, each.errors) for each in read} == {
        decoder.label: (SHOTS, found.rate(place).failures) for place, decoder in enumerate(found.decoders)
    }
    assert [row.decoder for row in read_rows(path.read_text(), name="it")] == [each.label for each in found.decoders]
    main = importlib.import_module("sinter._command._main").main  # what the script `sinter` calls
    assert not main(command_line_args=["combine", str(path), str(path)])
    assert f"{2 * SHOTS}," in capsys.readouterr().out
    plotted = tmp_path / "it.png"
    plot = ["plot", "--in", path, "--group_func", "decoder", "--x_func", "1", "--out", plotted]
    assert not main(command_line_args=[str(each) for each in plot])
    assert plotted.stat().st_size > 0


def test_pieces_are_the_same_wherever_one_begins():
    whole = list(pieces(0, 20_000))
    assert whole[:6] == [(0, 256), (256, 256), (512, 512), (1024, 1024), (2048, 2048), (4096, 4096)]
    assert sum(count for _, count in whole) == 20_000
    for first in (256, 4096, 12_288):
        assert list(pieces(first, 20_000)) == [each for each in whole if each[0] >= first]
    assert list(pieces(300, 5000, (1000,))) == [
        (300, 212),
        (512, 488),
        (1000, 24),
        (1024, 1024),
        (2048, 2048),
        (4096, 904),
    ]
    assert [part_size(before) for before in (0, 4096, 16 * 4096, 10**7)] == [1, 256, 4096, 625_000]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ([], StoppingRule(True, 10_000_000)),
        (["decided"], StoppingRule(True, 10_000_000)),
        (["1_000shots"], StoppingRule(False, 1000)),
        (["1e6 shots", "decided"], StoppingRule(True, 1_000_000)),
        (["5,000 shots", "2min", "90s"], StoppingRule(False, 5000, 90.0)),
        (["1.5h"], StoppingRule(False, 10**15, 5400.0)),
    ],
)
def test_when_to_stop_is_read(words, rule):
    assert read_until(words) == rule


@pytest.mark.parametrize("word", ["", "soon", "100", "-5shots", "0shots", "1e99shots", "5 parsecs", "nan s"])
def test_what_does_not_say_when_to_stop_is_refused(word):
    with pytest.raises(UsageError) as caught:
        read_until([word])
    assert "--until 60s" in caught.value.hint
