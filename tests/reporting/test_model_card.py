"""Model cards and citation files: what the readers of others find in them, and text that stays text."""

import importlib.util
import json
import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from autoqec.cli.main import run
from autoqec.errors import UsageError
from autoqec.exchange.package import package_of
from autoqec.history import open_ledger
from autoqec.reporting.model_card import METRICS, card_writer, citation
from autoqec.reporting.recorded_lab import RecordedRound, read_round
from autoqec.results.statistics import rate_interval

ROOT = Path(__file__).parent.parent.parent
HOSTILE = 'x: [y]\n---\n# <script>alert(1)</script> @everyone ![a](http://e.example/) "quoted" \x1b[2J {front}'


@pytest.fixture(scope="module")
def lab(played, tmp_path_factory):
    """The ledger of a lab with a licence, its first round, and where that is exported with its card."""
    folder = tmp_path_factory.mktemp("card") / "lab"
    shutil.copytree(played.folder, folder)
    (folder / "LICENSE").write_text("Do as you like.\n")
    for args in (["add", "LICENSE"], ["commit", "-q", "-m", "licence"]):
        subprocess.run(["git", *args], cwd=folder, check=True)
    ledger = open_ledger(folder)
    found = read_round(ledger, played.rounds[0]["branch"])
    out = tmp_path_factory.mktemp("card") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["export", found.row.branch, "--to", str(out), "--card", "--license", "Apache-2.0"]) == 0
    return ledger, found, out


def front_matter(text):
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)[1])


def test_the_front_matter_says_what_was_counted(lab):
    _, found, out = lab
    front = front_matter((out / "README.md").read_text())
    assert (front["license"], front["library_name"]) == ("apache-2.0", "autoqec")
    (entry,) = front["model-index"]
    (result,) = entry["results"]
    args = result["dataset"]["args"]
    for name, file in (("circuit", "circuit.stim"), ("error_model", "model.dem")):
        assert args[f"{name}_sha256"] == sha256((out / file).read_bytes()).hexdigest()
    metrics = {each["type"]: each for each in result["metrics"]}
    assert {name: each["name"] for name, each in metrics.items()} == METRICS
    rate, verdict = metrics["logical_error_rate"], found.results.verdict
    counts = verdict.extension
    assert rate["args"]["failures"] == counts.both + counts.candidate_only
    assert metrics["logical_error_rate_baseline"]["args"]["failures"] == counts.both + counts.baseline_only
    assert (rate["args"]["shots"], rate["value"]) == (counts.shots, verdict.figures.ler_candidate)
    assert rate["args"]["interval"] == list(rate_interval(rate["args"]["failures"], counts.shots))
    assert rate["args"]["replay"]["seed_key"] == verdict.evidence.attempt.seed_key
    assert (rate["args"]["verdict"], rate["args"]["trust"]) == (verdict.verdict, "unsigned")
    assert [each["decoder"] for each in rate["args"]["references"]] == ["mwpm_correlated"]
    assert metrics["parameters"]["value"] == found.row.holdout.params


def test_the_folder_lists_what_the_card_added(lab):
    _, _, out = lab
    manifest = json.loads((out / "manifest.json").read_text())
    assert {"CITATION.cff", "LICENSE", "README.md"} <= set(manifest["files"])
    assert (out / "LICENSE").read_text() == "Do as you like.\n"
    readme = (out / "README.md").read_text()
    assert "| `LICENSE` | the licence |" in readme
    assert "## Figures" in readme


@pytest.mark.skipif(importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed")
def test_hugging_face_reads_it(lab):
    from huggingface_hub import ModelCard

    _, found, out = lab
    card = ModelCard.load(out / "README.md", ignore_metadata_errors=False)
    assert card.data.license == "apache-2.0"
    assert card.data.model_name == found.name
    assert [each.metric_type for each in card.data.eval_results] == list(METRICS)
    assert {each.dataset_name for each in card.data.eval_results} == {"tiny"}
    assert yaml.safe_load(str(card.data)) == front_matter((out / "README.md").read_text())


def is_citation(data):
    """What version 1.2.0 of the format asks of every file."""
    assert data["cff-version"] == "1.2.0"
    assert all(
        isinstance(data[name], str) and data[name] for name in ("message", "title", "type", "version", "abstract")
    )
    assert data["authors"]
    assert all(set(each) == {"name"} for each in data["authors"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", str(data.get("date-released", "2026-01-01")))


def conforms(data):
    """As the schema of the format says, where a package that has it is installed."""
    schemas = importlib.util.find_spec("cffconvert")
    if schemas is None or importlib.util.find_spec("jsonschema") is None:
        pytest.skip("cffconvert, which has the schema, or jsonschema is not installed")
    import jsonschema

    schema = json.loads((Path(schemas.origin).parent / "schemas/1.2.0/schema.json").read_text())
    jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).validate(data)


def citations(out):
    return [yaml.safe_load(path.read_text()) for path in (out / "CITATION.cff", ROOT / "CITATION.cff")]


def test_the_citation_files_say_what_is_needed(lab):
    for data in citations(lab[2]):
        is_citation(data)
    own, project = citations(lab[2])
    assert own["commit"] == lab[1].record.commit
    author = subprocess.run(
        ["git", "log", "-1", "--format=%an", own["commit"]],
        cwd=lab[0].workdir,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert (own["authors"], own["license"]) == ([{"name": author}], "Apache-2.0")
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["version"], project["license"]) == (known["version"], known["license"])
    assert project["keywords"] == known["keywords"]


def test_the_citation_files_conform_to_the_schema(lab):
    for data in citations(lab[2]):
        conforms(data)


def test_names_and_words_are_text(lab, monkeypatch):
    """Whatever a name, a hypothesis or a story says, each is one value of the YAML and no markup of the page."""
    ledger, found, _ = lab
    monkeypatch.setattr("autoqec.reporting.model_card.author_of", lambda *_: (HOSTILE, "2026-01-01"))
    hostile = replace(found, row=replace(found.row, hypothesis=HOSTILE))
    environment = package_of(ledger, found.row.run, found.row.round).environment.environment
    environment = environment.model_copy(update={"story": HOSTILE})
    card = card_writer(ledger, hostile, environment, None)({"circuit.stim": "0" * 64})
    front = front_matter(card.front_matter)
    assert "license" not in front
    assert list(front) == ["library_name", "tags", "model-index"]
    for sign in ("<script>", "\x1b", "\n---\n", "\n# <"):
        assert sign not in card.sections
    cited = yaml.safe_load(card.files["CITATION.cff"].decode())
    assert cited == citation(ledger, hostile, environment, None)
    is_citation(cited)
    words = " ".join(HOSTILE.split()).replace("\x1b", "\\x1b")
    assert (cited["authors"], cited["abstract"]) == ([{"name": words}], words)


def test_a_round_without_figures_has_no_card(lab):
    ledger, found, _ = lab
    bare = RecordedRound(found.row, replace(found.record, metrics=None, verdict=None), ledger)
    environment = package_of(ledger, found.row.run, found.row.round).environment.environment
    with pytest.raises(UsageError, match="has no figures"):
        card_writer(ledger, bare, environment, None)


@pytest.mark.parametrize(
    ("args", "says"), [(["--license", "MIT"], "goes into the card"), (["--card", "--license", "a b"], "SPDX")]
)
def test_what_makes_no_card_is_said(lab, monkeypatch, capsys, tmp_path, args, says):
    monkeypatch.chdir(lab[0].workdir)
    assert run(["export", lab[1].row.branch, "--to", str(tmp_path / "out"), *args]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
