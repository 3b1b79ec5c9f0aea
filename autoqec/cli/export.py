"""`autoqec export`: write a trained round as a self-contained folder, or tell an experiment tracker about a run."""

from __future__ import annotations

import re
from pathlib import Path

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_history


@click.command()
@click.argument("round_name", metavar="ROUND|RUN")
@click.option(
    "--to",
    "folder",
    default=None,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write ROUND to; it must be absent or empty.",
)
@click.option(
    "--onnx", is_flag=True, help="Also write the predecoder as predecoder.onnx (pip install 'autoqec[onnx]')."
)
@click.option("--card", is_flag=True, help="Make the README a model card, and add CITATION.cff and the lab's LICENSE.")
@click.option(
    "--license", "licence", default=None, metavar="SPDX", help="With --card: its licence, such as Apache-2.0."
)
@click.option(
    "--to-tracker",
    "tracker",
    default=None,
    type=click.Choice(["trackio", "mlflow", "wandb"]),
    help="Tell this experiment tracker about the finished rounds of RUN: a run for it, a step for each round.",
)
@click.option(
    "--project", default=None, help="With --to-tracker: its project; by default the name of the lab's folder."
)
@options.json_option
def command(
    round_name: str,
    folder: Path | None,
    onnx: bool,
    card: bool,
    licence: str | None,
    tracker: str | None,
    project: str | None,
    as_json: bool,
) -> int:
    """Write a trained round as a folder: candidate, weights, environment, circuit, and a file that loads it for sinter.

    ROUND is exp/<run>/<N>. Inside a lab, sinter needs no export: `sinter collect --custom_decoders_module_function
    autoqec.sinter:decoders --decoders autoqec:exp/<run>/<N> ...`.

    With --card, the README begins with the front matter of a model card, as Hugging Face reads it: rates with counts and
    intervals, digests of circuit and error model, references with their settings, and the key that draws the shots again.

    With --to-tracker, it tells Trackio, MLflow or Weights & Biases about RUN. Rounds that the tracker has are not sent again.
    Each writes files on this machine unless its own configuration says otherwise; Weights & Biases is offline unless WANDB_MODE
    is set.
    """
    from typing import cast

    from autoqec.errors import UsageError
    from autoqec.exchange.folder import write_folder
    from autoqec.exchange.package import package_of
    from autoqec.history import parse_round_name
    from autoqec.plugins import load_plugins
    from autoqec.printed_rows import ExportRow
    from autoqec.views.sync_text import print_export

    if (folder is None) == (tracker is None):
        raise UsageError("say where to: --to DIR for a folder, or --to-tracker", hint="autoqec export --help")
    if tracker is not None:
        if onnx or card or licence is not None:
            raise UsageError("--onnx, --card and --license are for a folder", hint="leave them out, or use --to DIR")
        return _track(round_name, tracker, project, as_json)
    if project is not None:
        raise UsageError("--project is a tracker's", hint="add --to-tracker, or leave --project out")
    if licence is not None and not card:
        raise UsageError("--license goes into the card", hint="add --card, or leave --license out")
    if licence is not None and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}", licence) is None:
        hint = "such as Apache-2.0; spdx.org/licenses lists them"
        raise UsageError(f"{licence!r} is no SPDX name of a licence", hint=hint)
    ledger = open_history()
    package = package_of(ledger, *parse_round_name(round_name))
    writer = None
    if card:
        from autoqec.reporting.model_card import card_writer
        from autoqec.reporting.recorded_lab import read_round

        writer = card_writer(ledger, read_round(ledger, round_name), package.environment.environment, licence)
    where = cast(Path, folder)
    manifest = cast(ExportRow, write_folder(package, load_plugins(), where, onnx=onnx, card=writer))
    print_export(where, manifest, as_json=as_json)
    return 0


def _track(name: str, tracker: str, project: str | None, as_json: bool) -> int:
    from autoqec.history import load_run
    from autoqec.reporting.recorded_lab import read_lab
    from autoqec.reporting.trackers.experiment_trackers import send
    from autoqec.reporting.trackers.tracked_run import tracked_run
    from autoqec.views.tracker_text import print_sent

    ledger = open_history()
    run = load_run(ledger, name)
    told = tracked_run(read_lab(ledger, run=run.name), run, ledger.workdir.name if project is None else project)
    print_sent(send(tracker, told, ledger.git_dir / "autoqec" / "trackers"), as_json=as_json)
    return 0
