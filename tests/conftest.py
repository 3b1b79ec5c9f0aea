"""Shared by all tests: all processors, git without the user's own configuration, and one lab in which rounds were really run."""

import fcntl
import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pygit2
import pytest
import threads_for_processes
import warm_processes

from autoqec.testing import make_tiny_lab

# Before anything imports torch: on tensors this small, threads wait for each other longer than they work. A test of threads
# says how many; a child process is told by its parent.
os.environ["OMP_NUM_THREADS"] = "1"

# Tests and the commands that they start use no settings of the person who runs them, and ask nobody about those of their labs.
os.environ["AUTOQEC_TRUST_LABS"] = "1"
for _variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
    os.environ[_variable] = os.path.join(tempfile.gettempdir(), f"autoqec-tests-{os.getuid()}", _variable)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config):
    """The fast suite has a worker for each processor, up to four; a test that is named runs here, where it starts at once.

    A worker takes whole modules: what the tests of one share, a round or a warm process, is made once.
    """
    whole = config.args_source is config.ArgsSource.TESTPATHS and config.option.markexpr == "not slow"
    worker = "PYTEST_XDIST_WORKER" in os.environ  # a worker comes through here too, and must have none of its own
    if whole and not worker and config.pluginmanager.hasplugin("xdist") and config.option.numprocesses is None:
        config.option.numprocesses, config.option.maxprocesses, config.option.dist = "auto", 4, "loadscope"
    return (yield)


@pytest.fixture(autouse=True, scope="session")
def _warm_processes():
    """Children and commands are forks of a warm process; see `warm_processes`."""
    with warm_processes.warm_processes():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """A test of how processes begin or end has fresh ones, and its fixtures too; see `warm_processes`."""
    with warm_processes.fresh_processes() if item.get_closest_marker("fresh_processes") else nullcontext():
        return (yield)


@pytest.fixture(autouse=True, scope="session")
def _no_fsync():
    """No test pulls the plug, and the suite shall be quick; a ledger turns this on whenever it is opened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(pygit2.settings), "enable_fsync_gitdir", lambda self, value=True: None)
        yield


@pytest.fixture(autouse=True)
def _own_git_identity(monkeypatch):
    """Tests sign as themselves and see no personal git settings, nor the width of a terminal."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for variable in ("AUTOQEC_LOAD_PLUGINS", "AUTOQEC_STRICT_PLUGINS", "AUTOQEC_PROFILE", "AUTOQEC_JOBS", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)


def _module_here(name):
    """A module of this folder, by its name."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    # Its dataclasses look their module up.
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def messages_server():
    """The module `tests/messages_server.py`: a server of the Messages API with a script."""
    return _module_here("messages_server")


@pytest.fixture(scope="session")
def host_server():
    """The module `tests/host_server.py`: a server with the APIs of hosts of git repositories."""
    return _module_here("host_server")


@pytest.fixture(scope="session")
def worktree():
    """A function from a lab's folder to all that a round must leave alone: files, index, status and HEAD."""

    def git(folder, *args):
        return subprocess.run(["git", "-C", folder, *args], capture_output=True, text=True, check=True).stdout

    def look(folder):
        files = {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
        files = {path: data for path, data in files.items() if ".git" not in path.parts}
        return files, git(folder, "status", "--porcelain=v2", "--branch"), git(folder, "rev-parse", "HEAD")

    return look


@pytest.fixture
def one_process():
    """Processes that only work, and are not locked, are threads of this one; see `threads_for_processes`."""
    with threads_for_processes.one_process():
        yield


def _play(folder, worktree):
    """What `played` tells but its folder."""
    make_tiny_lab(folder)
    (folder / "untracked.txt").write_text("mine")
    (folder / "staged.txt").write_text("staged")
    subprocess.run(["git", "add", "staged.txt"], cwd=folder, check=True)
    config = folder / ".autoqec/config.toml"
    config.write_text(config.read_text() + "# edited\n")
    before = worktree(folder)
    command = [sys.executable, "-m", "autoqec", "round", "--rounds", "2", "--seed", "3", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    return {"rounds": rounds, "stderr": done.stderr, "before": before}


@pytest.fixture(scope="session")
def played(tmp_path_factory, worktree):
    """A tiny lab with two rounds, made by the command itself and dirty in every way while it was; copy it to change it.

    `folder`, the `rounds` as printed, what was written to `stderr`, and the worktree `before`. Of workers the first makes it,
    and each has a copy.
    """
    own = tmp_path_factory.mktemp("played") / "lab"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return SimpleNamespace(folder=own, **_play(own, worktree))
    shared = tmp_path_factory.getbasetemp().parent
    lab, told = shared / "lab", shared / "lab.pickle"
    with (shared / "lab.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not told.exists():
            told.write_bytes(pickle.dumps(_play(lab, worktree)))
    shutil.copytree(lab, own)
    return SimpleNamespace(folder=own, **pickle.loads(told.read_bytes()))
