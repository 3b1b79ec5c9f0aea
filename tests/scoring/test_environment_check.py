"""`env check`: exactly so many shots, on the same ones; times; interrupts; what a verdict can show."""

import json
from math import log

import numpy as np
import pytest

from autoqec.cli.main import run as run_command
from autoqec.decoding.decoder_contract import Decoded
from autoqec.errors import AutoQECError
from autoqec.loop import training_probe
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.results.counts import PairedCounts
from autoqec.results.measured_decoder import MeasuredDecoder
from autoqec.results.resolvable_gain import DIFFERING, _shown, resolvable_gain
from autoqec.results.round_time import PartTimes, round_time
from autoqec.results.statistics import log_e_better
from autoqec.scoring import baseline, timed_decoding
from autoqec.scoring.baseline import CheckRequest, describe_environment
from autoqec.scoring.timed_decoding import TimedDecoding
from autoqec.settings_schema import BUILTIN_PROFILES

ENVIRONMENT = """
name: e
code: {kind: dem, path: m.dem}
decoder: mwpm
references: [mwpm_correlated]
protocol: {score_shots: 5000, max_shots: 100000}
"""
DEM = b"error(0.1) D0 L0\nerror(0.1) D0 D1\nerror(0.1) D1\nerror(0.01) D0 D1 ^ D2\nerror(0.01) D2\n"


@pytest.fixture(scope="module")
def loaded():
    return environment_from_files({ENVIRONMENT_FILE: ENVIRONMENT.encode(), "m.dem": DEM}, origin="e.yaml")


@pytest.fixture(scope="module")
def registry():
    return load_plugins()


@pytest.fixture(scope="module")
def problem(loaded, registry):
    return build_problem(loaded, registry.maker("code"))


class Fixed:
    """Answers nothing, wrongly so for every `each`-th shot; takes no beliefs."""

    def __init__(self, each=0, stop=None):
        self.each, self.stop, self.decoded = each, stop, 0

    def decode(self, syndromes, beliefs=None):
        self.decoded += len(syndromes)
        if self.stop is not None and self.decoded > self.stop:
            raise KeyboardInterrupt
        invalid = np.zeros(len(syndromes), dtype=bool)
        if self.each:
            invalid[:: self.each] = True
        return Decoded(np.zeros((len(syndromes), 1), dtype=np.uint8), invalid)


def test_every_decoder_has_exactly_as_many_shots_as_were_asked_for(loaded, registry):
    seen = []
    facts = describe_environment(loaded, registry, CheckRequest(6001), lambda *told: seen.append(told))
    assert {rate["shots"] for rate in facts["decoders"].values()} == {6001}
    assert facts["requested_shots"] == 6001
    assert not facts["interrupted"]
    assert ("mwpm", 6001, 6001) in seen
    for rate in facts["decoders"].values():
        low, high = rate["us_per_shot_quartiles"]
        assert 0 < low <= high
        assert rate["same_shots"]["shots"] == 6001
        assert rate["failures"] == rate["same_shots"]["both"] + rate["same_shots"]["candidate_only"]
    assert (facts["graph_like"], facts["graph_like_share"]) == (4, 0.8)
    assert facts["round"]["score"] > 0
    assert facts["round"]["us_with_beliefs"] > 0
    json.dumps(facts)


def test_the_protocol_says_how_many_where_nobody_else_does(loaded, registry):
    facts = describe_environment(loaded, registry, CheckRequest())
    assert facts["decoders"]["mwpm"]["shots"] == 5000
    assert facts["gain"]["shots"] == 100_000


def test_a_slow_reference_says_on_how_many_shots_unless_they_were_asked_for(loaded, registry, monkeypatch):
    monkeypatch.setattr(baseline, "_REFERENCE_SECONDS", -1.0)
    facts = describe_environment(loaded, registry, CheckRequest())
    assert "mwpm_correlated" not in facts["decoders"], "no time at all"
    monkeypatch.setattr(baseline, "_REFERENCE_SECONDS", 0.0)
    facts = describe_environment(loaded, registry, CheckRequest())
    shots = facts["decoders"]["mwpm_correlated"]["shots"]
    assert 0 < shots < 5000
    assert any(f"it decoded {shots} of these shots" in found["finding"] for found in facts["findings"])
    facts = describe_environment(loaded, registry, CheckRequest(5000))
    assert facts["decoders"]["mwpm_correlated"]["shots"] == 5000


def test_a_reference_that_is_worse_on_the_same_shots_is_named(loaded, registry, monkeypatch):
    monkeypatch.setattr(baseline, "compile_references", lambda *given: ({"poor": Fixed(2), "same": Fixed()}, {}))
    facts = describe_environment(loaded, registry, CheckRequest(4096))
    (found,) = (
        found["finding"] for found in facts["findings"] if found["field"] == "references" and "poor" in found["finding"]
    )
    counts = facts["decoders"]["poor"]["same_shots"]
    assert found == (
        f"poor is worse than mwpm on the same 4,096 shots: it fails on {counts['candidate_only']:,} where mwpm does not, and"
        f" the other way round on {counts['baseline_only']:,}"
    )


def test_what_was_counted_before_an_interrupt_is_kept(loaded, registry, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(baseline, "compile_references", lambda *given: ({"slow": Fixed(stop=5000)}, {}))
    facts = describe_environment(loaded, registry, CheckRequest(9000))
    assert facts["interrupted"]
    assert facts["decoders"]["mwpm"]["shots"] == 8192
    assert 4096 <= facts["decoders"]["slow"]["shots"] <= 5000
    assert facts["round"] is None

    (tmp_path / "e.yaml").write_text(ENVIRONMENT)
    (tmp_path / "m.dem").write_bytes(DEM)
    assert run_command(["env", "check", str(tmp_path / "e.yaml"), "--shots", "9000"]) == 130
    out, err = capsys.readouterr()
    assert "these are the shots counted so far, of 9,000" in out
    assert "LER mwpm" in out
    assert run_command(["env", "check", str(tmp_path / "e.yaml"), "--shots", "9000", "--json", "-q"]) == 130
    out, err = capsys.readouterr()
    assert json.loads(out)["interrupted"]
    assert err == ""


def test_nothing_is_printed_where_nothing_was_counted(loaded, registry, monkeypatch):
    monkeypatch.setattr(baseline, "compile_decoder", lambda *given: Fixed(stop=0))
    with pytest.raises(KeyboardInterrupt):
        describe_environment(loaded, registry, CheckRequest(100))


def test_the_first_line_comes_before_anything_heavy(tmp_path, monkeypatch, capsys):
    def heavy():
        raise KeyboardInterrupt

    monkeypatch.setattr("autoqec.plugins.load_plugins", heavy)
    assert run_command(["env", "check", "surface_d3_depol"]) == 130
    assert capsys.readouterr().err.startswith("reading surface_d3_depol and compiling its decoders\n")


def test_shots_are_drawn_alike_for_all_and_once_more(problem):
    plain = Fixed()
    decoding = TimedDecoding(
        problem, {"a": plain, "b": Fixed(), "c": Fixed(3)}, b"k" * 32, 5000, None, lambda *told: None
    )
    assert decoding.run()
    counts = decoding.measured["b"].counts
    assert (counts.baseline_only, counts.candidate_only, counts.both) == (0, 0, decoding.measured["a"].failures)
    assert sum(len(drawn) for drawn in decoding.again()) == 5000
    truth = np.concatenate([drawn.observables for drawn in decoding.again()])
    assert int(truth.any(axis=1).sum()) == decoding.measured["a"].failures


def test_batches_grow_to_a_quarter_of_a_second_and_shrink_again():
    assert timed_decoding._next_size(16, 1e-6) == 128
    assert timed_decoding._next_size(1024, 1e-3) == 4096
    assert timed_decoding._next_size(16, 8.0) == 1


def test_the_time_of_a_shot_leaves_the_first_small_batches_out_of_its_spread():
    measured = MeasuredDecoder("d", PairedCounts(2216, 0, 0, 5), [(16, 1.0), (200, 2e-4), (1000, 1e-3), (1000, 3e-3)])
    time = measured.time
    assert time.batches == 2
    assert (time.low, time.high) == (1.5, 2.5)
    assert time.mean == pytest.approx(1e6 * 1.0042 / 2216)
    assert not MeasuredDecoder("d").is_worse
    assert MeasuredDecoder("d", PairedCounts(100, 0, 0, 10)).is_worse
    assert not MeasuredDecoder("d", PairedCounts(100, 0, 10, 0)).is_worse


@pytest.mark.parametrize(("failures", "verdict"), [(1000, 2_000_000), (100, 100_000), (12, 10_000_000)])
def test_the_ratio_that_shows_is_the_largest_by_the_test_of_verdicts(failures, verdict):
    gain = resolvable_gain(failures, 65_536, 1.0, verdict, 0.05)
    ler = failures / 65_536
    assert _shown(gain.ratio, DIFFERING, ler, verdict, gain.level)
    assert not _shown(gain.ratio + 0.02 * (1 - gain.ratio) + 3 / (verdict * ler), DIFFERING, ler, verdict, gain.level)
    assert gain.ratio < gain.ratio_at_best < 1
    # By hand: differing on two thirds as many shots as there are failures, of which so many are corrected.
    base = round(verdict * ler)
    fewer, both_ways = (1 - gain.ratio) * base, max(DIFFERING * base, (1 - gain.ratio) * base)
    corrected, made = round((both_ways + fewer) / 2), round((both_ways - fewer) / 2)
    evidence = log_e_better(PairedCounts(verdict, base - corrected, corrected, made))
    assert evidence == pytest.approx(log(1 / gain.level), abs=1.5)


def test_too_few_failures_show_nothing():
    gain = resolvable_gain(0, 65_536, 1e-6, 100_000, 0.05)
    assert (gain.ratio, gain.ratio_at_best, gain.at_most) == (None, None, True)


def test_a_verdict_that_can_show_nothing_is_a_finding(registry):
    text = ENVIRONMENT.replace("max_shots: 100000", "max_shots: 8192")
    quiet = b"error(0.001) D0 L0\nerror(0.001) D0 D1\nerror(0.001) D1\n"
    found = environment_from_files({ENVIRONMENT_FILE: text.encode(), "m.dem": quiet}, origin="e.yaml")
    facts = describe_environment(found, registry, CheckRequest(4096))
    (finding,) = (each for each in facts["findings"] if each["field"] == "protocol.max_shots")
    assert "the 8,192 shots of a verdict can show no gain at this LER" in finding["finding"]
    assert finding["line"] == 6


def test_a_round_is_the_sum_of_its_parts():
    time = round_time(PartTimes(1e-6, 2e-6, 7e-6, 5e-6), train_seconds=300, score_shots=1000, verdict_shots=10_000)
    assert (time.score, time.verdict_at_most, time.train_at_most) == pytest.approx((0.015, 0.1, 300))
    without = round_time(PartTimes(1e-6, 2e-6, None, 0), train_seconds=1, score_shots=1000, verdict_shots=1)
    assert without.score == pytest.approx(0.005)


def test_training_is_measured_if_asked(loaded, registry, monkeypatch, tmp_path, capsys):
    asked = {}

    def train(files, dems, decoder, *, report, max_shots, **more):
        asked.update(files=files, dems=dems, max_shots=max_shots)
        clock = iter((0.0, 90.0, 92.0))  # the first step takes long: something is compiled
        monkeypatch.setattr(training_probe.time, "monotonic", lambda: next(clock))
        report({"step": 0, "shots": 0, "planned": 400})
        report({"step": 10, "shots": 1000, "planned": 400})
        report({"step": 30, "shots": 3000, "planned": 400})
        raise AssertionError("two seconds are enough")

    monkeypatch.setattr(training_probe, "train_candidate", train)
    # 2,000 shots in the two seconds after the first step, 40,000 in all.
    assert training_probe.seconds_of_training(loaded, registry, BUILTIN_PROFILES["dev"]) == pytest.approx(40.0)
    assert any(path.startswith("stages/") for path in asked["files"])
    assert asked["max_shots"] == BUILTIN_PROFILES["dev"].train_shots
    monkeypatch.undo()

    monkeypatch.setattr(training_probe, "seconds_of_training", lambda *given: 40.0)
    (tmp_path / "e.yaml").write_text(ENVIRONMENT)
    (tmp_path / "m.dem").write_bytes(DEM)
    assert run_command(["env", "check", str(tmp_path / "e.yaml"), "--shots", "100", "--training"]) == 0
    assert "about 40 s to train" in capsys.readouterr().out


def test_what_cannot_be_trained_is_not_measured(loaded, registry, monkeypatch):
    def train(*given, **more):
        raise AutoQECError("no")

    monkeypatch.setattr(training_probe, "train_candidate", train)
    assert training_probe.seconds_of_training(loaded, registry, BUILTIN_PROFILES["dev"]) is None
