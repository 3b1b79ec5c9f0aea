"""The lab of version 0.1 that is kept in `tests/data`: unpacking it, and running commands in it.

For the test of it and for `tests/data/make_old_lab.py`, which runs it with the old version; so nothing here is newer than that.
"""

import json
import os
import re
import socket
import subprocess
from dataclasses import asdict
from pathlib import Path

DATA = Path(__file__).parent / "data"
BUNDLE = DATA / "lab-v0.1.bundle"
GOLDENS = DATA / "lab-v0.1"
SIGNERS = DATA / "lab-v0.1.allowed_signers"

#: The machine that the lab's open claims name, but for one that is of another.
HOST = "old-host"


def unpack(folder: Path) -> Path:
    """Make a lab with a working tree of the bundle; every ref of it, and no remote."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*args: str) -> None:
        subprocess.run(["git", *args], cwd=folder, env=env, check=True, capture_output=True)

    folder.mkdir(parents=True)
    git("init", "-q", "-b", "nothing")
    git("fetch", "-q", str(BUNDLE), "+refs/*:refs/*")
    git("symbolic-ref", "HEAD", "refs/heads/main")
    git("reset", "-q", "--hard")
    for name, value in (("user.name", "Ada"), ("user.email", "ada@example.org"), ("gc.auto", "0")):
        git("config", name, value)
    return folder


def settle(setenv, setattribute) -> None:
    """Make what a command prints depend on the lab alone; the arguments are those of pytest's `monkeypatch`, or the like."""
    setenv("AUTOQEC_ALLOWED_SIGNERS", str(SIGNERS))
    setattribute(socket, "gethostname", lambda: HOST)


_SECTION = re.compile(r'^<data name="([a-z_]+)">\n(.*?)^</data>$', re.MULTILINE | re.DOTALL)

#: Sections of a prompt that speak of what is installed and of the machine, not of the lab.
_ELSEWHERE = ("stage_kinds", "formats", "machine", "budget")


def comparable(text: str) -> list:
    """The objects that a command printed; of a prompt, whose words may change, what it says of the lab."""
    items = [json.loads(line) for line in text.splitlines()]
    for item in items:
        if item["schema"].startswith("autoqec.prompt/"):
            said = "\n".join((item.pop("system"), item.pop("stable"), item.pop("volatile")))
            sections = {name: body for name, body in _SECTION.findall(said) if name not in _ELSEWHERE}
            item["sections"] = {
                name: [json.loads(line) for line in body.splitlines()] for name, body in sections.items()
            }
    return items


def records(folder: Path) -> list:
    """What history makes of each round, of its claim, trailers and notes; of notes, which of them count."""
    from autoqec.history import NOTE_KINDS, open_ledger, read_history

    found = []
    for record in read_history(open_ledger(folder)):
        apart = (*NOTE_KINDS, "claim", "identity", "standings", "trust")
        plain = {name: value for name, value in vars(record).items() if name not in apart}
        plain |= {kind: (getattr(record, kind) or {}).get("id") for kind in NOTE_KINDS}
        for name in ("claim", "identity"):
            plain[name] = None if getattr(record, name) is None else asdict(getattr(record, name))
        found.append(json.loads(json.dumps(plain | {"status": record.status})))
    return found
