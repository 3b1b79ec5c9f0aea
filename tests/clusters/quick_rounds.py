"""AutoQEC's own commands for jobs of a test: each is a fork of one process, and the steps of a round do no science.

Beside that all is real: claims, git, pushes, processes that are killed. Start it with the path of a socket, and call it
through `CLIENT`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

#: A program that has its command run by the process that listens at `ROUNDS`, with its own streams, and ends as that does.
CLIENT = """#!{python} -IS
import array, json, os, socket, sys
ask = json.dumps([os.getcwd(), sys.argv[1:], dict(os.environ), os.getppid()]).encode()
with socket.socket(socket.AF_UNIX) as link:
    link.connect(os.environ["ROUNDS"])
    link.sendmsg([len(ask).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1, 2]))])
    link.sendall(ask)
    code = link.recv(1)
sys.exit(code[0] if code else 1)
"""


def _commit(session: Any, state: Any) -> None:
    """Leave the round's commit; in a round whose number is to be killed, the whole job dies after it, the first time."""
    from autoqec import history

    claim, run = state.claim, session.run
    if claim.commit is None:
        env = f"{run.env_name}@sha256:{run.env_id}"
        identity = history.RoundIdentity(run.name, claim.number, claim.attempt, env, (), "none", "quick", "an idea")
        files = {"output.yaml": f"n: {claim.number}\n".encode()}
        oid = history.commit_round(
            session.ledger, identity, base=run.base, parents=[], files=files, subject="s", body="b"
        )
        history.update_claim(session.ledger, claim, commit=oid)
        if str(claim.number) in os.environ["KILLED"].split() and os.environ["SLURM_RESTART_COUNT"] == "0":
            os.kill(int(os.environ["JOB"]), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def _close(session: Any, state: Any) -> None:
    from autoqec import history
    from autoqec.testing.whole_notes import notes_of_round

    record = notes_of_round(state.claim.attempt, state.commit, session.run.env_id, state.claim.number)["analysis"]
    history.append_note(session.ledger, session.run.name, "analysis", state.commit, record)
    history.close_claim(session.ledger, state.claim, status="ok", commit=state.commit)


def _serve(link: socket.socket) -> None:
    head, descriptors, *_ = socket.recv_fds(link, 4, 2)
    size, data = int.from_bytes(head, "big"), b""
    while len(data) < size:
        data += link.recv(size - len(data))
    folder, arguments, variables, job = json.loads(data)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables | {"JOB": str(job)})
    for place, descriptor in enumerate(descriptors, start=1):
        os.dup2(descriptor, place)
        os.close(descriptor)
    socket.gethostname = lambda: variables["NODE"]
    from autoqec.cli.main import run

    code = run(arguments)
    sys.stderr.flush()
    link.sendall(bytes([code]))


def main(path: str) -> None:
    """Listen at a path, and run each command that is asked for in a fork."""
    import pygit2

    import autoqec.cli.resume
    import autoqec.cli.round
    import autoqec.loop.many_rounds
    import autoqec.views.round_text  # noqa: F401
    from autoqec.loop import one_round
    from autoqec.plugins import load_plugins

    type(pygit2.settings).enable_fsync_gitdir = lambda self, value=True: None
    one_round.STEPS = [("commit", _commit), ("close", _close)]
    one_round.tidy = lambda ledger: None
    for kind, name in (("verifier", "holdout"), ("executor", "local"), ("decoder", "mwpm"), ("agent", "search")):
        load_plugins().get(kind, name).load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        Path(f"{path}.ready").touch()
        while True:
            link, _ = listening.accept()
            with link:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    listening.close()
                    try:
                        _serve(link)
                    finally:
                        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
