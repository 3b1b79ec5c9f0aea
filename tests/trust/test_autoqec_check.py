"""The checker of one file agrees with the program about thousands of verdicts, true and forged, and stands alone."""

import ast
import copy
import re
import subprocess
import sys
from collections import Counter
from math import log
from pathlib import Path
from random import Random

import pytest
from forged_verdicts import ONLY_THE_CHECKER, ONLY_THE_PROGRAM, TYPES, checker, forged, program
from seeded_verdicts import some_verdict

from autoqec import autoqec_check
from autoqec.results.audit import audit
from autoqec.results.counts import PairedCounts
from autoqec.results.decision import test_word as word_of_test
from autoqec.results.harm import harm_counted, harm_word
from autoqec.results.note_form import write_record
from autoqec.results.verdict import parse_verdict

ROOT = Path(__file__).parents[2]
CHECKER = ROOT / "autoqec" / "autoqec_check.py"


def test_the_checker_is_one_short_file_that_imports_the_standard_library_alone():
    text = CHECKER.read_text()
    assert len(text.splitlines()) <= 260
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names)
    assert not re.search(r"import_module|__import__|exec\(|eval\(|shell", text)


# --- The same answers as the program ---------------------------------------------------------------------------------


def compare(seeds, forgeries):
    """Hold the checker against the program; returns how often they agreed that a note is right, and that it is wrong."""
    agreed, differing = Counter(), []
    for seed in seeds:
        rng = Random(seed)
        base = some_verdict(rng)
        assert (program(base), checker(base)) == ([], []), f"seed {seed}"
        for _ in range(forgeries):
            note, name = forged(rng, base)
            ours, theirs = program(note), checker(note)
            known = ONLY_THE_PROGRAM if ours else ONLY_THE_CHECKER
            if bool(ours) == bool(theirs):
                agreed[bool(ours)] += 1
            elif not (ours and TYPES in ours[0]) and not any(re.fullmatch(each, name) for each in known):
                differing.append((seed, name, base["reason"], ours[:1], theirs[:1]))
    assert differing == []
    return agreed


def test_the_checker_and_the_program_agree_on_verdicts_true_and_forged():
    agreed = compare(range(40), 50)
    assert agreed[True] > 600
    assert agreed[False] > 300


@pytest.mark.slow
def test_the_checker_and_the_program_agree_on_very_many_verdicts():
    compare(range(1000, 2000), 100)


def test_words_change_at_the_same_counts():
    """Random counts are seldom near a border, so these cross each border one failure at a time."""
    for level in (0.05, 0.05 / 128, 1e-9):
        words = []
        for own in range(20, 240):
            words.append(word_of_test(PairedCounts(32_768, 100, 140, own), level))
            assert words[-1] == autoqec_check.Counts(32_768, 100, 140, own).word(level), (level, own)
        assert set(words) == {"better", "undecided", "not_better"}
    words = set()
    for own in range(60, 180):
        counts, row = PairedCounts(32_768, 900, 110, own), {"label": "p", "same_shape": True}
        row |= {**write_record(harm_counted(counts)), "word": harm_word(counts)}
        words.add(row["word"])
        whole = copy.deepcopy(VERIFIED) | {"harm": [row]}
        assert ("harm at p", []) in [*autoqec_check.follows(whole)], own
    assert words == {"harm", "no_harm", "unknown"}


@pytest.mark.parametrize("name", ["recorded", "own-circuit", "ungated"])
def test_verdicts_that_were_written_long_ago_pass_an_audit_of_today(name, tmp_path):
    """What is written and what audits it may change together; a kept verdict notices."""
    git = ["git", "-C", tmp_path]
    bundle = ROOT / "tests" / "data" / f"{name}-lab.bundle"
    for command in (["init", "-q", "--bare"], ["fetch", "-q", bundle, "refs/*:refs/*"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    listed = subprocess.run(
        [*git, "for-each-ref", "--format=%(refname)", "refs/notes/autoqec"], check=True, capture_output=True, text=True
    )
    found = 0
    for ref in listed.stdout.split():
        for _, _, note in autoqec_check.read_notes(str(tmp_path), ref):
            if "verdict" in note:
                found += 1
                assert audit(parse_verdict(note).record) == program(note) == checker(note) == []
    assert found


def look_at_drawn_shots(alpha):
    """What a verdict on drawn shots would note to have the level of a first look at recorded ones, which is a higher one."""
    level = {"alpha_attempt": alpha / 2, "log_e_needed": round(log(2 / alpha), 6)}
    return {"look": 1, "recording": "0" * 64, **level, "target_ler": None}


VERIFIED = next(note for seed in range(99) if (note := some_verdict(Random(seed)))["reason"] == "better")


@pytest.mark.parametrize(
    "lie",
    [
        lambda note: note.pop("checks"),
        lambda note: note["constraints"].update(max_params=note["params"] - 1),
        lambda note: note.update(cells=[{"cell": {"p": 0.01}, "label": "p = 0.01", "word": "better"}]),
        lambda note: note.update(alpha=0.9),
        lambda note: note.update(verified_before=note["attempt"]),
        lambda note: note.pop("test"),
        lambda note: note.update(look_at_drawn_shots(note["alpha"])),
    ],
    ids=[
        "no checks",
        "over a limit",
        "a cell without counts",
        "a level of its own",
        "too many successes",
        "no test",
        "a look at drawn shots",
    ],
)
def test_a_verdict_that_leaves_out_what_it_needs_is_believed_by_nobody(lie):
    note = copy.deepcopy(VERIFIED)
    lie(note)
    assert program(note)
    assert checker(note)
