"""Every command that a page, a review or a diagnosis prints is one that the command line accepts."""

import importlib
import shlex
import string
from collections import defaultdict

import click
import pytest

from autoqec import history
from autoqec.agents.diagnosis.cases import CAUSES
from autoqec.cli.main import cli
from autoqec.cli.main import run as call
from autoqec.errors import NotFoundError
from autoqec.reporting.compared_rounds import compared_blocks, read_review
from autoqec.reporting.lab_sections import lab_blocks
from autoqec.reporting.markdown_text import written
from autoqec.reporting.page_blocks import Code, Fence, Folded, Grid, Heading, Items, Paragraph, flat, with_commands
from autoqec.reporting.recorded_lab import read_lab, read_round
from autoqec.reporting.round_sections import finding_line, round_blocks
from autoqec.results.diagnosis_finding import DiagnosisFinding
from autoqec.testing import TINY_ENVIRONMENT, figures, make_tiny_lab, record_round


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    """Rounds 1 and 2 are VERIFIED and not decided between; round 3 has no verdict."""
    ledger = make_tiny_lab(tmp_path_factory.mktemp("printed") / "lab")
    made = history.start_run(
        ledger, "tiny-abcd", base=history.resolve_commit(ledger, "HEAD"), env_name="tiny", env_id="e" * 64,
        env_files={"environment.yaml": TINY_ENVIRONMENT.encode()}, settings={"seed": "4429d05e" * 8},
    )  # fmt: skip
    told = figures(delta_ler=0.002, flops_per_shot=2000, params=20)
    verdict = {"verdict": "VERIFIED", "reason": "better", **told}
    for _ in range(2):
        first = record_round(ledger, made, {"output.yaml": b"mode: weights\n"}, metrics=told, verdict=verdict)
    record_round(ledger, made, {"output.yaml": b"mode: weights\n"}, parents=(first,), metrics=told)
    return ledger


def commands_of(blocks):
    """The commands among the code of blocks."""
    for block in blocks:
        if isinstance(block, Fence) and block.language == "sh":
            yield from (line for line in block.text.split("\n") if line.startswith("autoqec "))
        elif isinstance(block, Folded):
            yield from commands_of(block.blocks)
        else:
            lines = {
                Paragraph: lambda b: [b.words], Heading: lambda b: [b.words], Items: lambda b: b.items,
                Grid: lambda b: [cell for row in b.rows for cell in row],
            }.get(type(block), lambda b: [])(block)  # fmt: skip
            parts = (part for line in lines for part in flat(line))
            yield from (part.text for part in parts if isinstance(part, Code) and part.text.startswith("autoqec "))


def refused(command, monkeypatch):
    """Why the command line refuses a command before it opens a lab; empty if it accepts it."""
    words = shlex.split(command.partition(" <")[0])[1:]
    found, context, rest = cli, click.Context(cli, info_name="autoqec"), list(words)
    while isinstance(found, click.Group):
        if not rest and found.invoke_without_command:
            return ""
        child = found.get_command(context, rest[0]) if rest else None
        if child is None:
            return f"{command}: there is no such command"
        found, context, rest = child, click.Context(child, info_name=rest[0], parent=context), rest[1:]
    try:
        found.make_context(context.info_name, rest, parent=context.parent)
    except click.UsageError as error:
        return f"{command}: {error.format_message()}"
    module = importlib.import_module(found.callback.__module__)
    if not hasattr(module, "open_lab"):
        return ""

    def opened(*_, **__):
        raise NotFoundError("accepted")

    with monkeypatch.context() as patch:
        patch.setattr(module, "open_lab", opened)
        return f"{command}: wrong usage" if call(words) == 2 else ""


@pytest.mark.parametrize("asked", ["tiny-abcd/1..2", "tiny-abcd/1..3", "tiny-abcd/1"])
def test_a_review_prints_commands_that_are_accepted(ledger, asked, monkeypatch):
    commands = [*commands_of(compared_blocks(read_review(ledger, asked)))]
    assert len(commands) >= 1
    assert [why for each in commands if (why := refused(each, monkeypatch))] == []
    assert "autoqec verify --audit exp/tiny-abcd/3" not in commands  # there is no verdict to audit


def test_reports_and_pages_print_commands_that_are_accepted(ledger, monkeypatch):
    commands = {*commands_of(lab_blocks(read_lab(ledger)))}
    commands |= {
        each for number in (1, 3) for each in commands_of(round_blocks(read_round(ledger, f"tiny-abcd/{number}")))
    }
    assert len(commands) >= 5
    assert [why for each in sorted(commands) if (why := refused(each, monkeypatch))] == []


def test_a_finding_is_sentences_whose_commands_nothing_is_added_to():
    next_step = "wait; autoqec log surface-d5-depol-7oi3"
    told = DiagnosisFinding("r", 2, "at_work", "info", ("its process lives.",), "It runs.", next_step)
    text = written([Items([finding_line(told)])])
    assert text == "- info `at_work`: It runs (its process lives). Next: wait; `autoqec log surface-d5-depol-7oi3`\n"


def test_every_next_step_of_a_diagnosis_is_accepted(monkeypatch):
    words = defaultdict(str, round="r-1/2", run="r-1", role="ideator", parents="r-1/1 r-1/2", profile="dev")
    found = []
    for cause in CAUSES.values():
        step = string.Formatter().vformat(cause.next_step, (), words)
        found += [part.text for part in with_commands(step) if isinstance(part, Code)]
    assert len(found) > 20
    bare = ("autoqec compose", "autoqec compare")  # they name what to use, not with what
    assert [why for each in found if each not in bare and (why := refused(each, monkeypatch))] == []


def test_a_seed_is_read_as_a_report_prints_it(ledger):
    command = next(each for each in commands_of(lab_blocks(read_lab(ledger))) if "--seed" in each)
    given = cli.get_command(click.Context(cli), "round").make_context("round", shlex.split(command)[2:]).params["seed"]
    assert given.to_bytes(32, "big").hex() == read_lab(ledger).runs[0].settings["seed"]
    for wrong in ("-1", str(2**63), "abc"):
        with pytest.raises(click.BadParameter):
            cli.get_command(click.Context(cli), "round").make_context("round", ["--seed", wrong])
