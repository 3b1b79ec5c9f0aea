"""Every table fits 60, 80 and 120 columns, whatever is in it: words are cut, columns leave, and no number is cut."""

import re
from pathlib import Path

import pytest
from printed_numbers import numbers
from printed_samples import GATED, ROUND, item, large_comparison, swept
from rich.cells import cell_len
from rich.text import Text

from autoqec.agents import ROLES
from autoqec.results.agent_comparison import ArmResult, Tried
from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Gain
from autoqec.results.round_plan import MeasuredRound
from autoqec.views.agents_text import print_agents
from autoqec.views.comparison_text import print_comparison
from autoqec.views.decoders_text import print_decoders
from autoqec.views.dry_run_text import print_plan
from autoqec.views.environment_text import print_environment
from autoqec.views.fitted_table import Column, cut, figures, table_lines
from autoqec.views.installed_text import EVERY_ROLE, print_environments, print_plugins
from autoqec.views.log_graph import print_graph
from autoqec.views.sweep_text import print_sweep
from autoqec.views.tables import print_front, print_log

CHINESE, COMBINING, CONTROL = "表面符号" * 12, "e\u0301" * 40, "red\x1b[31m\ttab\nline"
ROOT = Path(__file__).parents[2]
DIGEST = "0123456789abcdef" * 4


def rounds():
    words = ("words 12,345 and 1.5e-3 " * 9, CHINESE, COMBINING, CONTROL)
    found = [item(number, run="r" * 40, hypothesis=text) for number, text in enumerate(words, start=1)]
    found.append(item(6, run="r" * 40, verdict="SUSPICIOUS", verdict_reason="unsandboxed_custom_code"))
    return [*found, item(5, run="r" * 40, metrics=GATED, holdout=GATED, verdict="SUSPICIOUS", hypothesis=None)]


def agents():
    rows = [("anthropic:", ["ideator", "coder", "analyst"], "ANTHROPIC_API_KEY"), (f"{'a' * 30}:", [CHINESE], CONTROL)]
    return [
        {"name": name, "roles": roles, "needs": needs, "install": None, "distribution": "autoqec 0.1.0"}
        for name, roles, needs in rows
    ]


def plugins():
    offered = {
        "agent": {"roles": ("ideator", "coder"), "words": True, "prices": False, "requires": CONTROL},
        "decoder": {"takes_beliefs": True, "near_ml": True, "confidence": "gap", "needs": "x", "solutions": False},
        "code": {"files": ("path=*.stim",)},
    }
    rows = [
        {
            "kind": kind,
            "name": kind * 6,
            "plugin": CHINESE,
            "distribution": "a-long-name 0.12.345",
            "capabilities": found,
        }
        for kind, found in offered.items()
    ]
    broken = {
        "plugin": "p" * 90,
        "distribution": "d 1",
        "error": "it is broken " * 9,
        "file": "/a/b.py",
        "line": 1234567,
    }
    return [*rows, rows[1] | {"install": "pip install --no-deps 'somebody-s-decoder[extra]'"}, broken]


def arms():
    gain = Gain(0.00415, (0.0034, 0.0049))
    tried = tuple(
        Tried(number, "ok", "VERIFIED", 1234.5, gain, None, PairedCounts(200704, 1000, 900, 100)) for number in (1, 2)
    )
    names = ("search", f"anthropic:{'a-long-model' * 4}")
    return [ArmResult(name, seed, f"r-{seed}", tried, 123456789, 1234.5) for name in names for seed in (1, 2)]


def environment():
    rate = {"ler": 0.01395, "ler_ci": [0.0138, 0.0141], "shots": 1234567, "us_per_shot": 12.5}
    rate |= {"us_per_shot_quartiles": [12.1, 12.9]}
    degree = {"least": 1, "largest": 123456, "mean": 2.58}
    return {
        "name": "e" * 40, "identity": DIGEST, "detectors": 123456, "observables": 12, "mechanisms": 1234567,
        "graph_like_share": 0.48, "incidences": 5640000, "matching_edges": 78000, "matchable": True, "components": 1,
        "mechanism_degree": degree, "detector_degree": degree, "fingerprint": DIGEST,
        "decoders": {"mwpm": rate, "a_decoder_with_a_long_name": rate},
        "sampling": {"pays": "plain", "why": "plain shots fail often enough, at a rate above 0.001"},
        "gain": {"shots": 2000000, "ratio": 0.978},
        "round": {"train": None, "train_at_most": 3600.0, "score": 0.443, "verdict_at_most": 5.27, "us_with_beliefs": 2.5},
        "findings": [{"field": "noise.p", "finding": "words " * 20, "line": 12}], "interrupted": True,
        "requested_shots": 1234567,
    }  # fmt: skip


def plan():
    call = {
        "role": "ideator",
        "agent": "anthropic:claude-opus-5-5",
        "prompt_tokens": 13957,
        "tokens": 45957,
        "cost": 0.7098,
    }
    none = {"role": "analyst", "agent": "search", "prompt_tokens": 0, "tokens": 0, "cost": None}
    return {"calls": [call, none], "tokens": 45957, "cost": 0.7098, "seconds": 12345.0, "seconds_at_most": 600.0}


def measured_round():
    speeds, shots = (300.0, 1.5, 2.5, 9876.5, 8765.4), (1234567, 16384, 10**9)
    return MeasuredRound(f"the candidate of {'r' * 40}/12", 1234.5, 12_345_678, *speeds, *shots, 600.0, 21.0)


def environments():
    return [{"name": name, "where": f"envs/{name}.yaml", "story": story} for name, story in
            (("tiny", "words 1,234 " * 20), (f"a_{'long' * 12}_name", CHINESE))]  # fmt: skip


TABLES = {
    "log": lambda: print_log(rounds()),
    "log --graph": lambda: print_graph(rounds()),
    "pareto": lambda: print_front(rounds()),
    "agents list": lambda: print_agents(agents()),
    "agents compare": lambda: print_comparison(arms()),
    "plugins": lambda: print_plugins(plugins()),
    "env list": lambda: print_environments(environments()),
    "env check": lambda: print_environment(environment()),
    "round --dry-run": lambda: print_plan(plan(), measured_round(), 1000),
    "sweep": lambda: print_sweep(swept(decoders=("mwpm", "osd:method=osd_cs,order=10", ROUND), rounds=(3, 5))),
}

#: The modules that print tables: here, from recorded labs by `test_terminal_widths`, or, of the guide, by `test_init`.
TESTED = {
    *(
        "agents_text",
        "comparison_text",
        "decoders_text",
        "dry_run_text",
        "fitted_table",
        "guide_text",
        "installed_text",
    ),
    *("show_text", "sweep_text", "tables", "terminal_blocks"),
}


def printed(table, width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    TABLES[table]()
    return capsys.readouterr().out


@pytest.mark.parametrize("table", TABLES)
def test_it_fits_and_no_number_is_cut(table, monkeypatch, capsys):
    whole = numbers(printed(table, 4000, monkeypatch, capsys))
    for width in (60, 80, 120):
        out = printed(table, width, monkeypatch, capsys)
        lines = out.splitlines()
        assert [line for line in lines if cell_len(line) > width] == [], width
        assert [line for line in lines if line != line.rstrip()] == [], width
        assert numbers(out) - whole == set(), width
        assert "\x1b" not in out
    assert len(numbers(printed(table, 30, monkeypatch, capsys)) - whole) == 0, "a very narrow one cuts none either"


def test_a_comparison_of_decoders_fits_too(monkeypatch, capsys):
    outs = {}
    for width in (4000, 60, 80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        print_decoders(large_comparison())
        outs[width] = capsys.readouterr().out
        lines = outs[width].splitlines()
        assert max(map(cell_len, lines)) <= min(width, 80)
        assert [line for line in lines if line != line.rstrip()] == []
        assert numbers(outs[width]) <= numbers(outs[4000])


def test_every_table_goes_by_this_rule_and_is_tested_here():
    """If this fails: print the new table in TABLES, and add its module to TESTED."""
    sources = {path: path.read_text() for path in (ROOT / "autoqec").rglob("*.py")}
    assert [path.name for path, text in sources.items() if "rich.table" in text] == []
    made = {path.stem for path, text in sources.items() if re.search(r"\b(print_table|table_lines)\(", text)}
    assert made == TESTED


def test_columns_leave_in_their_order_and_words_are_cut_before():
    columns = Column("name", least=8, ends=True), figures("a", leaves=2), figures("b", leaves=1), Column("w", least=4)
    rows = [["surface-d5-depol/12", "1,234", "5.678", "some words here"]]

    def line(width):
        return table_lines(columns, rows, width)[-1].plain

    assert line(60) == "surface-d5-depol/12  1,234  5.678  some words here"
    assert line(45) == "surface-d5-depol/12  1,234  5.678  some word…"
    assert line(37) == "surface-d5-depol/12  1,234  some wor…"
    assert line(28) == "surface-d5-depol/12  some w…"
    assert line(18) == "surfac…ol/12  som…"
    assert [each.plain for each in table_lines(columns, rows, 11)] == [
        "surface-d5-", "depol/12", "  a  1,234", "  b  5.678", "  w  some", "  words", "  here",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("gain 0.00415 per shot", 9, "gain…"),
        ("gain 0.00415 per shot", 14, "gain 0.00415…"),
        ("表面符号", 6, "表面…"),
        ("e\u0301e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301…"),
        ("whole", 5, "whole"),
    ],
)
def test_a_cut_spares_numbers_and_knows_how_wide_characters_are(text, width, shown):
    found = cut(Text(text), width)
    assert found.plain == shown
    assert found.cell_len <= width


def test_digests_are_cut_where_they_do_not_fit_and_whole_elsewhere(monkeypatch, capsys):
    assert "identity" in (wide := printed("env check", 120, monkeypatch, capsys))
    assert DIGEST in wide
    narrow = printed("env check", 60, monkeypatch, capsys)
    assert f"{DIGEST[:12]}…" in narrow
    assert DIGEST[:20] not in narrow


def test_what_plugins_can_do_is_said_in_words(monkeypatch, capsys):
    out = printed("plugins", 4000, monkeypatch, capsys)
    assert "ideator, coder; needs red\\x1b[31m" in out
    assert EVERY_ROLE == ROLES
    assert "takes beliefs; near maximum likelihood; confidence: gap" in out
    assert "not installed: pip install --no-deps 'somebody-s-decoder[extra]'" in out
    assert not {"True", "False", "None", "('"} & set(out.split())
