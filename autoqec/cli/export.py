"""`autoqec export`: write a trained round as a self-contained folder, or a run's figures into an experiment tracker."""

from __future__ import annotations

import re
from pathlib import Path

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_history


@click.command()
@click.argument("round_name", metavar="ROUND")
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write; it must be absent or empty.",
)
@click.option(
    "--onnx", is_flag=True, help="Also write the predecoder as predecoder.onnx (pip install 'autoqec[onnx]')."
)
@click.option("--card", is_flag=True, help="Make the README a model card, and add CITATION.cff and the lab's LICENSE.")
@click.option(
    "--license", "licence", default=None, metavar="SPDX", help="With --card: its licence, such as Apache-2.0."
)
@options.json_option
def command(round_name: str, folder: Path, onnx: bool, card: bool, licence: str | None, as_json: bool) -> int:
    """Write a trained round as a folder: candidate, weights, environment, circuit, and a file that loads it for sinter.

    ROUND is exp/<run>/<N>. Inside a lab, sinter needs no export: `sinter collect --custom_decoders_module_function
    autoqec.sinter:decoders --decoders autoqec:exp/<run>/<N> ...`.

    With --card, the README begins with the front matter of a model card, as Hugging Face reads it: rates with counts and
    intervals, digests of circuit and error model, references with their settings, and the key that draws the shots again.
    """
    from typing import cast

    from autoqec.errors import UsageError
    from autoqec.exchange.folder import write_folder
    from autoqec.exchange.package import package_of
    from autoqec.history import parse_round_name
    from autoqec.plugins import load_plugins
    from autoqec.printed_rows import ExportRow
    from autoqec.views.sync_text import print_export

    if licence is not None and not card:
        raise UsageError("--license goes into the card", hint="add --card, or leave --license out")
    if licence is not None and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}", licence) is None:
        raise UsageError(
            f"{licence!r} is no SPDX name of a licence", hint="such as Apache-2.0; spdx.org/licenses lists them"
        )
    ledger = open_history()
    package = package_of(ledger, *parse_round_name(round_name))
    writer = None
    if card:
        from autoqec.reporting.model_card import card_writer
        from autoqec.reporting.recorded_lab import read_round

        writer = card_writer(ledger, read_round(ledger, round_name), package.environment.environment, licence)
    manifest = cast(ExportRow, write_folder(package, load_plugins(), folder, onnx=onnx, card=writer))
    print_export(folder, manifest, as_json=as_json)
    return 0
