"""The notebooks of the docs run, are small, and are what the pages of the site show."""

import json
import re

import nbformat
import numpy as np
import pytest
from document_blocks import ROOT
from notebook_pages import MOST_BYTES, NOTEBOOKS, code_cells, page, prepare, run, settled

from autoqec.api.lab_rounds import Round
from autoqec.loop import many_rounds
from autoqec.testing import figures, record_round, untrained


def shown(notebook):
    return notebook.stem


def test_none_is_lost():
    assert [each.stem for each in NOTEBOOKS] == ["bring-your-own-code", "compare-decoders", "look-at-a-lab"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=shown)
def test_the_page_is_the_notebook(notebook):
    """If this fails: python tests/docs/notebook_pages.py --pages."""
    assert notebook.with_suffix(".md").read_text() == page(notebook)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=shown)
def test_it_is_stored_with_its_outputs_and_nothing_else(notebook):
    text = notebook.read_text()
    told = nbformat.reads(text, as_version=4)
    nbformat.validate(told)
    assert len(text) < MOST_BYTES
    assert "/tmp/" not in text
    outputs = [output for cell in told.cells for output in cell.get("outputs", ())]
    assert outputs
    assert {output.output_type for output in outputs} <= {"execute_result", "stream"}
    for cell in told.cells:
        assert cell.cell_type == "markdown" or (cell.execution_count is None and cell.metadata == {})


def by_name(name):
    return next(notebook for notebook in NOTEBOOKS if notebook.stem == name)


def test_looking_at_a_lab_shows_what_is_stored(tmp_path):
    """With a real kernel. If this fails because the program shows something better: python tests/docs/notebook_pages.py."""
    notebook = by_name("look-at-a-lab")
    again = settled(run(notebook, tmp_path), tmp_path)
    for cell, stored in zip(again.cells, nbformat.read(notebook, as_version=4).cells, strict=True):
        assert words(cell) == words(stored), cell.source


def words(cell):
    """What a cell printed, without the tags of tables: pandas chooses those of its own."""
    return re.sub(r"<[^>]*>", " ", json.dumps(cell.get("outputs"), sort_keys=True).replace("\\n", " ")).split()


@pytest.mark.slow
@pytest.mark.parametrize("notebook", [each for each in NOTEBOOKS if each.stem != "look-at-a-lab"], ids=shown)
def test_it_runs_in_a_kernel(notebook, tmp_path):
    again = settled(run(notebook, tmp_path), tmp_path)
    for cell, stored in zip(again.cells, nbformat.read(notebook, as_version=4).cells, strict=True):
        kinds = [[output.output_type for output in each.get("outputs", ())] for each in (cell, stored)]
        assert kinds[0] == kinds[1], cell.source


def in_this_process(notebook, **shorter):
    """Run the code of a notebook here, cell by cell, and return its names; words in it may be replaced by others."""
    names = {"__name__": "notebook"}
    for place, source in enumerate(code_cells(notebook)):
        for word, other in shorter.items():
            source = source.replace(word, other)
        exec(compile(source, f"{notebook.name}, code cell {place + 1}", "exec"), names)
    return names


def test_bringing_your_own_code_runs(tmp_path, monkeypatch, capsys):
    """With a round that is recorded and not trained; `test_it_runs_in_a_kernel` runs a whole one."""

    def round_of(session):
        session.event("step", round=1, step="claim")
        sealed = untrained({"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 3\n"}, session.problem)
        told = {"verdict": "VERIFIED", "reason": "better", **figures()}
        record_round(session.ledger, session.run, sealed.files, weights=sealed.weights, metrics=figures(), verdict=told)
        return session.records()[-1]

    notebook = by_name("bring-your-own-code")
    prepare(notebook, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(many_rounds, "run_round", round_of)
    names = in_this_process(notebook)
    assert isinstance(names["found"], Round)
    assert names["predicted"].shape == names["flips"].shape
    assert np.array_equal(names["failed"], (names["predicted"] != names["flips"]).any(axis=1))
    assert names["failed"].mean() < 0.1
    assert "failures in 20,000 shots" in capsys.readouterr().out
    assert not (tmp_path / "research/envs/memory.yaml").exists()
    assert ROOT not in (tmp_path, *tmp_path.parents)


def test_comparing_decoders_runs(tmp_path, monkeypatch):
    """With fewer shots; `test_it_runs_in_a_kernel` draws all."""
    monkeypatch.chdir(tmp_path)
    fewer = {"40000shots": "1500shots", "0.2,": "0,", "=40_000": "=200", "4_000": "200"}
    names = in_this_process(by_name("compare-decoders"), **fewer)
    rows = names["found"].rows()
    assert [(row["decoder"], row["shots"]) for row in rows] == [("mwpm", 1500), ("mwpm_correlated", 1500), ("osd", 200)]
    assert [row["failed"] for row in rows] == [None] * 3
    assert all(0 < row["shots"] <= 200 for row in names["swept"].rows())
    assert (tmp_path / "sweep.svg").exists()
