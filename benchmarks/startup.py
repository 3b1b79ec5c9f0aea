"""What the commands that only read cost, as whole processes: processor seconds, and what they import.

The bar is 0.35 s of processor time each. The lab has a few rounds written directly into its history, so that there is
something to read.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from _common import arguments, show

from autoqec.history import RoundIdentity, append_note, claim_round, close_claim, commit_round, initialise, start_run
from autoqec.testing.whole_notes import notes_of_round

COMMANDS = (["--help"], ["log"], ["log", "--json"], ["pareto"], ["plugins"])
ROUNDS = 10


def fill(folder: Path) -> None:
    """A lab with a few finished rounds."""
    ledger = initialise(folder, {"README": b"a lab\n"})
    base = str(ledger.repo.head.target)
    run = start_run(ledger, "bench-abcd", base=base, env_name="e", env_id="0" * 64, env_files={}, settings={})
    for _ in range(ROUNDS):
        claim = claim_round(ledger, run.name, {})
        identity = RoundIdentity(
            run=run.name, round=claim.number, attempt=claim.attempt, env=f"e@sha256:{'0' * 64}", fork_from=(),
            compose="none", agent="bench", hypothesis="h",
        )  # fmt: skip
        files = {"output.yaml": f"number: {claim.number}\n".encode()}
        commit = commit_round(ledger, identity, base=base, parents=(base,), files=files, subject="s", body="")
        for kind, record in notes_of_round(claim.attempt, commit, "0" * 64).items():
            append_note(ledger, run.name, kind, commit, record)
        close_claim(ledger, claim, status="ok", commit=commit)


def processor_seconds(command: list[str], folder: str) -> tuple[float, float]:
    """Processor and wall seconds of one run of a command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    subprocess.run([sys.executable, "-m", "autoqec", *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, perf_counter() - began


def main() -> None:
    """Measure every command several times; the median counts."""
    options = arguments(str(__doc__).split("\n")[0], repeats=(7, "runs of each command"))
    os.environ.setdefault("GIT_CONFIG_GLOBAL", os.devnull)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder))
        for command in COMMANDS:
            times = [processor_seconds(command, folder) for _ in range(options.repeats)]
            cpu, wall = (median(column) for column in zip(*times, strict=True))
            rows.append({"command": f"autoqec {' '.join(command)}", "cpu s": round(cpu, 3), "wall s": round(wall, 3)})
    show("start-up", rows, {"rounds in the lab": ROUNDS, "repeats": options.repeats}, as_json=options.json)


if __name__ == "__main__":
    main()
