"""The examples of README and docs: found, run in recorded labs, and held against what the documents show.

A comment on the line above a fenced block says what the block is:

    <!-- example: LAB -->               shell commands, run in LAB; the fence that follows, if any, is what they print
    <!-- example: LAB columns=100 -->   the same in a terminal of that width; `slow` leaves it to `nox -s docs`
    <!-- example: LAB varies -->        the same where shots are drawn anew each time: its figures are not compared
    <!-- not run: WHY -->               shell commands that are only parsed: each `autoqec` command and option exists
    <!-- round: LAB N columns=100 -->   what `autoqec round` prints when round N ends, from the recorded round
    <!-- file: PATH -->                 the file, word for word

A comment on the line above an image says how it was drawn:

    <!-- picture: LAB CHART -->          what `autoqec plot CHART` draws of LAB

LAB is `recorded` (the README's), `own-circuit` (the tutorial's), `killed` (training had no time), or `new` (just made).
The examples of one document that name one lab run in one copy of it, from top to bottom. `$run` is the lab's run.

`python tests/docs/document_blocks.py` writes what the program prints and draws today into all documents.
`record_labs.py` makes the labs anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data"

#: Every document whose examples are checked, the reader's first page first.
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

#: Where a copy of a lab lies while its examples run: its real place is not the same twice.
SHOWN_PLACE = "/home/you/lab"

_FENCE = re.compile(
    r"^(?:<!-- (?P<marker>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        document: Where it stands.
        line: The line of its first fence.
        marker: The comment above it, empty if there is none.
        language: The word after the fence.
        body: What stands between the fences.
        span: Where the body stands in the document's text.
        touches: The text between the end of the block before and this one is a blank line.
    """

    document: Path
    line: int
    marker: str
    language: str
    body: str
    span: tuple[int, int]
    touches: bool

    @property
    def kind(self) -> str:
        """The marker's first word or words: `example`, `round`, `file`, `not run`."""
        return self.marker.partition(":")[0] if ":" in self.marker else ""

    @property
    def words(self) -> list[str]:
        """The rest of the marker."""
        return self.marker.partition(":")[2].split()

    @property
    def columns(self) -> int:
        """The width of the terminal."""
        return next((int(word.removeprefix("columns=")) for word in self.words if word.startswith("columns=")), 100)

    @property
    def where(self) -> str:
        """For messages: the document and the line."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a document, in order."""
    text = document.read_text()
    found: list[Block] = []
    end = 0
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("language")) + 1
        touches = not text[end : match.start()].strip()
        found.append(
            Block(
                document,
                line,
                match["marker"] or "",
                match["language"],
                match["body"],
                match.span("body"),
                touches,
            )
        )
        end = match.end()
    return found


_PICTURE = re.compile(r"^<!-- picture: (?P<lab>\S+) (?P<chart>\S+) -->\n!\[[^\]]*\]\((?P<path>[^)]+)\)$", re.MULTILINE)


@dataclass(frozen=True)
class Picture:
    """A chart of a lab in a document: the lab, which chart, and its file."""

    lab: str
    chart: str
    file: Path

    def drawn(self, folder: Path) -> str:
        """What the program draws today; the lab is put into a folder of its own below `folder`, unless it is there."""
        from autoqec.history import open_ledger
        from autoqec.reporting.lab_charts import lab_chart

        lab = folder / self.lab
        if not lab.exists():
            make_lab(self.lab, lab)
        return lab_chart(open_ledger(lab), self.chart).chart.svg()


def pictures(document: Path) -> list[Picture]:
    """The charts in a document, in order."""
    found = _PICTURE.finditer(document.read_text())
    return [Picture(each["lab"], each["chart"], (document.parent / each["path"]).resolve()) for each in found]


@dataclass(frozen=True)
class Example:
    """A block whose output the document shows, or at least a block that must run.

    Attributes:
        block: What is run.
        output: The block that shows what it prints; None where the document shows nothing.
    """

    block: Block
    output: Block | None

    @property
    def lab(self) -> str:
        """The lab it runs in."""
        return self.block.words[0]

    @property
    def slow(self) -> bool:
        """Whether it is left to `nox -s docs`."""
        return "slow" in self.block.words

    def shows(self, printed: str) -> bool:
        """Whether the document shows what was printed, or shows nothing."""
        if self.output is None:
            return True
        texts = (self.output.body, printed)
        if "varies" in self.block.words:
            # Longer figures move words to another line, and a longer time may have another unit.
            figures = [re.sub(r"\d[\d,.]*", "#", " ".join(text.split())) for text in texts]
            texts = tuple(re.sub(r"# (?:s|min|h)\b", "# s", text) for text in figures)
        return texts[0] == texts[1]


def examples(document: Path) -> list[Example]:
    """The examples of a document, in order."""
    found = blocks(document)
    pairs = []
    for place, block in enumerate(found):
        if block.kind == "round":
            pairs.append(Example(block, block))
        elif block.kind == "example":
            following = found[place + 1] if place + 1 < len(found) else None
            shows = following is not None and following.touches and not following.language and not following.marker
            pairs.append(Example(block, following if shows else None))
    return pairs


def make_lab(name: str, folder: Path) -> None:
    """Put a lab into a folder that is not there yet.

    Args:
        name: `recorded`, `own-circuit`, `killed` or `new`.
        folder: Where to.
    """
    if name == "new":
        _call(["autoqec", "init", str(folder)], folder.parent)
        return
    bundle = DATA / f"{name}-lab.bundle"
    _call(["git", "init", "--quiet", "--initial-branch=main", str(folder)], folder.parent)
    _call(["git", "fetch", "--quiet", "--update-head-ok", str(bundle), "+refs/*:refs/*"], folder)
    _call(["git", "reset", "--quiet", "--hard", "main"], folder)
    _call(["autoqec", "init"], folder)


def outputs(document: Path, folder: Path, *, slow: bool = True) -> Iterator[tuple[Example, str]]:
    """Run the examples of a document, each lab in a folder of its own below `folder`; yields what each printed."""
    for example in examples(document):
        if example.slow and not slow:
            continue
        lab = folder / example.lab
        if not lab.exists():
            make_lab(example.lab, lab)
        yield example, _printed(example, lab)


def _printed(example: Example, lab: Path) -> str:
    if example.block.kind == "round":
        number = int(example.block.words[1])
        code = (
            "import os; from autoqec.cli.lab import open_history; from autoqec.history import find_record;"
            "from autoqec.views.round_text import round_printer; ledger = open_history();"
            f"round_printer(ledger, False)(find_record(ledger, os.environ['run'], {number}))"
        )
        command = [sys.executable, "-c", code]
    else:
        command = ["bash", "-euo", "pipefail", "-c", example.block.body]
    text = _call(command, lab, columns=example.block.columns, where=example.block.where)
    return "".join(f"{line.rstrip()}\n" for line in text.replace(str(lab), SHOWN_PLACE).splitlines())


def _call(command: list[str], folder: Path, *, columns: int = 100, where: str = "") -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOQEC_", "GIT_"))}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}",
        "COLUMNS": str(columns),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONWARNINGS": "ignore",
    }
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "A Researcher", f"GIT_{who}_EMAIL": "researcher@example.org"}
    if (folder / ".git").exists():
        environment["run"] = _run_of(folder)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{where or command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _run_of(lab: Path) -> str:
    refs = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname:lstrip=3)", "refs/autoqec/runs"],
        cwd=lab,
        capture_output=True,
        text=True,
        check=True,
    )
    return refs.stdout.strip()


def rewrite(document: Path, folder: Path) -> bool:
    """Write what the program prints today into a document; returns whether anything changed."""
    text = before = document.read_text()
    new = [
        (example.output.span, printed) for example, printed in outputs(document, folder) if example.output is not None
    ]
    new += [(block.span, (ROOT / block.words[0]).read_text()) for block in blocks(document) if block.kind == "file"]
    for (start, end), body in sorted(new, reverse=True):
        text = text[:start] + body + text[end:]
    if text != before:
        document.write_text(text)
    return text != before


def main() -> None:
    """Rewrite the documents named on the command line, or all."""
    import tempfile

    for document in [Path(name).resolve() for name in sys.argv[1:]] or DOCUMENTS:
        with tempfile.TemporaryDirectory() as folder:
            if rewrite(document, Path(folder)):
                print(f"rewrote {document.relative_to(ROOT)}")
            for picture in pictures(document):
                picture.file.write_text(picture.drawn(Path(folder)))
                print(f"drew {picture.file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
