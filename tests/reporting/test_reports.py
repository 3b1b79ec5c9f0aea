"""Reports and reviews as Markdown: they hide no round, quote no figure that the record does not say, and fit where they go."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from autoqec import history
from autoqec.cli.main import run
from autoqec.config import load_settings
from autoqec.errors import AutoQECError
from autoqec.plugins import load_plugins
from autoqec.reporting import report_prose
from autoqec.reporting.lab_diagnoses import NO_DIAGNOSES, read_diagnoses
from autoqec.reporting.lab_sections import lab_blocks, shown_in_full
from autoqec.reporting.markdown_text import written
from autoqec.reporting.page_blocks import Fence, Folded, Paragraph, Quote
from autoqec.reporting.recorded_lab import read_lab, read_round
from autoqec.reporting.review_page import HOST_LIMIT, review_text, what_to_look_at
from autoqec.reporting.round_sections import reply_blocks
from autoqec.testing import figures, make_tiny_lab, record_round, record_run

sys.path.insert(0, str(Path(__file__).parents[1]))
from old_lab import settle, unpack


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The lab of version 0.1: rounds of all kinds, some damaged, some with hostile text."""
    return unpack(tmp_path_factory.mktemp("old") / "lab")


@pytest.fixture(scope="module", autouse=True)
def _settled():
    """The signers of that lab are allowed, and the machine is that of its claims."""
    with pytest.MonkeyPatch.context() as patch:
        settle(patch.setenv, patch.setattr)
        yield


@pytest.fixture(scope="module")
def lab(folder, _settled):
    return read_lab(history.open_ledger(folder))


@pytest.fixture(scope="module")
def report(lab, folder):
    diagnoses = read_diagnoses(lab, load_plugins(), load_settings(folder))
    return written(lab_blocks(lab, diagnoses))


def test_a_report_shows_every_round_and_hides_none_that_failed(lab, report):
    for environment in lab.environments:
        part = report.split(f"## `{environment.key}`")[1].split("\n## ")[0]
        lost = part.partition("### Failed, ignored and unfinished rounds")[2].partition("\n### ")[0]
        for each in environment.rounds:
            assert f"| [{each.name}](#" in part or f"| `{each.name}`" in part
            named = f"[{each.name}](#" in lost or f"`{each.name}`" in lost
            assert named == (each.outcome != "VERIFIED"), each.name
    assert "error `" in report  # with their diagnosis
    assert "the Analyst says ignore" in report


def test_a_report_says_what_was_sought_and_found_with_intervals(report):
    assert "a ratio of 0.804 (95 % interval 0.745 to 0.864) over 32,768 shots drawn after its commit." in report
    for title in (
        "Pareto front",
        "Best so far",
        "Rates of ",
        "Share of the gap",
        "All rounds",
        "What it took",
        "The environment",
    ):
        assert f"\n### {title}" in report
    assert "\n## How to repeat it\n" in report
    assert "autoqec verify --audit --replay exp/" in report
    assert "| `mwpm_correlated` | 0.02875 \\[0.02696,&nbsp;0.03061\\] |" in report


@pytest.mark.parametrize("wrong", ["rate_text", "ratio_text", "count_text"])
def test_a_figure_that_the_record_does_not_say_is_not_written(lab, monkeypatch, wrong):
    right = getattr(report_prose, wrong)
    monkeypatch.setattr(report_prose, wrong, lambda value, *more: right(1.1 * (value or 0), *more))
    with pytest.raises(AutoQECError, match="the text would say what the record does not") as raised:
        lab_blocks(lab)
    assert raised.value.code == "unfounded_figure"


def test_a_long_report_shows_some_shown_in_full_and_a_line_of_each(lab):
    chosen = [each.name for each in shown_in_full(lab, 5)]
    members = [name for environment in lab.environments for name in environment.front.names]
    assert (chosen[: len(members)], len(chosen)) == (members[:5], 5)
    text = written(lab_blocks(lab, full=5))
    assert text.count("\n### `exp/") == 5
    assert "5 of 55 rounds:" in text
    for each in lab.rounds:
        assert each.name in text


def test_a_lab_without_rounds_has_a_page(tmp_path):
    ledger = make_tiny_lab(tmp_path / "lab")
    assert "There are no rounds yet" in written(lab_blocks(read_lab(ledger)))
    record_run(ledger, "tiny-abcd")
    assert "There are no rounds yet" in written(lab_blocks(read_lab(ledger), NO_DIAGNOSES))


def test_a_review_fits_a_comment_and_is_the_same_each_time(lab):
    for each in lab.rounds:
        text = review_text(each)
        assert len(text) <= HOST_LIMIT
        for title in ("# Review of `exp/", "## What to look at", "## How to check it"):
            assert title in text or title == "## What to look at"
    assert review_text(lab.rounds[3]) == review_text(read_round(lab.ledger, lab.rounds[3].name))


def test_what_does_not_fit_is_cut_and_the_review_says_so(lab):
    found = read_round(lab.ledger, "real-abcd/1")
    whole = review_text(found)
    for most in (len(whole) - 1, len(whole) - 700, 6000, 2500, 900):
        text = review_text(found, most=most)
        assert len(text) <= most, most
        assert "did not fit here: `autoqec show exp/real-abcd/1" in text
        assert "How to check it" in text
    assert "The rest did not fit here: `autoqec show exp/real-abcd/1 --full`" in text


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A lab whose agents write long and hostile text."""
    ledger = make_tiny_lab(tmp_path_factory.mktemp("hostile") / "lab")
    run = record_run(ledger, "tiny-abcd")
    evil = "`|<img src=x onerror=alert(1)>\n\n# @octocat closes #1 ```\n/close\n" * 1200
    told = figures(delta_ler=0.006, delta_ler_ci=[0.0059, 0.0061], flops_per_shot=2000, params=20)
    files = {"output.yaml": b"mode: weights\n", "stages/x/module.py": ("x = '''\n" + evil + "'''\n").encode()}
    verdict = {"verdict": "SUSPICIOUS", "reason": "harm", **told}
    record_round(ledger, run, files, hypothesis=evil[:3000], metrics=told, verdict=verdict)
    record_round(ledger, run, {"output.yaml": b"mode: weights\n"}, hypothesis="b" * 100, metrics=told, close=False)
    return ledger


def test_a_huge_and_hostile_round_has_a_review_of_one_page(hostile):
    found = read_round(hostile, "tiny-abcd/1")
    text = review_text(found)
    assert HOST_LIMIT - 2000 < len(text) <= HOST_LIMIT
    assert re.search(r"[\d,]+ more lines of the diff did not fit here", text)
    outside = re.sub(r"(?ms)^(````+)\w*\n.*?^\1$", "", text)
    assert "<img" not in outside.replace("\\<img", "")
    assert not re.search(r"@octocat|(?<!&)#1|(?m:^/close)", outside)
    assert any("code of its own" in line[0] for line in what_to_look_at(found) if not isinstance(line, str))


def test_odd_numbers_and_names_in_notes_stop_no_report(tmp_path):
    ledger = make_tiny_lab(tmp_path / "lab")
    run = record_run(ledger, "tiny-abcd")
    told = figures(delta_ler=0.006, delta_ler_ci=[0.0059, 0.0061], flops_per_shot=2000, params=20)
    odd = {
        "train_seconds": 1e308,
        "score_seconds": -5.0,
        "references": {"sinter:a.b:C": 2409 / 200_704, "0.x": 2600 / 200_704},
    }
    verdict = {"verdict": "VERIFIED", "reason": "better", **told, **odd, "seconds": 1e308}
    for number in (1, 2):
        files = {"output.yaml": b"mode: weights\n", "x.yaml": f"n: {number}\n".encode()}
        record_round(ledger, run, files, hypothesis="all", metrics=told | odd, verdict=verdict)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AUTOQEC_ALLOWED_SIGNERS", raising=False)
        lab = read_lab(history.open_ledger(ledger.workdir))
        text = written(lab_blocks(lab))
    assert "of which training 0 and scoring 0" in text
    assert "the strongest reference, `sinter:a.b:C`, has 0.01200" in text
    assert re.search(r"`sinter:a.b:C` .* reference, on the shots of tiny-abcd\W*/\W*1 ", text)
    assert all(len(review_text(each)) < HOST_LIMIT for each in lab.rounds)


@pytest.fixture
def command(folder, monkeypatch, capsys):
    """Run a command in the old lab; its exit code, standard output and standard error."""
    monkeypatch.chdir(folder)

    def call(*args):
        code = run(list(args))
        return code, *capsys.readouterr()

    return call


def test_a_long_report_says_that_it_is_at_work(command, tmp_path, monkeypatch):
    monkeypatch.setattr("autoqec.cli.report._MANY", 1)
    err = command("report", "strict-abcd", "-o", str(tmp_path / "r.md"))[2]
    assert err.index("diagnosing 2 rounds") < err.index("a report of 2 rounds")


def test_the_command_writes_a_report(command, tmp_path, report):
    code, out, err = command("report", "-o", str(tmp_path / "r.md"), "--format", "md")
    assert (code, out) == (0, "")
    assert "a report of 55 rounds" in err
    assert (tmp_path / "r.md").read_text() == report
    code, out, _ = command("report", "strict-abcd", "--format", "md")
    assert code == 0
    assert "## `strict@" in out
    assert "## `tiny@" not in out
    told = [json.loads(line) for line in command("report", "--json", "--env", "wide")[1].splitlines()]
    assert [(each["schema"], each["env"], each["rounds"]) for each in told] == [("autoqec.report/1", "wide", 2)]


def test_what_a_report_cannot_be_of_is_named(command, tmp_path):
    assert command("report", "no-such-run")[0] == 3
    assert command("report", "--env", "elsewhere")[0] == 3
    code, _, err = command("report", "-o", str(tmp_path / "absent/r.md"))
    assert code == 2
    assert "cannot be written" in err


def test_show_prints_the_review(command, lab):
    code, out, _ = command("show", "real-abcd/1", "--markdown")
    assert code == 0
    assert out == review_text(read_round(lab.ledger, "real-abcd/1"))
    assert command("show", "real-abcd/99", "--markdown")[0] == 3
    assert command("show", "real-abcd/1", "--markdown", "--json")[0] == 2


def test_what_agents_said_is_shown_once(lab):
    by_name = {each.name: each for each in lab.rounds}
    (said, words) = reply_blocks(by_name["real-abcd/10"])
    assert "scripted as ideator says:" in "".join(part if isinstance(part, str) else part.text for part in said.words)
    assert words.text == "Because.\nAnd so on."  # its idea is its hypothesis, and stands there
    shown = [block.text for block in reply_blocks(by_name["real-abcd/1"]) if isinstance(block, Quote)]
    assert shown == ["Because.\nAnd so on."]  # the rest is in the commit and in the analysis


def asked(commit, **message):
    """A round whose Ideator says that."""
    call = SimpleNamespace(
        agent="search", role="ideator", attempt=1, reply=SimpleNamespace(message=message, problem="")
    )
    return SimpleNamespace(
        calls=(call,),
        results=SimpleNamespace(analysis=None),
        row=SimpleNamespace(hypothesis="An idea.", commit=commit),
        record=SimpleNamespace(body=""),
    )


def test_the_json_of_a_candidate_is_not_shown_beside_its_diff():
    told = {
        "text": "An idea.",
        "rationale": "It is new.",
        "more": "It is small.",
        "hint": '{"files": {"a.yaml": "b: 1"}}',
    }
    said, words = reply_blocks(asked("ab" * 20, **told))
    assert isinstance(said, Paragraph)
    assert words == Quote("It is new.\n\nIt is small.")  # a paragraph each
    *_, folded = reply_blocks(asked(None, **told))
    assert folded == Folded("What it says as JSON", [Fence(told["hint"])])
    assert reply_blocks(asked("ab" * 20, text="An idea.", hint=told["hint"])) == []
