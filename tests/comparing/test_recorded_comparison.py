"""Decoders compared on recorded shots: all of them, an exact test at the end, and a file that knows what was read."""

import json
from dataclasses import replace

import numpy as np
import pymatching
import pytest
import stim
from scipy.stats import binomtest

import autoqec
from autoqec.cli.main import run
from autoqec.comparing.compare_decoders import ComparisonInterrupted, ComparisonPlan, compare
from autoqec.comparing.comparison_file import read_comparison, write_comparison
from autoqec.comparing.decoder_names import read_decoders
from autoqec.comparing.decoding_source import source_from_environment
from autoqec.comparing.recorded_source import RecordedSource
from autoqec.comparing.replaying import replay
from autoqec.comparing.stopping_rule import StoppingRule
from autoqec.errors import NotFoundError, UsageError
from autoqec.results.decoder_comparison import comparison_json
from autoqec.views.decoders_text import comparison_lines, markdown_lines
from tests.plugins.test_finite_holdout import environment

SHOTS, NAMES = 9_000, ["mwpm", "mwpm_correlated"]


@pytest.fixture(scope="module")
def files(problem, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    paths = folder / "events.b8", folder / "flips.01"
    problem.circuit.compile_detector_sampler(seed=3).sample_write(
        SHOTS, filepath=str(paths[0]), format="b8", obs_out_filepath=str(paths[1]), obs_out_format="01"
    )
    return paths


@pytest.fixture(scope="module")
def compared(registry, source, files, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "it.json"
    return compare_them(registry, source, files, path), path


def compare_them(registry, source, files, path, **more):
    # A rule that would stop earlier does not apply.
    how = ComparisonPlan(until=StoppingRule(True, 500), jobs=1, timing_seconds=0, save=path)
    decoders = read_decoders(NAMES, registry)
    return compare(decoders, source, how, shots=lambda each: RecordedSource(each, *files), registry=registry, **more)


def test_all_shots_are_counted_as_pymatching_counts_them_and_the_test_is_exact(compared, problem, files):
    found, _ = compared
    events = np.fromfile(files[0], np.uint8).reshape(SHOTS, -1)
    truth = stim.read_shot_data_file(path=files[1], format="01", num_observables=1)
    fails = []
    for correlated in (False, True):
        matching = pymatching.Matching.from_detector_error_model(problem.dem, enable_correlations=correlated)
        told = matching.decode_batch(events, bit_packed_shots=True, enable_correlations=correlated)
        fails.append((told != truth).any(axis=1))
    assert (found.total, found.stopped, found.complete) == (SHOTS, "shots", True)
    assert [found.rate(place).failures for place in (0, 1)] == [each.sum() for each in fails]
    first, second = (int((one & ~other).sum()) for one, other in (fails, fails[::-1]))
    (pair,) = found.pairs()
    assert pair.p_better == pytest.approx(binomtest(second, first + second, alternative="less").pvalue, rel=1e-9)
    assert pair.word == ("better" if pair.p_better <= 0.05 else "undecided")
    assert comparison_json(found)["results"]["pairs"][0]["mcnemar_p"] == pair.p_better


def test_what_is_printed_says_that_the_shots_are_recorded(compared):
    found, _ = compared
    lines = comparison_lines(found)
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "p better" in text
    assert "the shots are recorded, their number was fixed" in text
    assert "events.b8 sha256" in text
    assert "key" not in text
    assert "p better" in "\n".join(markdown_lines(found))


def test_a_comparison_that_is_not_complete_has_no_word(compared, registry, source, files, tmp_path):
    found, _ = compared
    half = tmp_path / "half.json"

    def interrupt(event):
        if event.stage == "count" and event.comparison.total >= 1000:
            raise KeyboardInterrupt

    with pytest.raises(ComparisonInterrupted) as caught:
        compare_them(registry, source, files, half, progress=interrupt)
    (pair,) = caught.value.comparison.pairs()
    assert (pair.word, pair.p_better) == ("undecided", None)
    assert "not all shots are decoded yet" in " ".join(" ".join(comparison_lines(caught.value.comparison)).split())
    on = compare_them(registry, source, files, half)
    assert [replace(part, seconds=()) for part in on.parts] == [replace(part, seconds=()) for part in found.parts]


def test_all_pairs_share_the_error_budget(compared):
    found, _ = compared
    third = replace(found.decoders[1], label="other")
    three = replace(found, decoders=(*found.decoders, third))
    assert three.pair_alpha == pytest.approx(0.05 / 3)
    unsure = replace(found, parts=(replace(found.parts[0], shots=SHOTS, failed={"1": 20, "2": 9, "3": 5}),))
    (pair,) = unsure.pairs()
    assert pair.p_better == pytest.approx(binomtest(9, 29, alternative="less").pvalue)
    assert (0.05 / 3 < pair.p_better < 0.05, pair.word) == (True, "better")
    both = replace(unsure, decoders=three.decoders)
    assert both.pair(0, 1).word == "undecided"


def test_a_replay_reads_the_same_files_and_no_others(compared, registry, source, files, tmp_path):
    found, path = compared
    decoders = read_decoders(NAMES, registry)
    assert replay(found, decoders, source, registry).same
    moved = [tmp_path / each.name for each in files]
    for old, new in zip(files, moved, strict=True):
        new.write_bytes(old.read_bytes())
    assert replay(found, decoders, source, registry, files=moved).same
    altered = moved[1].read_bytes()
    moved[1].write_bytes((b"0" if altered[:1] == b"1" else b"1") + altered[1:])
    for given, said in ((moved, "is not the file"), (moved[:1], "give as many")):
        with pytest.raises(UsageError) as caught:
            replay(found, decoders, source, registry, files=given)
        assert said in f"{caught.value.problem} {caught.value.hint}"
    with pytest.raises(NotFoundError, match="cannot read"):
        replay(found, decoders, source, registry, files=[moved[0], tmp_path / "none"])
    # Counts that somebody altered are found out.
    part = found.parts[-1]
    more = {**part.failed, "1": part.failed.get("1", 0) + 1}
    forged = replace(found, parts=(*found.parts[:-1], replace(part, failed=more)))
    assert not replay(forged, decoders, source, registry).same
    too_many = tmp_path / "many.json"
    write_comparison(replace(found, shots=replace(found.shots, total=SHOTS - 1)), too_many)
    with pytest.raises(UsageError, match="at least as many shots as were decoded"):
        read_comparison(too_many)
    assert read_comparison(path) == found


def test_the_command_reads_files_and_says_what_does_not_go_together(files, problem, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it.dem").write_text(str(problem.dem))
    given = ["compare", *NAMES, "--dem", "it.dem", "--quiet"]
    shots = ["--shots", str(files[0]), "--observables", str(files[1])]
    for more, said in (
        ([*shots[2:]], "--observables belongs to recorded shots"),
        ([*shots, "--until", "60s"], "--until does not apply"),
        ([*shots, "--key", "00" * 32], "--key does not apply"),
        (["--shots", str(files[1])], "bad_shots"),
    ):
        assert run([*given, *more]) == 2
        assert said in capsys.readouterr().err
    assert run([*given, *shots, "--timing", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["shots"]["kind"] == "recorded"
    assert told["shots"]["total"] == SHOTS


def test_python_reads_the_same_files(compared, circuit, files, tmp_path):
    found, _ = compared
    own = autoqec.compare(NAMES, circuit, shots=files[0], observables=str(files[1]), jobs=1, timing_seconds=0)
    assert [replace(part, seconds=()) for part in own.record.parts] == [replace(p, seconds=()) for p in found.parts]
    decide = [row["mcnemar_p"] for row in own.pairs.rows()]
    assert decide == [pair.p_better for pair in found.pairs()]
    assert None not in decide
    for given in ({"observables": files[1]}, {"shots": files[0], "key": "00" * 32}):
        with pytest.raises(UsageError, match="recorded shots"):
            autoqec.compare(NAMES, circuit, **given)


def test_the_holdout_of_an_environment_is_not_compared_on():
    with pytest.raises(UsageError, match="are recorded, and part of them is its holdout"):
        source_from_environment(environment())
