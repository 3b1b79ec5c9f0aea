"""A small lab in a real repository, the git command line as outside judge, and no trace of the developer's own config."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pygit2
import pytest
from pygit2.enums import ConfigLevel

from autoqec import history
from autoqec.testing.whole_notes import notes_of_round

ENV_ID = "e" * 64
OUTPUT = b"mode: soft_priors\n"


@pytest.fixture(autouse=True)
def _own_git_config(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in [name for name in os.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER", "GIT_DIR", "EMAIL"))]:
        monkeypatch.delenv(name)
    levels = (ConfigLevel.GLOBAL, ConfigLevel.XDG, ConfigLevel.SYSTEM)
    before = {level: pygit2.settings.search_path[level] for level in levels}  # libgit2 read HOME when it was loaded
    for level in levels:
        pygit2.settings.search_path[level] = str(home)
    yield
    for level, path in before.items():
        pygit2.settings.search_path[level] = path


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """Run git for real; returns stdout and raises if git fails."""

    def run(*args: str, cwd: Path | None = None, stdin: str | None = None) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=cwd or tmp_path / "lab",
            input=None if stdin is None else stdin.encode(),
            capture_output=True,
        )
        assert done.returncode == 0, f"git {' '.join(args)}: {done.stderr.decode()}"
        return done.stdout.decode()

    return run


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("template") / "lab"
    files = {"src/thesis.tex": "text\n", ".autoqec/config.toml": "x = 1\n", "README": "mine\n"}
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for args in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-q", "-m", "mine"]):
        subprocess.run(["git", *args], cwd=top, check=True)
    with open(top / ".git" / "config", "a") as config:
        config.write("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    return top


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """A user's repository with one commit."""
    shutil.copytree(template, tmp_path / "lab", ignore=shutil.ignore_patterns("*.sample"))
    return tmp_path / "lab"


@pytest.fixture
def lab(repository: Path) -> history.Ledger:
    return history.open_ledger(repository)


@pytest.fixture
def base(lab: history.Ledger) -> str:
    return history.resolve_commit(lab, "HEAD")


@pytest.fixture
def run(lab: history.Ledger, base: str) -> history.Run:
    return history.start_run(
        lab,
        "depol-abcd",
        base=base,
        env_name="surface_d3",
        env_id=ENV_ID,
        env_files={"surface_d3.yaml": b"name: surface_d3\n", "My.stim": b"M 0\n"},
        settings={"seed": 7},
    )


@pytest.fixture
def identify(run: history.Run) -> Callable[..., history.RoundIdentity]:
    """A round's identity, with what matters to the test changed."""

    def make(number: int = 1, **changes: Any) -> history.RoundIdentity:
        fields: dict[str, Any] = {
            "run": run.name,
            "round": number,
            "attempt": f"{number:032x}",
            "env": f"surface_d3@sha256:{ENV_ID}",
            "fork_from": (),
            "compose": "none",
            "agent": "search",
            "hypothesis": "more iterations",
        }
        return history.RoundIdentity(**{**fields, **changes})

    return make


@pytest.fixture
def commit(lab: history.Ledger, run: history.Run, identify: Callable[..., history.RoundIdentity]) -> Callable[..., str]:
    """Commit a round with the given candidate files, without a claim; returns the commit's oid."""

    def make(number: int, files: dict[str, bytes], parents: tuple[str, ...] = (), **changes: Any) -> str:
        identity = identify(number, fork_from=parents, **changes)
        return history.commit_round(
            lab, identity, base=run.base, parents=parents, files=files, subject=f"round {number}", body="why\nso"
        )

    return make


@pytest.fixture
def play(lab: history.Ledger, run: history.Run, commit: Callable[..., str]) -> Callable[..., tuple[history.Claim, str]]:
    """One whole round: claim, commit, weights, notes, close."""

    def make(files: dict[str, bytes] | None = None, status: str = "ok") -> tuple[history.Claim, str]:
        claim = history.claim_round(lab, run.name, {"agent": "search"})
        oid = commit(claim.number, files or {"output.yaml": OUTPUT}, attempt=claim.attempt)
        history.attach(lab, "artifacts", run.name, claim.number, {"weights.safetensors": b"w" * 10})
        for kind, record in notes_of_round(claim.attempt, oid, ENV_ID, claim.number, value=claim.number).items():
            history.append_note(lab, run.name, kind, oid, record)
        return history.close_claim(lab, claim, status=status, commit=oid), oid

    return make


@pytest.fixture
def python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a Python process that has the package; the script's arguments are in sys.argv[1:]."""

    def start(script: str, *args: str) -> subprocess.Popen[str]:
        top = Path(history.__file__).parents[2]
        env = {**os.environ, "PYTHONPATH": str(top)}
        process = subprocess.Popen(
            [sys.executable, "-c", script, *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    started: list[subprocess.Popen[str]] = []
    yield start
    for process in started:
        process.kill()
        with process:  # closes its pipes and waits for it
            pass


def snapshot(top: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a working tree, its index and HEAD: contents and mtime."""
    paths = [path for path in top.rglob("*") if path.is_file() and ".git" not in path.relative_to(top).parts]
    paths += [
        top / ".git" / name for name in ("HEAD", "index", "ORIG_HEAD", "config") if (top / ".git" / name).exists()
    ]
    return {str(path.relative_to(top)): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.fixture
def look() -> Callable[[Path], dict[str, tuple[bytes, int]]]:
    return snapshot
