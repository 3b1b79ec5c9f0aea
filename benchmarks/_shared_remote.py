"""A bare repository that many clones share, with a server's processor time measured apart, and with faults on demand.

Clones reach it through two small programs, which git's settings name in the place of its own. They run git's own, write down
the processor time that it took on the server's side, and can go wrong as hosts, networks and servers do.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

# What can go wrong in a network step. `away`: nobody answers. `refused`: the server's hook refuses the push. `cut`: the client
# dies with half of its pack sent. `late`: it dies when the server has everything and is about to move the refs.
_PROGRAM = """#!/bin/sh
[ "$SIM_FAULT" = away ] && {{ echo "fatal: connection timed out" >&2; exit 1; }}
if [ "$SIM_FAULT" = cut ] || [ "$SIM_FAULT" = late ]; then
    client=$PPID
    while [ "$client" -gt 1 ] && [ "$(cat /proc/$client/comm)" != git ]; do client=$(cut -d' ' -f4 /proc/$client/stat); done
    export SIM_CLIENT=$client
fi
if [ "$SIM_FAULT" = cut ]; then head -c 700 | {real} "$@"; kill -9 $client; else {real} "$@"; fi
times >> {times}
"""

_HOOK = """#!/bin/sh
case "$SIM_FAULT" in
refused) echo "the server cannot take this now" >&2; exit 1 ;;
late) kill -9 $SIM_CLIENT ;;
esac
exit 0
"""

_TIME = re.compile(r"(\d+)m([\d.]+)s (\d+)m([\d.]+)s")


def git(folder: Path, *args: str, stdin: str | None = None) -> str:
    """Run git and return what it prints."""
    done = subprocess.run(["git", "-C", str(folder), *args], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"git {' '.join(args[:3])}: {done.stderr[-500:]}")
    return done.stdout


class SharedRemote:
    """A bare repository with its two programs, below a folder.

    Attributes:
        folder: The bare repository.
    """

    def __init__(self, top: Path, name: str) -> None:
        self.folder = top / f"{name}.git"
        self._times = top / f"{name}.times"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.folder)], check=True)
        # Upkeep is the simulation's, so that it neither runs beside what is measured nor as part of it.
        for setting, value in {"receive.autogc": "false", "gc.auto": "0", "core.logAllRefUpdates": "false"}.items():
            git(self.folder, "config", setting, value)
        self.programs = {kind: self._program(top, name, kind) for kind in ("upload-pack", "receive-pack")}
        hook = self.folder / "hooks" / "pre-receive"
        hook.write_text(_HOOK)
        hook.chmod(hook.stat().st_mode | stat.S_IXUSR)

    def _program(self, top: Path, name: str, kind: str) -> Path:
        path = top / f"{name}-{kind}"
        path.write_text(_PROGRAM.format(real=f"git-{kind}", times=self._times))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def clone(self, place: Path, *, fetch_from: SharedRemote | None = None) -> None:
        """Clone it, by its programs; or a mirror, so that fetches go to the mirror and pushes come here."""
        source = fetch_from or self
        subprocess.run(["git", "clone", "-q", str(source.folder), str(place)], check=True)
        settings = {
            "remote.origin.uploadpack": str(source.programs["upload-pack"]),
            "remote.origin.receivepack": str(self.programs["receive-pack"]),
            "remote.origin.pushurl": str(self.folder),
            "gc.autoDetach": "false",
        }
        for setting, value in settings.items():
            git(place, "config", setting, value)

    def server_seconds(self) -> float:
        """Processor seconds on the server's side since the last question."""
        if not self._times.exists():
            return 0.0
        lines = self._times.read_text()
        self._times.unlink()
        return sum(60 * int(m1) + float(s1) + 60 * int(m2) + float(s2) for m1, s1, m2, s2 in _TIME.findall(lines))

    def sizes(self) -> dict[str, float]:
        """How large it is: refs, loose refs, loose objects, packs, and MiB in all."""
        counted = dict(line.split(": ") for line in git(self.folder, "count-objects", "-v").splitlines())
        loose = sum(len(files) for _, _, files in os.walk(self.folder / "refs"))
        return {
            "refs": len(git(self.folder, "for-each-ref", "--format=x").split()),
            "loose refs": loose,
            "loose objects": int(counted["count"]),
            "packs": int(counted["packs"]),
            "MiB": round((int(counted["size"]) + int(counted["size-pack"])) / 1024, 2),
        }
