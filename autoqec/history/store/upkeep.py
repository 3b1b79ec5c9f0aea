"""Having git tidy up between rounds. A round leaves some twenty loose objects, and libgit2 never packs any."""

from __future__ import annotations

import os
import select

import pygit2

from autoqec.history.store.git_program import git_environment
from autoqec.history.store.repository import Ledger

# In the background of a shell that ends at once, so that nobody has to wait for it, neither we nor for its exit code.
_COMMAND = "git maintenance run --auto --quiet >/dev/null 2>&1 &"
_PATIENCE = 1.0  # seconds


def tidy(ledger: Ledger) -> None:
    """Let git pack objects and refs if it finds that due; what takes longer than a second goes on without us.

    What the user has set (`maintenance.auto`, `gc.auto`, tasks) decides, as after a `git commit`. The working tree, index
    and HEAD are not touched. A failure is none of the round's: git leaves a `gc.log`, and `autoqec fsck` shows it.
    """
    import subprocess  # not before it is needed: `autoqec log` starts faster without

    try:
        if not ledger.repo.config.get_bool("maintenance.auto"):
            return  # `git maintenance run --auto` itself does not ask
    except (KeyError, ValueError, pygit2.GitError):
        pass  # not set, which means yes
    ended, held = os.pipe()
    try:
        subprocess.run(
            ["/bin/sh", "-c", _COMMAND],
            cwd=ledger.workdir,
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is meant for the next round, not for git's work
            pass_fds=(held,),
            check=False,
        )
        os.close(held)
        held = -1
        select.select([ended], [], [], _PATIENCE)  # readable, for at its end, once git has closed the other side
    except OSError:
        pass  # no shell, no processes: nothing was begun
    finally:
        for descriptor in {ended, held} - {-1}:
            os.close(descriptor)
