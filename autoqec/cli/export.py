"""`autoqec export`: write a trained round as a self-contained folder."""

from __future__ import annotations

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
@options.json_option
def command(round_name: str, folder: Path, onnx: bool, as_json: bool) -> int:
    """Write a trained round as a folder: candidate, weights, environment, circuit, and a file that loads it for sinter.

    ROUND is exp/<run>/<N>. Inside a lab, sinter needs no export: `sinter collect --custom_decoders_module_function
    autoqec.sinter:decoders --decoders autoqec:exp/<run>/<N> ...`.
    """
    from typing import cast

    from autoqec.exchange.folder import write_folder
    from autoqec.exchange.package import package_of
    from autoqec.history import parse_round_name
    from autoqec.plugins import load_plugins
    from autoqec.printed_rows import ExportRow
    from autoqec.views.sync_text import print_export

    package = package_of(open_history(), *parse_round_name(round_name))
    manifest = cast(ExportRow, write_folder(package, load_plugins(), folder, onnx=onnx))
    print_export(folder, manifest, as_json=as_json)
    return 0
