"""What a long history costs: whole processes that read 5,000 rounds in 10 runs, and recording one more.

The lab is made by the functions that record real rounds, only without waiting for the disk, and then packed by git. The
bars: `log --json` and `pareto --json` within 1.0 s, and within 0.35 s once the cache is warm; one round recorded within
50 ms with fsync; a round in the long history no dearer than in a short one; `fsck` of it all within 5 s.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import pygit2
from _common import arguments, show

from autoqec.history import (
    Ledger,
    RoundIdentity,
    append_note,
    attach,
    claim_round,
    close_claim,
    commit_round,
    initialise,
    open_ledger,
    start_run,
)
from autoqec.testing.whole_notes import whole_metrics, whole_verdict

RUNS = 10
ENV = f"surface_d5_depol@sha256:{'0' * 64}"


def figures(draw: random.Random) -> dict[str, Any]:
    """What the metrics and the verdict of a round come near to. There are few gains, because intervals take a while to find."""
    # The rate of a reference is a count of shots, or the note would not follow from its own counts.
    return {
        "gain": draw.randrange(-2, 11) / 2000, "baseline": 0.01392, "flops_per_shot": draw.randrange(10**5, 10**7),
        "params": draw.randrange(1, 10**5), "references": {"mwpm_correlated": 2180 / 200_704},
    }  # fmt: skip


def record_round(ledger: Ledger, run: str, base: str, draw: random.Random, earlier: list[str]) -> str:
    """One whole round, as the loop records it: claim, commit, weights, three notes, close; its commit."""
    claim = claim_round(ledger, run, {"profile": {"name": "dev"}, "agents": {"ideator": "search", "coder": "search"}})
    count = min(len(earlier), draw.choice((0, 1, 1, 2)))
    parents = tuple(sorted(draw.sample(earlier[-50:], count)))
    identity = RoundIdentity(
        run=run, round=claim.number, attempt=claim.attempt, env=ENV, fork_from=parents,
        compose="with_edit" if count == 2 else "none", agent="search+search",
        hypothesis=f"From round {claim.number - 1}: {draw.randrange(2, 20)} iterations, with scales learned per detector",
    )  # fmt: skip
    files = {
        "output.yaml": b"mode: soft_priors\n\nthreshold: 0.5\n",
        "training.yaml": f"epochs: 3\n\nshots: {draw.randrange(10**6)}\n".encode(),
        "stages/bp/stage.yaml": f"iterations: {draw.randrange(2, 20)}\n\nkind: neural_bp\n".encode(),
    }
    commit = commit_round(
        ledger, identity, base=base, parents=parents, files=files, subject=identity.hypothesis, body="Why:\nit may."
    )
    attach(
        ledger, "artifacts", run, claim.number, {"weights.safetensors": draw.randbytes(64), "training.json": b"{}\n"}
    )
    attempt, found = {"id": claim.attempt}, figures(draw)
    append_note(ledger, run, "metrics", commit, whole_metrics(**found) | attempt)
    append_note(ledger, run, "analysis", commit, attempt | {"decision": "candidate", "summary": "It helps, at a cost."})
    verdict = draw.choice(("VERIFIED", "SUSPICIOUS", "FAILED"))
    about = {"commit": commit, "environment": "0" * 64, "candidate": "a" * 64, "weights_sha256": "b" * 64}
    append_note(ledger, run, "verdict", commit, whole_verdict(verdict, "evidence", about=about, **found) | attempt)
    close_claim(ledger, claim, status="ok", commit=commit)
    return commit


def make_lab(folder: Path, rounds: int, runs: int = RUNS) -> Ledger:
    """A packed lab of so many rounds."""
    ledger = initialise(folder, {"README": b"a lab\n"})
    pygit2.settings.enable_fsync_gitdir(False)
    base, draw = str(ledger.repo.head.target), random.Random(rounds)
    for number in range(runs):
        name = f"bench-{number}-abcd"
        start_run(ledger, name, base=base, env_name="surface_d5_depol", env_id="0" * 64, env_files={}, settings={})
        earlier: list[str] = []
        while len(earlier) < rounds // runs:
            earlier.append(record_round(ledger, name, base, draw, earlier))
            if len(earlier) % 100 == 0:
                subprocess.run(["git", "pack-refs", "--all"], cwd=folder, check=True)
    subprocess.run(["git", "gc", "-q"], cwd=folder, check=True)
    return open_ledger(folder)


def process_seconds(command: list[str], folder: Path, repeats: int, cached: bool) -> dict[str, float]:
    """Wall and processor seconds of a whole process: the best of several, and the median, which other jobs stretch.

    Byte code is kept, as it is where a package is installed; the first process, which makes it, is not counted.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(folder.parent / "bytecode")
    times = []
    for _ in range(repeats + 1):
        if not cached:
            for kept in ("cache", "examined"):
                shutil.rmtree(folder / ".git" / "autoqec" / kept, ignore_errors=True)
        before, began = os.times(), perf_counter()
        call = [sys.executable, "-m", "autoqec", *command]
        subprocess.run(call, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=env)
        wall, after = perf_counter() - began, os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        times.append((wall, cpu))
    walls, cpus = zip(*times[1:], strict=True)
    return {"s": min(walls), "median s": median(walls), "cpu": min(cpus), "median cpu": median(cpus)}


def fsck_seconds(folder: Path) -> dict[str, float]:
    """Seconds of `autoqec fsck`, which reads everything there is."""
    found = process_seconds(["fsck", "--json"], folder, 3, cached=True)
    return {f"fsck {what}": round(value, 2) for what, value in found.items()}


def recording_ms(ledger: Ledger, count: int) -> dict[str, float]:
    """Milliseconds to record one more round, with fsync: the best of several, and medians of wall and processor time."""
    pygit2.settings.enable_fsync_gitdir(True)
    base, draw, walls, cpus = str(ledger.repo.head.target), random.Random(0), [], []
    for _ in range(count):
        began, before = perf_counter(), process_time()
        record_round(ledger, "bench-0-abcd", base, draw, [])
        walls.append(1e3 * (perf_counter() - began))
        cpus.append(1e3 * (process_time() - before))
    return {"ms": min(walls), "median ms": median(walls), "median cpu ms": median(cpus)}


def main() -> None:
    """Make a short and a long history; read both, cold and cached; record a few rounds in each."""
    options = arguments(
        str(__doc__).split("\n")[0], rounds=(5000, "rounds of the long history"), repeats=(5, "runs of each command")
    )
    os.environ.setdefault("GIT_CONFIG_GLOBAL", os.devnull)
    rows, began = [], perf_counter()
    with tempfile.TemporaryDirectory() as top:
        for rounds in (100, options.rounds):
            folder = Path(top) / str(rounds)
            ledger = make_lab(folder, rounds)
            made = perf_counter() - began
            row: dict[str, object] = {"rounds": rounds}
            for command in (["log", "--json"], ["pareto", "--json"]):
                for cached in (False, True):
                    name = f"{command[0]}{' cached' if cached else ''}"
                    found = process_seconds(command, folder, options.repeats, cached)
                    row |= {f"{name} {what}": round(value, 3) for what, value in found.items()}
            row |= fsck_seconds(folder)
            row |= {f"record {what}": round(value, 2) for what, value in recording_ms(ledger, 20).items()}
            rows.append(row)
    show("history", rows, {"runs": RUNS, "notes per round": 3, "lab made in s": round(made, 1)}, as_json=options.json)


if __name__ == "__main__":
    main()
