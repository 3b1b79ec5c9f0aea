"""`autoqec compare`: what it prints and where, how it ends, and what is refused before anything begins."""

import json
import shlex

import pytest
import stim

from autoqec.cli.main import _what_is_left
from autoqec.cli.main import run as run_command

KEY = "07" * 32


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command, in a folder that is in no repository and has a circuit."""
    noise = {"after_clifford_depolarization": 0.02, "before_measure_flip_probability": 0.02}
    stim.Circuit.generated("surface_code:rotated_memory_z", distance=3, rounds=2, **noise).to_file(tmp_path / "c.stim")
    (tmp_path / "silent.stim").write_text("M 0")
    monkeypatch.chdir(tmp_path)

    def call(*args):
        code = run_command(["compare", *args])
        return code, *capsys.readouterr()

    return call


SHORT = ("--circuit", "c.stim", "--until", "1000shots", "--timing", "0", "--key", KEY, "--jobs", "1")


def test_a_table_on_stdout_progress_on_stderr_and_a_file_that_repeats_it(run, tmp_path):
    code, out, err = run(
        "mwpm", "mwpm_correlated", *SHORT, "--save", "it.json", "--csv", "it.csv", "--per", "round", "--rounds", "2"
    )
    assert code == 0
    assert "c.stim: 16 detectors" in out
    assert "LER per round" in out
    assert f"shots by key {KEY}" in out
    assert all(len(line) <= 80 and line == line.rstrip() for line in out.splitlines())
    assert err.splitlines()[:2] == ["reading what is decoded", "starting 2 decoders"]
    assert "1,000" in err or "512" in err
    assert (tmp_path / "it.csv").read_text().startswith("     shots,    errors")
    saved = json.loads((tmp_path / "it.json").read_text())
    assert saved["schema"] == "autoqec.decoder_comparison/1"
    (tmp_path / "c.stim").unlink()  # the file alone is enough
    code, out, err = run("--replay", "it.json", "-q")
    assert (code, err) == (0, "")
    assert "all shots and all answers are the same" in out.replace("\n", " ")
    part = saved["parts"][0]
    part["answers"][1] = "0" * 16
    (tmp_path / "it.json").write_text(json.dumps(saved))
    code, out, _ = run("--replay", "it.json", "-q", "--json")
    assert code == 1
    assert list(json.loads(out)["differing"]) == ["mwpm_correlated"]


def test_after_an_interruption_what_was_counted_is_printed_and_the_same_command_goes_on(run, monkeypatch):
    from autoqec.views.decoders_progress import DecodersDisplay

    def interrupt(display, stage, detail, comparison, done):
        if comparison.total >= 512:
            raise KeyboardInterrupt

    arguments = ("mwpm", "mwpm_correlated", *SHORT, "--save", "part.json")
    with monkeypatch.context() as patch:
        patch.setattr(DecodersDisplay, "event", interrupt)
        code, out, err = run(*arguments, "-q")
    assert code == 130
    assert "512 shots, the same for all decoders; stopped: interrupted" in out
    assert f"Continue with: autoqec compare {' '.join(arguments)} -q" in err
    code, out, _ = run(*arguments, "-q")
    assert code == 0
    assert "1,000 shots, the same for all decoders; stopped: all shots are decoded" in out


def test_json_has_what_follows_from_the_counts(run):
    code, out, err = run("mwpm", "mwpm_correlated", *SHORT, "--json", "-q", "--baseline", "mwpm_correlated")
    assert (code, err) == (0, "")
    (found,) = map(json.loads, out.splitlines())
    results = found["results"]
    assert [each["label"] for each in results["decoders"]] == ["mwpm", "mwpm_correlated"]
    assert results["decoders"][0]["shots"] == found["parts"][0]["shots"] + sum(p["shots"] for p in found["parts"][1:])
    (pair,) = results["pairs"]
    assert (pair["base"], pair["other"], pair["counts"]["shots"]) == ("mwpm_correlated", "mwpm", 1000)
    assert found["shots"] == {"kind": "keyed", "key": KEY}


def test_tables_of_markdown(run):
    code, out, _ = run("mwpm", "mwpm_correlated", *SHORT, "--markdown", "-q")
    assert code == 0
    assert "| 1 | `mwpm` |" in out


def test_a_decoder_that_fails_ends_with_1_and_the_others_are_there(run, tmp_path):
    (tmp_path / "three.dem").write_text("error(0.1) D0 D1 D2 L0\nerror(0.1) D0 D1\nerror(0.2) D2\n")
    until = ("--until", "500shots", "--timing", "0", "-q", "--jobs", "1")
    code, out, _ = run("vacuous", "mwpm", "pymatching", "--dem", "three.dem", *until)
    text = " ".join(out.split())
    assert code == 1
    assert "2 failed after 0 shots, unusable: mwpm cannot decode three.dem" in text
    assert "500 shots, the same for all decoders" in text


def test_an_environment_at_a_rate(run):
    until = ("--until", "256shots", "--timing", "0", "-q", "--jobs", "1", "--json")
    code, out, _ = run("mwpm", "mwpm_correlated", "--env", "surface_d3_depol", "--p", "0.01", *until)
    assert code == 0
    assert (json.loads(out)["source"]["p"], json.loads(out)["source"]["kind"]) == (0.01, "environment")


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["mwpm", "--circuit", "c.stim"], 2, "two decoders or more"),
        (["mwpm", "mwpm", "--circuit", "c.stim"], 2, "named twice"),
        (["mwpm", "mwpm_correlated"], 2, "nothing to decode is given"),
        (["mwpm", "osd", "a/my.dem"], 2, "hint: autoqec compare mwpm osd --dem a/my.dem"),
        (["mwpm", "my.stim"], 2, "hint: autoqec compare mwpm pymatching --circuit my.stim"),
        (["mwpm", "mwpm_correlated", "--circuit", "c.stim", "--dem", "c.dem"], 2, "--circuit and --dem are given"),
        (["mwpm", "mwpm_correlated", "--circuit", "none.stim"], 3, "there is no file none.stim"),
        (["mwpm", "mwpm_correlated", "--circuit", "silent.stim"], 2, "silent.stim has no detectors"),
        (["mwpm", "mwpm_correlated", "--circuit", "c.stim", "--p", "0.1"], 2, "fixes the noise"),
        (["mwpm", "mwpm_correlated", "--env", "surface_d3_depol", "--p", "7"], 2, "not a probability"),
        (["mwpm", "nothing", "--circuit", "c.stim"], 3, "no decoder named 'nothing'"),
        (["mwpm", "osd:metod=osd_cs", "--circuit", "c.stim"], 2, "metod"),
        (["mwpm", "mwpm_correlated", "--circuit", "c.stim", "--baseline", "osd"], 2, "none of the decoders"),
        (["mwpm", "mwpm_correlated", "--circuit", "c.stim", "--until", "soon"], 2, "does not say when"),
        (["mwpm", "mwpm_correlated", "--circuit", "c.stim", "--per", "round"], 2, "does not say its rounds"),
        (
            ["mwpm", "mwpm_correlated", "--circuit", "c.stim", "--csv", "no/it.csv"],
            1,
            "cannot be written: no folder no",
        ),
        (["mwpm", "mwpm_correlated", "--circuit", "c.stim", "--key", "xyz"], 2, "64 hexadecimal"),
        (["mwpm", "mwpm_correlated", "--circuit", "c.stim", "--fewer", "mwpm"], 2, "number of shots"),
        (["mwpm", "mwpm_correlated", "--circuit", "c.stim", "--fewer", "osd=5"], 2, "none of the decoders"),
        (["mwpm", "--replay", "it.json"], 2, "takes the decoders of the file"),
        (["--replay", "none.json"], 3, "there is no file none.json"),
        (["--replay", "c.stim"], 2, "is no saved comparison"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_decoded(run, args, code, told):
    found, out, err = run(*args, "-q")
    assert (found, out) == (code, "")
    assert told in err
    assert "internal error" not in err


def test_a_round_of_the_lab_takes_part_and_its_folder_is_the_same_decoder(lab, monkeypatch, capsys, tmp_path):
    folder, rounds, _ = lab
    monkeypatch.chdir(folder)
    name = rounds[0]["branch"]
    assert run_command(["export", name, "--to", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    how = ("--env", "tiny", "--until", "1000shots", "--timing", "0.05", "-q", "--jobs", "1", "--json")
    assert run_command(["compare", "mwpm", name, str(tmp_path / "out"), *how]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["label"] for each in found["decoders"]] == ["mwpm", name, str(tmp_path / "out")]
    assert [each.get("fits", "") for each in found["decoders"]] == ["", "trained", "trained"]
    assert found["decoders"][1]["settings"]["digest"] == found["decoders"][2]["settings"]["digest"]
    assert {part["answers"][1] == part["answers"][2] for part in found["parts"]} == {True}
    assert found["decoders"][1]["time"]["single_shots"] >= 1


def test_the_hint_after_an_interruption_names_a_file_that_is_there(tmp_path):
    file = tmp_path / "a b.json"
    for given in (["compare", "mwpm", "osd", "--save", str(file)], ["compare", "mwpm", "osd", f"--save={file}"]):
        file.unlink(missing_ok=True)
        assert _what_is_left(given) == ""
        file.touch()
        assert shlex.split(_what_is_left(given).partition("Continue with: ")[2]) == ["autoqec", *given]
