"""What a command leaves behind when it is stopped or fails: whether a round that it worked on is still open."""

from __future__ import annotations

from contextlib import suppress

from autoqec.errors import AutoQECError

#: Commands that work on rounds.
_WORKING = ("round", "resume", "compose", "agents")


def round_left_open(command: str) -> str | None:
    """The round that this process has begun or taken over and not closed, as `<run>/<N>`; None if there is none.

    Args:
        command: The subcommand that ran.
    """
    if command not in _WORKING:
        return None
    from autoqec.history import list_claims, open_ledger
    from autoqec.history.store.owner import this_process

    with suppress(AutoQECError, OSError):  # where no lab can be read, there is none to be named
        mine = vars(this_process())
        for claim in list_claims(open_ledger(".")):
            if claim.state == "open" and {name: getattr(claim, name) for name in mine} == mine and not claim.waiting:
                return f"{claim.run}/{claim.number}"
    return None
