"""One run of the simulation: the steps of a seed, and what must hold after each of them and at the end."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from random import Random

import pygit2
import pytest
from simulated_attacks import OWN_ROUNDS, Attacker
from simulated_checks import Checks
from simulated_lab import CLONES, RUN, Clone, Killed, Lab, all_lines, make_template, open_lab, seeded, shared_refs

from autoqec.errors import AutoQECError
from autoqec.history import SyncReport, repair
from autoqec.history import check as fsck

#: Steps of honest users, and of the attacker in a clone and on the remote, with how often each is chosen.
HONEST = {"verify": 9, "round": 2, "push": 2, "pull": 2, "resume": 1, "archive": 0.3}
IN_CLONES = {"adds": 6, "damages": 1, "moves": 1}
ON_REMOTE = {"adds": 2, "drops": 3, "spoils": 1, "moves": 1}

STEPS = 12

#: A key for the runs in which the real ssh-keygen signs. It signs nothing else.
KEY, PUBLIC = (Path(__file__).parents[1] / "data" / f"simulation.ssh-key{end}" for end in ("", ".pub"))


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        where: `one`, `two` or `remote`.
        what: What happens.
        key: The seed of what is chosen on the way.
        kill: After how many moves of refs and steps of git the process is killed; None for never.
    """

    where: str
    what: str
    key: int
    kill: int | None = None

    def __str__(self) -> str:
        return f"{self.where} {self.what} {self.key}" + ("" if self.kill is None else f" {self.kill}")

    @staticmethod
    def parse(text: str) -> Step:
        """The inverse of `str`."""
        where, what, *numbers = text.split()
        return Step(where, what, *map(int, numbers))


def steps_of(seed: int) -> list[Step]:
    """The steps of a seed."""
    rng = Random(seed)
    places = {**{(name, what): weight for name in CLONES for what, weight in HONEST.items()}}
    places |= {(name, what): weight for name in CLONES for what, weight in IN_CLONES.items()}
    places |= {("remote", what): weight for what, weight in ON_REMOTE.items()}
    found = []
    for where, what in rng.choices([*places], [*places.values()], k=STEPS):
        kill = rng.randrange(12) if what in HONEST and rng.random() < 0.2 else None
        found.append(Step(where, what, rng.randrange(10**6), kill))
    return found


@dataclass(frozen=True)
class Setting:
    """What a run of the simulation starts from, made once.

    Attributes:
        template: See `make_template`.
        keys: What honest users sign with, and the file of allowed signers; by whether ssh-keygen is the real one.
    """

    template: Path
    keys: dict[bool, tuple[Path, Path]]


@dataclass
class Run:
    """A run of the simulation."""

    lab: Lab
    attacker: Attacker
    checks: Checks
    rng: Random
    undo: list[tuple[pygit2.Repository, str, str | None]] = field(default_factory=list)

    def play(self, step: Step) -> str:
        """Play one step, and check what must hold after it; returns what happened."""
        rng, damaged = Random(step.key), ""
        if step.where == "remote":
            told = self._on_remote(step.what, rng)
        elif step.what in HONEST:
            told = self._honest(step, rng)
        else:
            told = self._in_clone(self.lab.clones[step.where], step.what, rng)
            damaged = step.where if step.what == "damages" else ""
        self.checks.after_step(damaged)
        self.attacker.remembers(self.lab.remote)
        return told

    def _honest(self, step: Step, rng: Random) -> str:
        clone = self.lab.acts(step.where)
        self.lab.sources.left = step.kill
        expected = self.checks.dropped_there(clone) if step.what in ("push", "pull") else set()
        try:
            report = getattr(self.lab, step.what)(clone, rng)
            if isinstance(report, SyncReport):
                named = {found.ref for found in report.dropped}
                assert expected <= named, f"{clone.name} does not name that {expected - named} lacks records"
        except Killed:
            self.lab.restarts(step.where)
            return "killed"
        except AutoQECError as error:
            if not self.checks.moved:
                raise
            return f"refused: {error.problem}"
        finally:
            self.lab.sources.left = None
        return "done"

    def _on_remote(self, what: str, rng: Random) -> str:
        repo = self.lab.remote
        if what == "moves":
            return self._moves(repo, rng)
        do = {"adds": self.attacker.adds, "drops": self.attacker.drops, "spoils": self.attacker.spoils_files}[what]
        return do(repo, rng)

    def _in_clone(self, clone: Clone, what: str, rng: Random) -> str:
        if what == "adds":
            return self.attacker.adds(clone.repo, rng)
        if what == "moves":
            return self._moves(clone.repo, rng)
        before = all_lines(clone.repo)
        told = self.attacker.drops(clone.repo, rng)
        self.lab.acts(clone.name)
        if not told.startswith("ref "):
            self.checks.lost_by(clone, before - self.attacker.wrote)
        if rng.random() < 0.7:
            repair(clone.ledger, fsck(clone.ledger))
        return told

    def _moves(self, repo: pygit2.Repository, rng: Random) -> str:
        self.checks.moved |= {*CLONES}
        before = shared_refs(repo)
        told = self.attacker.moves(repo, rng)
        after = shared_refs(repo)
        self.undo += [
            (repo, ref, before.get(ref)) for ref in before.keys() | after.keys() if before.get(ref) != after.get(ref)
        ]
        return told

    def _put_back(self) -> None:
        """Refs that never change contradict each other if somebody moved them; users put them back, as the errors tell them."""
        for repo, ref, oid in reversed(self.undo):
            if ref.startswith("refs/notes/"):
                continue
            if oid is not None:
                repo.references.create(ref, oid, force=True)
            elif ref in repo.references:
                repo.references.delete(ref)
        own = [f"refs/heads/exp/{RUN}/{number}" for number in OWN_ROUNDS]
        for repo in (*(clone.repo for clone in self.lab.clones.values()), self.lab.remote):
            for ref in [ref for ref in own if ref in repo.references]:
                repo.references.delete(ref)
        self.checks.moved.clear()

    # --- The end ------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Everything can be read; after the last pushes and a pull all hold the same; all audits agree."""
        for name in CLONES if self.checks.moved else [self.rng.choice(CLONES)]:
            self.checks.reads(self.lab.clones[name], self.rng)
        self._put_back()
        held = self.checks.held()
        self.lab.asides = dict.fromkeys(self.lab.asides, lambda clone: None)
        for name in CLONES:
            self.lab.resume(self.lab.acts(name))
        turns = cycle(CLONES)
        for do in (self.lab.push, self.lab.push, self.lab.pull, self.lab.pull):
            do(self.lab.acts(next(turns)))
        self.checks.after_step()
        self.checks.converged()
        clone = self.lab.acts(self.rng.choice(CLONES))
        assert held <= all_lines(clone.repo), "an honest line is gone from all"
        self.checks.reads(clone, self.rng)
        self.checks.audits_agree(clone, self.rng)
        self.checks.checker_agrees(clone, self.rng)

    def fingerprint(self) -> str:
        """A hash of all refs of all three repositories."""
        repos = [*(clone.repo for clone in self.lab.clones.values()), self.lab.remote]
        return hashlib.sha256(repr([sorted(shared_refs(repo).items()) for repo in repos]).encode()).hexdigest()


def simulate(
    setting: Setting, folder: Path, seed: int, steps: Sequence[Step] | None = None, log: list[str] | None = None
) -> str:
    """Run the simulation.

    Args:
        setting: What it starts from.
        folder: An empty folder for its repositories.
        seed: Its seed: of every id and time, and of the steps.
        steps: Other steps.
        log: Gets what happened, a line for each step.

    Returns:
        A hash of all refs at the end.

    Raises:
        AssertionError: Something does not hold.
    """
    # In half of the runs users sign; in half of those they believe unsigned records too, where there is no signed one.
    signing, signed_only, real_ssh = seed % 2 == 1, seed % 4 == 1, seed % 50 == 5
    key, signers = setting.keys[real_ssh] if signing else (None, None)
    told = [] if log is None else log
    with seeded(seed, real_ssh=real_ssh) as sources, _environment(folder, signers, signed_only):
        lab = open_lab(setting.template, folder, sources, key, signers)
        attacker = Attacker(sources, signing and not real_ssh)
        checks = Checks(lab, attacker, signing, signed_only)
        run = Run(lab, attacker, checks, Random(f"end of {seed}"))
        _let_others_interfere(run, seed)
        checks.after_step()
        for step in steps_of(seed) if steps is None else steps:
            told.append(f"{step}")
            told[-1] += f"  # {run.play(step)}"
        told.append("the end")
        run.end()
        return run.fingerprint()


def _let_others_interfere(run: Run, seed: int) -> None:
    """While a verifier runs, and between the fetch and the push of a push, somebody may add lines."""
    rng = Random(f"asides of {seed}")

    def aside(repo: pygit2.Repository) -> None:
        if rng.random() < 0.25:
            run.attacker.adds(repo, rng)

    run.lab.asides = {"verifying": lambda clone: aside(clone.repo), "pushing": lambda clone: aside(run.lab.remote)}


@contextmanager
def _environment(folder: Path, signers: Path | None, signed_only: bool) -> Iterator[None]:
    """Variables: whom the users believe, and a home without settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("HOME", folder),
            ("XDG_CONFIG_HOME", folder / "config"),
            ("GIT_CONFIG_GLOBAL", os.devnull),
        ):
            patch.setenv(name, str(value))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("AUTOQEC_ALLOWED_SIGNERS", str(signers or ""))
        patch.setenv("AUTOQEC_TRUST", "signed" if signed_only else "any")
        yield


def shrunk(setting: Setting, folder: Path, seed: int) -> list[Step]:
    """Fewer steps of a seed that fail too."""
    steps, place, tries = steps_of(seed), 0, count()
    while place < len(steps):
        fewer, own = [*steps[:place], *steps[place + 1 :]], folder / f"try-{next(tries)}"
        try:
            simulate(setting, own, seed, fewer)
        except Exception:
            steps = fewer
        else:
            place += 1
        shutil.rmtree(own, ignore_errors=True)
    return steps


def make_setting(folder: Path) -> Setting:
    """Make what runs start from, in an empty folder."""
    (folder / "template").mkdir()
    keys = {}
    for real, secret, public in ((False, "SHA256:ada", "SHA256:ada"), (True, KEY.read_text(), PUBLIC.read_text())):
        key, signers = folder / f"key-{real}", folder / f"signers-{real}"
        key.write_text(secret)
        key.chmod(0o600)
        signers.write_text(f"ada@example.org {public}\n")
        keys[real] = key, signers
    return Setting(make_template(folder / "template"), keys)


def main() -> None:
    """Run one seed, with its steps or with others, and print what happens: `python tests/trust/simulation.py SEED [STEP ...]`."""
    seed, *texts = sys.argv[1:]
    log: list[str] = []
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    type(pygit2.settings).enable_fsync_gitdir = lambda self, value=True: None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "setting").mkdir()
        setting = make_setting(Path(folder) / "setting")
        try:
            steps = [Step.parse(text) for text in texts] or None
            print(simulate(setting, Path(folder) / "lab", int(seed), steps, log))
        finally:
            print(*log, sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
