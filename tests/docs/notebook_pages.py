"""The notebooks of the docs: run with a real kernel, with what they print stored, and shown as pages of the site.

`python tests/docs/notebook_pages.py` runs all of them (a minute each on a free core), stores their outputs, and writes the pages.
With `--pages` it writes the pages alone, from the outputs that are stored. Names of notebooks choose among them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from document_blocks import ROOT, SHOWN_PLACE, make_lab

FOLDER = ROOT / "docs/notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

#: A notebook with its outputs takes at most so many bytes in the repository.
MOST_BYTES = 60_000


def prepare(notebook: Path, folder: Path) -> None:
    """Put into a folder what a notebook expects there: the recorded lab, or a lab whose rounds are small."""
    from autoqec.testing import make_tiny_lab

    if notebook.stem == "look-at-a-lab":
        make_lab("recorded", folder / "lab")
    if notebook.stem == "bring-your-own-code":
        make_tiny_lab(folder / "research")


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """The variables of a kernel: settings of nobody, and its own files in a folder that is deleted."""
    before = dict(os.environ)
    jupyter = {
        name: str(folder / "jupyter") for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")
    }
    os.environ.update({**jupyter, "IPYTHONDIR": str(folder / "ipython"), "AUTOQEC_TRUST_LABS": "1", "COLUMNS": "100"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run(notebook: Path, folder: Path) -> Any:
    """Run a notebook in a folder with a kernel of its own, and return it with what it printed.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell raised an error.
    """
    from jupyter_client import AsyncKernelManager
    from nbclient import NotebookClient

    prepare(notebook, folder)
    told = nbformat.read(notebook, as_version=4)
    with tempfile.TemporaryDirectory() as own, _environment(Path(own)):
        # The kernel's sockets are files: no ports, and nobody else's.
        kernel = type("Kernel", (AsyncKernelManager,), {"transport": "ipc", "ip": f"{own}/kernel"})
        where = {"metadata": {"path": str(folder)}}
        client = NotebookClient(told, kernel_manager_class=kernel, timeout=600, startup_timeout=600, resources=where)
        return client.execute()


def code_cells(notebook: Path) -> list[str]:
    """The code of a notebook, cell by cell."""
    cells = nbformat.read(notebook, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def settled(told: Any, folder: Path) -> Any:
    """A notebook as it is stored: with the place of its labs replaced, and without counters, times and messages."""
    for cell in told.cells:
        cell.metadata.clear()
        if cell.cell_type != "code":
            continue
        cell.execution_count = None
        kept = []
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                continue
            if "execution_count" in output:
                output.execution_count = None
            for texts in (output, output.get("data", {})):
                for name in ("text", "text/plain", "text/html"):
                    if name in texts:
                        texts[name] = texts[name].replace(str(folder), SHOWN_PLACE.rpartition("/")[0])
            kept.append(output)
        cell.outputs = kept
    told.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return told


def page(notebook: Path) -> str:
    """A notebook as a page of the site."""
    told = nbformat.read(notebook, as_version=4)
    first, *rest = told.cells
    head = (
        f"{first.source}\n\n[Download the notebook]({notebook.name}){{: download }}. "
        "This page is made from it: `python tests/docs/notebook_pages.py`."
    )
    return "\n\n".join([head, *(part for cell in rest for part in _parts(notebook, cell))]) + "\n"


def _parts(notebook: Path, cell: Any) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield cell.source
        return
    yield f"<!-- notebook: {notebook.name} -->\n```python\n{cell.source}\n```"
    for output in cell.outputs:
        data = output.get("data", {})
        if "text/html" in data:
            yield f'<div class="notebook-output">{_one_line(data["text/html"])}</div>'
        else:
            yield f"```\n{(data.get('text/plain') or output.get('text', '')).rstrip()}\n```"


def _one_line(html: str) -> str:
    """HTML without what styles it in a notebook alone, on one line, so that nothing in it is read as Markdown."""
    body = html.partition("</style>")[2] or html
    return " ".join(line.strip() for line in body.splitlines() if line.strip())


def main(arguments: list[str]) -> None:
    """Run and write; see the module."""
    names = [name for name in arguments if not name.startswith("-")]
    for notebook in [each for each in NOTEBOOKS if each.stem in names or not names]:
        if "--pages" not in arguments:
            with tempfile.TemporaryDirectory() as folder:
                nbformat.write(settled(run(notebook, Path(folder)), Path(folder)), notebook)
        notebook.with_suffix(".md").write_text(page(notebook))
        print(f"wrote {notebook.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
