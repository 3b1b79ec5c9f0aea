"""Reading a lab from Python gives what the commands print, with the trust of one place, and text of others harms nobody."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

import autoqec
from autoqec.api.row_tables import Table
from autoqec.cli.main import run
from autoqec.errors import AutoQECError, MissingPackageError, NotFoundError, UsageError
from autoqec.results.metrics import Metrics
from autoqec.results.verdict import Verdict
from autoqec.testing import TINY_ENVIRONMENT, make_tiny_lab

RUN = "tiny-abcd"


def printed(capsys, folder, monkeypatch, *words):
    monkeypatch.chdir(folder)
    assert run([*words, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_rounds_are_those_that_log_prints(lab, capsys, monkeypatch):
    rows = printed(capsys, lab.path, monkeypatch, "log")
    rounds = lab.rounds()
    assert [each.name for each in rounds] == [row["branch"] for row in rows]
    for found, row in zip(rounds, rows, strict=True):
        assert (found.run, found.number, found.commit) == (row["run"], row["round"], row["commit"])
        assert (found.env, found.status, found.hypothesis) == (row["env"], row["status"], row["hypothesis"])
        assert (found.verdict.verdict if found.verdict else None) == row["verdict"]
        assert ({"state": found.trust.state, "why": found.trust.why} if found.trust else None) == row["trust"]
        assert found.problems == tuple(row["problems"])
        told = found.to_row()
        figures = row["holdout"] or row["metrics"]
        if figures is None:
            assert told["ler_candidate"] is None
        else:
            assert [told[name] for name in ("shots", "delta_ler", "ler_ratio")] == [
                figures[name] for name in ("shots", "delta_ler", "ler_ratio")
            ]
            assert [told["delta_ler_low"], told["delta_ler_high"]] == figures["delta_ler_ci"]
            assert told["flops_per_shot"] == (row["holdout"] or row["metrics"])["flops_per_shot"]


def test_metrics_and_verdict_are_records_and_trust_decides_which_verdict_counts(lab):
    good, forged = lab.round(f"exp/{RUN}/1"), lab.round(f"{RUN}/4")
    assert isinstance(good.metrics, Metrics)
    assert isinstance(good.verdict, Verdict)
    assert good.verified
    assert (good.trust.state, good.trust.counts) == ("unsigned", True)
    assert good.verdict.figures.delta_ler == pytest.approx(0.006, abs=1e-4)
    assert forged.verdict is None
    assert not forged.verified
    assert (forged.trust.state, forged.trust.counts) == ("foreign", False)


def test_the_front_is_that_of_pareto(lab, capsys, monkeypatch):
    rows = printed(capsys, lab.path, monkeypatch, "pareto")
    front = lab.front("tiny")
    assert [each.name for each in front] == [row["branch"] for row in rows]
    assert [front.dominates[each.name] for each in front] == [tuple(row["dominates"]) for row in rows]
    assert [front.confirmed[each.name] for each in front] == [row["confirmed"] for row in rows]
    assert (front.env, front.env_id) == ("tiny", rows[0]["env_id"])
    assert list(lab.front()) == list(lab.front(lab.rounds()[0].environment)) == list(front)


def test_rounds_of_a_run_or_an_environment(lab):
    tiny = lab.environment("tiny")
    assert len(lab.rounds(run=RUN)) == len(lab.rounds(env="tiny")) == len(lab.rounds()) == 5
    assert lab.rounds(env=tiny)[0] == lab.round(f"{RUN}/1")
    assert len(lab.rounds(env=autoqec.Environment.open("surface_d3_depol"))) == 0
    (only,) = lab.runs()
    assert (only.name, only.env, only.environment) == (RUN, "tiny", tiny)
    assert only.created.tzinfo is not None
    assert lab.rounds()[0].environment == tiny


def test_what_is_not_there_is_said_with_what_is(lab, tmp_path):
    with pytest.raises(NotFoundError, match="there is no run 'other'"):
        lab.rounds(run="other")
    with pytest.raises(NotFoundError, match="there is no round"):
        lab.round(f"{RUN}/9")
    with pytest.raises(NotFoundError, match="no round is on environment 'other'; there are tiny"):
        lab.front("other")
    with pytest.raises(NotFoundError, match="no round is on tiny@0000; the rounds are on tiny@"):
        lab.front("tiny@0000")
    with pytest.raises(NotFoundError) as caught:
        autoqec.open(tmp_path / "nowhere")
    assert caught.value.hint == f'make a lab there: autoqec.init("{tmp_path / "nowhere"}")'
    with pytest.raises(NotFoundError, match="is not in a git repository"):
        autoqec.open(tmp_path)
    made = autoqec.init(tmp_path / "nowhere")
    assert made.path == autoqec.open(tmp_path / "nowhere").path
    assert list(made.rounds()) == list(made.runs()) == []
    with pytest.raises(NotFoundError, match="the lab has no rounds yet"):
        made.front()


def test_versions_of_one_environment_have_fronts_of_their_own(tmp_path):
    from autoqec import history
    from autoqec.testing import figures, record_round, record_run

    ledger = make_tiny_lab(tmp_path)
    first = record_run(ledger, "one")
    files = {"environment.yaml": TINY_ENVIRONMENT.replace("0.006", "0.007").encode()}
    from autoqec.problem.environment import environment_from_files

    other = environment_from_files(files, origin="here")
    history.start_run(
        ledger, "two", base=first.base, env_name="tiny", env_id=other.identity, env_files=files, settings={}
    )
    for name in ("one", "two"):
        verdict = {"verdict": "VERIFIED", "reason": "better", **figures()}
        record_round(ledger, history.load_run(ledger, name), {}, metrics=figures(), verdict=verdict)
    lab = autoqec.open(tmp_path)
    with pytest.raises(UsageError, match="there are several versions of tiny: tiny@") as caught:
        lab.front("tiny")
    named = caught.value.hint.removeprefix("lab.front(").rstrip(")").strip('"')
    assert len(lab.front(named)) == 1
    assert [each.run for each in lab.front(lab.round("two/1").environment)] == ["two"]
    assert [each.run for each in lab.rounds(env=lab.round("two/1").environment)] == ["two"]


class Text(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert attrs == []

    def handle_data(self, data):
        self.texts.append(data)


def test_a_notebook_shows_words_of_agents_as_text(lab):
    for shown in (lab.rounds(), lab.front("tiny"), lab.rounds()[0], lab.runs(), lab.runs()[0], lab.environment("tiny")):
        page = shown._repr_html_()
        found = Text(page)
        assert found.tags <= {"p", "table", "thead", "tbody", "tr", "th", "td"}
        assert page.isprintable()
    found = Text(lab.rounds()._repr_html_())
    assert "<script>alert('x')</script> \\x1b[31m \\x202e \"quoted\" & more" in found.texts


def test_a_plain_repr_is_a_line_that_says_what_it_is(lab):
    assert repr(lab) == f"<lab at {lab.path}>"
    assert repr(lab.rounds()) == f"<5 rounds of {lab.path}>"
    assert repr(lab.round(f"{RUN}/1")) == f"<round exp/{RUN}/1: ok, VERIFIED>"
    assert repr(lab.runs()[0]) == f"<run {RUN} on tiny>"
    assert repr(lab.front()) == "<front of tiny: 2 rounds>"


def test_records_of_results_are_lines_too(lab):
    good = lab.round(f"{RUN}/1")
    assert re.fullmatch(
        r"<verdict VERIFIED \(better\): [\d,]+ shots, ratio 0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]>", repr(good.verdict)
    )
    assert re.fullmatch(r"<metrics: 200,704 shots, ratio 0\.\d{3} \[.*\]>", repr(good.metrics))
    assert "script" not in repr(good.trust)
    assert len(repr(good.trust)) < 200


def test_a_part_of_a_list_and_rounds_that_were_chosen_are_tables(lab):
    rounds = lab.rounds()
    assert repr(rounds[1:3]) == f"<part of 5 rounds of {lab.path}>"
    assert [row["name"] for row in rounds[1:3].rows()] == [f"exp/{RUN}/2", f"exp/{RUN}/3"]
    assert rounds[-1] == list(rounds)[-1]
    chosen = autoqec.Rounds(each for each in rounds if each.verified)
    assert repr(chosen) == "<Rounds: 2>"
    assert "<th>hypothesis</th>" in chosen._repr_html_()
    assert "<th>hypothesis</th>" in rounds[:1]._repr_html_()


def test_long_lists_and_long_words_are_cut_and_counted():
    class Row:
        def to_row(self):
            return {"word": "x" * 1000}

    class Many(Table):
        shown = ("word", "absent")

    page = Many([Row()] * 1234, "many")._repr_html_()
    assert page.count("<tr>") == 51
    assert "and 1,184 more" in page
    assert "x" * 299 + "…" in page
    assert "x" * 300 not in page


def test_pandas_gets_a_row_for_each_round(lab):
    pandas = pytest.importorskip("pandas")
    frame = lab.rounds().to_pandas()
    assert len(frame) == 5
    assert frame.loc[0, "name"] == f"exp/{RUN}/1"
    assert frame["ler_ratio"].dtype == float
    assert frame.loc[0, "shots_of"] == "holdout"
    assert pandas.isna(frame.loc[4, "ler_ratio"])
    front = lab.front().to_pandas()
    assert list(front["confirmed"]) == [True, True]
    assert list(lab.rounds(env=autoqec.Environment.open("surface_d3_depol")).to_pandas()) == []


def test_without_pandas_the_error_says_how_to_install_it(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackageError) as caught:
        lab.rounds().to_pandas()
    assert caught.value.hint == "pip install 'autoqec[pandas]'"


HEAVY = ("torch", "stim", "pymatching", "ldpc", "anthropic", "numpy", "scipy", "pandas", "numba")


def test_importing_is_light_and_so_is_reading_a_lab(recorded):
    code = (
        "import sys, autoqec\n"
        f"assert not [name for name in sys.modules if name in {(*HEAVY, 'pydantic', 'pygit2', 'rich', 'yaml')!r}]\n"
        f"lab = autoqec.open({str(recorded.folder)!r})\n"
        "for found in (lab.runs(), lab.rounds(), lab.front('tiny')):\n"
        "    found._repr_html_(), repr(found), found.rows()\n"
        "assert lab.rounds()[0].files and lab.rounds()[0].metrics and lab.rounds()[0].verdict.figures\n"
        f"print([name for name in sys.modules if name in {HEAVY!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_errors_of_the_package_are_of_one_class():
    assert autoqec.AutoQECError is AutoQECError
