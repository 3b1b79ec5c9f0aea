"""Runs git's maintenance between rounds: a round leaves about twenty loose objects, and libgit2 never packs any."""

from __future__ import annotations

import os

import pygit2

from autoqec.history.store.git_program import git_environment
from autoqec.history.store.network_step import ready
from autoqec.history.store.repository import Ledger

# In the background of a shell that exits at once, so that nothing waits for the command or its exit code.
_COMMAND = "git maintenance run --auto --quiet >/dev/null 2>&1 &"
_PATIENCE = 1.0  # seconds


def tidy(ledger: Ledger) -> None:
    """Let git pack objects and refs when due; after one second it continues in the background.

    The user's settings (`maintenance.auto`, `gc.auto`, tasks) apply, as after `git commit`. The working tree, index and
    HEAD do not change. A failure does not affect the round: git writes a `gc.log`, and `autoqec fsck` shows it.
    """
    import subprocess  # imported here because `autoqec log` starts faster without it

    try:
        if not ledger.repo.config.get_bool("maintenance.auto"):
            return  # `git maintenance run --auto` itself ignores this setting
    except (KeyError, ValueError, pygit2.GitError):
        pass  # not set: the default is true
    ended, held = os.pipe()
    try:
        subprocess.run(
            ["/bin/sh", "-c", _COMMAND],
            cwd=ledger.workdir,
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # so that Ctrl-C does not interrupt git's work
            pass_fds=(held,),
            check=False,
        )
        os.close(held)
        held = -1
        ready([ended], _PATIENCE)  # readable (at end of file) once git has closed the other side
    except OSError:
        pass  # no shell, or no more processes: nothing started
    finally:
        for descriptor in {ended, held} - {-1}:
            os.close(descriptor)
