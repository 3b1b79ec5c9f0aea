"""Many workers on one run, in virtual time: real clones, real claims and real pushes; what they cost each other and their remote.

A round is a delay, drawn from measured times. Its git steps are those of `autoqec round --remote origin`. They really run, each
worker in a clone of its own, all against one bare repository, and take the processor time that they took plus a drawn
latency. Workers interleave in virtual time as on machines of their own, so claims and pushes really race, and git decides.
Processor time on the server's side is counted apart, and waits for one of the server's cores. Hosts vanish, processes are killed
in the middle of a push and started again, and pushes are refused, as the seed says. Measured times are not in its power, so
two runs of one seed differ in detail.

At the end every clone is brought up to date. All must then hold the same records, no number may be used twice, and no round may
be missing but what vanished with its host.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean, median
from types import SimpleNamespace
from typing import Any

from _common import one_thread, show
from _shared_remote import SharedRemote, git
from _virtual_clock import VirtualClock, processor_seconds

one_thread()

import pygit2  # noqa: E402

from autoqec import history  # noqa: E402
from autoqec.errors import AutoQECError  # noqa: E402
from autoqec.history.rounds import claims  # noqa: E402
from autoqec.history.store import git_program  # noqa: E402
from autoqec.history.store.owner import Owner  # noqa: E402
from autoqec.history.sync import push_pull, shared_claims  # noqa: E402
from autoqec.testing.whole_notes import whole_metrics, whole_verdict  # noqa: E402

RESULTS = Path(__file__).parent / "results"
ENV = f"surface_d5_depol@sha256:{'0' * 64}"
EPOCH = datetime(2027, 1, 1, tzinfo=UTC)

#: What a claim says of its round.
DETAILS = {"profile": {"name": "dev"}, "agents": {"ideator": "search", "coder": "search", "analyst": "search"}}

#: How often things go wrong: per network step, per push, and per round.
AWAY, REFUSED, CUT, LATE = 0.002, 0.003, 0.002, 0.002
KILLED, VANISHED = 0.03, 0.004

#: Seconds: a killed job waits so long for its new start, and a new host for its place.
REQUEUED, REPLACED = 120.0, 600.0

#: A worker whose remote is slow waits so many times as long.
SLOW, SLOW_SHARE = 8.0, 0.1


@dataclass(frozen=True)
class Plan:
    """What is simulated.

    Attributes:
        name: Of the variant.
        workers, rounds: How many, in all.
        begun: So many rounds are in the lab before the workers come, recorded by one clone.
        runs: Over how many runs the workers are spread.
        remotes: Over how many repositories the runs are spread.
        packed: Pack the remote after so many pushes; 0 for as git does it by itself (`git gc --auto`).
        mirror: Fetch from a mirror that follows so many seconds apart; 0 for none.
        latency: Median seconds of a network step beside git's own work.
        cores: Of each server.
        pace: Divides the time of rounds: 2 for rounds that take half as long.
        faults: Multiplies how often things go wrong.
        seed: Of everything that is drawn.
    """

    name: str
    workers: int = 64
    rounds: int = 2000
    begun: int = 0
    runs: int = 1
    remotes: int = 1
    packed: int = 0
    mirror: float = 0.0
    latency: float = 0.4
    cores: int = 4
    pace: float = 1.0
    faults: float = 1.0
    seed: int = 1


@dataclass(frozen=True)
class Step:
    """One network step of one worker: when it ended, what it was part of, and its seconds."""

    at: float
    rounds: int
    kind: str
    part: str
    whole: float
    server: float
    queued: float


@dataclass
class Seen:
    """What was counted."""

    steps: list[Step] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    claims: list[tuple[int, float]] = field(default_factory=list)  # rounds done, seconds from start to claim
    shared: list[tuple[int, float]] = field(
        default_factory=list
    )  # rounds done, seconds from end of the work to the remote
    done: list[float] = field(default_factory=list)  # virtual time at which each round was on the remote
    sizes: list[dict[str, float]] = field(default_factory=list)
    upkeep: list[float] = field(default_factory=list)  # processor seconds of each upkeep of a remote
    lost: list[str] = field(default_factory=list)  # rounds that went with their host
    worked: float = 0.0  # seconds of rounds that were finished


class Gone(BaseException):  # no handler of errors may take it for one
    """The worker's process has died; `host` says whether its host, with all that it had, is gone as well."""

    def __init__(self, *, host: bool) -> None:
        super().__init__(host)
        self.host = host


def measured_rounds() -> list[float]:
    """Seconds of rounds as measured: whole ones of the default environments, and training with scoring of longer ones."""
    rows = json.loads((RESULTS / "default_rounds.json").read_text())["rows"]
    seconds = [float(row["s"]) for row in rows if "s" in row]
    labs = json.loads((RESULTS / "rounds.json").read_text())["labs"]
    noted = [one["metrics"] for lab in labs for one in lab["rounds"] if one["metrics"]]
    return seconds + [one["train_seconds"] + one["score_seconds"] for one in noted]


class Worker:
    """A machine that runs rounds: its clone, its clock and its luck."""

    def __init__(self, lab: Lab, number: int) -> None:
        self.lab, self.number = lab, number
        self.draw = random.Random(f"{lab.plan.seed} {number}")
        self.run = f"run-{number % lab.plan.runs}"
        self.remote, self.mirror = lab.remotes[number % lab.plan.runs % lab.plan.remotes]
        self.slow = SLOW if self.draw.random() < SLOW_SHARE else 1.0
        self.skew = self.draw.uniform(-90, 90)
        self.hosts = self.starts = 0
        self.part = "claim"
        self.unshared: dict[str, float] = {}
        self.ledger: history.Ledger

    @property
    def owner(self) -> Owner:
        """The process, for claims."""
        return Owner(f"node-{self.number}-{self.hosts}", 1000 + self.starts, "boot", str(self.starts))

    def now(self) -> datetime:
        """The time by this host's clock, which is up to 90 seconds off."""
        return EPOCH + timedelta(seconds=self.lab.clock.time() + self.skew)

    # What the worker does

    def work(self) -> None:
        """Run rounds until enough have been claimed; start again whatever happens."""
        fresh = True
        while True:
            try:
                if fresh:
                    self.place()
                    fresh = False
                self.job()
                return
            except Gone as gone:
                self.lab.seen.counts["hosts vanished" if gone.host else "processes killed"] += 1
                if gone.host:
                    self.lab.seen.lost += self.unshared
                    self.unshared = {}
                    self.hosts += 1
                    shutil.rmtree(self.ledger.workdir)
                    fresh = True
                self.starts += 1
                self.lab.clock.sleep(REPLACED if gone.host else REQUEUED)

    def place(self) -> None:
        """Clone the lab on a new host."""
        place = self.lab.top / f"node-{self.number}-{self.hosts}"
        self.lab.clock.unmeasured(lambda: shutil.copytree(self.lab.templates[self.run], place, symlinks=True) and None)
        self.ledger = history.open_ledger(place)
        pygit2.settings.enable_fsync_gitdir(False)  # a memory disk; and what a disk takes is not processor time
        self.ledger.signature = lambda: pygit2.Signature("a", "a@b", int(self.now().timestamp()), 0)  # type: ignore[method-assign]
        self.part = "share"
        self.patiently(lambda: history.pull(self.ledger, "origin", self.run))

    def job(self) -> None:
        """One job: finish what an earlier job of this host left, then rounds; at the end nothing may be left here."""
        self.part = "share"
        for record in history.read_history(self.ledger, self.run):
            claim = record.claim
            if claim is not None and claim.state == "open" and claim.host == self.owner.host:
                self.lab.seen.counts["rounds resumed"] += 1
                self.finish(history.take_over_claim(self.ledger, claim))
        while self.lab.take():
            begun, self.part = self.lab.clock.time(), "claim"
            claim = self.patiently(lambda: history.claim_shared_round(self.ledger, self.run, "origin", DETAILS))
            self.lab.seen.claims.append((len(self.lab.seen.done), self.lab.clock.time() - begun))
            self.finish(claim)
        while self.unshared:
            self.share()
            self.lab.clock.sleep(5.0 if self.unshared else 0.0)

    def patiently(self, step: Any) -> Any:
        """Do something that fails while the remote is away or refuses, until it works."""
        while True:
            try:
                return step()
            except AutoQECError as error:
                self.lab.note_error(error)
                self.lab.clock.sleep(30.0)

    def finish(self, claim: history.Claim) -> None:
        """The work of a round, its records, and the push of them."""
        seconds = self.draw.choice(self.lab.seconds) / self.lab.plan.pace
        chance = self.draw.random() / max(self.lab.plan.faults, 1e-9)
        if chance < KILLED + VANISHED:
            self.lab.clock.sleep(self.draw.random() * seconds)
            raise Gone(host=chance < VANISHED)
        self.lab.clock.sleep(seconds)
        self.lab.seen.worked += seconds
        record(self.ledger, claim, self.lab.base, self.draw)
        self.unshared[f"{claim.run}/{claim.number}"] = self.lab.clock.time()
        self.share()
        self.lab.clock.unmeasured(lambda: git(self.ledger.workdir, "maintenance", "run", "--auto", "--quiet"))

    def share(self) -> None:
        """Push the run once, as a round does at its end; a failure is only a warning there."""
        self.part = "share"
        try:
            history.push(self.ledger, "origin", self.run)
        except AutoQECError as error:
            self.lab.note_error(error)
            self.lab.seen.counts["pushes given up"] += 1
            return
        now = self.lab.clock.time()
        for since in self.unshared.values():
            self.lab.seen.shared.append((len(self.lab.seen.done), now - since))
            self.lab.seen.done.append(now)
        self.unshared = {}
        self.lab.tell()
        self.lab.after_push(self.remote)

    # What stands in the place of the machine

    def network(self, real: Any, *args: Any) -> Any:
        """A network step: half of the latency, git itself, a core of the server, the other half; or what goes wrong.

        A push counts at its end: the clock first goes on by what recent pushes took.
        """
        lab, kind = self.lab, "push" if args[2] == "push" else "fetch"
        source = self.remote if kind == "push" else self.mirror or self.remote
        latency = lab.plan.latency * self.slow * self.draw.lognormvariate(0, 0.5)
        begun, usual = lab.clock.time(), lab.usual_push if kind == "push" else 0.0
        lab.clock.sleep(latency / 2 + usual)
        fault = self.fault(kind)
        source.server_seconds()
        before = lab.clock.time()
        os.environ["SIM_FAULT"] = fault
        done = real(*args)
        os.environ["SIM_FAULT"] = ""
        server = source.server_seconds()
        took = lab.clock.time() - before
        if kind == "push" and not fault:
            lab.usual_push += 0.1 * (took - lab.usual_push)
        queued = lab.queue(source, server)
        # What it took beyond the usual goes on from here; less than the usual cannot be taken back.
        lab.clock.sleep(latency / 2 + queued - (min(took, usual) if kind == "push" else 0.0))
        whole = lab.clock.time() - begun
        lab.seen.steps.append(Step(lab.clock.time(), len(lab.seen.done), kind, self.part, whole, server, queued))
        if fault in ("cut", "late"):
            raise Gone(host=self.draw.random() < 0.3)
        return done

    def fault(self, kind: str) -> str:
        """What goes wrong in this step; mostly nothing."""
        odds = {"away": AWAY} | ({"refused": REFUSED, "cut": CUT, "late": LATE} if kind == "push" else {})
        chance = self.draw.random() / max(self.lab.plan.faults, 1e-9)
        for fault, share in odds.items():
            if (chance := chance - share) < 0:
                self.lab.seen.counts[f"faults: {fault}"] += 1
                return fault
        return ""


def record(ledger: history.Ledger, claim: history.Claim, base: str, draw: random.Random) -> None:
    """Everything a round records, as large as real ones are: trace, commit, weights, three notes, and the close.

    What a job that was killed has recorded already stays.
    """
    run, number = claim.run, claim.number
    found = {
        "gain": draw.randrange(-2, 11) / 2000, "baseline": 0.01392, "flops_per_shot": draw.randrange(10**5, 10**7),
        "params": draw.randrange(1, 10**5), "references": {"mwpm_correlated": 2180 / 200_704},
    }  # fmt: skip
    calls = {f"calls/{role}-1.json": draw.randbytes(300).hex().encode() for role in ("analyst", "coder", "ideator")}
    replies = {name: draw.randbytes(250).hex().encode() for name in ("coder.json", "ideator.json")}
    history.attach(ledger, "traces", run, number, calls | replies)
    identity = history.RoundIdentity(
        run=run, round=number, attempt=claim.attempt, env=ENV, fork_from=(), compose="none", agent="search+search",
        hypothesis=f"From round {number - 1}: {draw.randrange(2, 20)} iterations, with scales learned per detector",
    )  # fmt: skip
    files = {
        "output.yaml": b"mode: soft_priors\n\nthreshold: 0.5\n",
        "training.yaml": f"epochs: 3\n\nshots: {draw.randrange(10**6)}\n".encode(),
        "stages/bp/stage.yaml": f"iterations: {draw.randrange(2, 20)}\n\nkind: neural_bp\n".encode(),
    }
    commit = history.commit_round(
        ledger, identity, base=base, parents=(), files=files, subject=identity.hypothesis, body="Why:\nit may."
    )
    history.attach(ledger, "artifacts", run, number, {"weights.safetensors": draw.randbytes(64)})
    attempt = {"id": claim.attempt}
    history.append_note(ledger, run, "metrics", commit, whole_metrics(**found) | attempt)
    history.append_note(ledger, run, "analysis", commit, attempt | {"decision": "candidate", "summary": "It helps."})
    about = {"commit": commit, "environment": "0" * 64, "candidate": "a" * 64, "weights_sha256": "b" * 64}
    word = draw.choice(("VERIFIED", "SUSPICIOUS", "FAILED"))
    history.append_note(ledger, run, "verdict", commit, whole_verdict(word, "evidence", about=about, **found) | attempt)
    history.close_claim(ledger, claim, status="ok", commit=commit)


class Lab:
    """All that workers share: the clock, the remotes, and what was seen."""

    def __init__(self, plan: Plan, top: Path, partial: Path | None = None) -> None:
        self.partial = partial
        self.plan, self.top, self.clock, self.seen = plan, top, VirtualClock(), Seen()
        self.seconds, self.usual_push, self.taken = measured_rounds(), 0.1, 0
        self.remotes: list[tuple[SharedRemote, SharedRemote | None]] = []
        self.cores: dict[int, list[float]] = {}
        self.pushes: Counter[int] = Counter()
        first = history.initialise(top / "first", {"README": b"a lab\n"})
        self.base = str(first.repo.head.target)
        for number in range(plan.remotes):
            pair = SharedRemote(top, f"remote-{number}"), SharedRemote(top, f"mirror-{number}") if plan.mirror else None
            self.remotes.append(pair)
            for one in pair:
                if one is not None:
                    self.cores[id(one)] = [0.0] * plan.cores
                    git(first.workdir, "push", "-q", str(one.folder), "main")
        self.templates = {f"run-{number}": self._begin(first, number) for number in range(plan.runs)}
        self.workers = [Worker(self, number) for number in range(plan.workers)]
        self._mine = threading.local()

    def _begin(self, first: history.Ledger, number: int) -> Path:
        """Start a run, with the rounds that it has before the workers come; a clone that has pulled it."""
        run, (remote, mirror) = f"run-{number}", self.remotes[number % self.plan.remotes]
        about = {"base": self.base, "env_name": "surface_d5_depol", "env_id": "0" * 64, "env_files": {}, "settings": {}}
        history.start_run(first, run, **about)  # type: ignore[arg-type]
        pygit2.settings.enable_fsync_gitdir(False)
        draw = random.Random(f"{self.plan.seed} {run}")
        for done in range(self.plan.begun // self.plan.runs):
            record(first, history.claim_round(first, run, DETAILS), self.base, draw)
            if done % 200 == 0:
                git(first.workdir, "pack-refs", "--all")
        history.push(first, str(remote.folder), run)
        for one in (remote, *([mirror] if mirror else [])):
            if one is mirror:
                git(one.folder, "fetch", "-q", "--prune", str(remote.folder), "+refs/*:refs/*")
            git(one.folder, "gc", "-q")
        template = self.top / f"template-{number}"
        remote.clone(template, fetch_from=mirror)
        history.pull(history.open_ledger(template), "origin", run)
        git(template, "gc", "-q")
        shutil.rmtree(template / ".git" / "logs")
        return template

    @property
    def me(self) -> Worker:
        """The worker of the thread that asks."""
        worker: Worker = self._mine.worker
        return worker

    def take(self) -> bool:
        """Whether there is one more round to begin."""
        self.taken += 1
        return self.taken <= self.plan.rounds

    def queue(self, remote: SharedRemote, seconds: float) -> float:
        """Seconds that a step waits for a core of the server which then works for it."""
        cores, now = self.cores[id(remote)], self.clock.time()
        first = min(range(len(cores)), key=cores.__getitem__)
        waits = max(cores[first] - now, 0.0)
        cores[first] = now + waits + seconds
        return waits

    def tell(self) -> None:
        """Say how far it is, for people who wait."""
        done = len(self.seen.done)
        if done % 20 == 0:
            if self.partial and done % 100 == 0:
                text = json.dumps(summary(self, {}))
                self.clock.unmeasured(lambda: self.partial and self.partial.write_text(text) and None)
            lost = sum(value for name, value in self.seen.counts.items() if name.startswith("lost"))
            hours, cpu = self.clock.time() / 3600, processor_seconds()
            print(f"{done} rounds, {hours:.2f} h, {lost} lost races, {cpu:.0f} s of processor time", file=sys.stderr)

    def note_error(self, error: AutoQECError) -> None:
        """Count an error that a worker met, by its kind."""
        self.seen.counts[f"errors: {error.code or type(error).__name__}: {error.problem[:60]}"] += 1

    def after_push(self, remote: SharedRemote) -> None:
        """Upkeep of the remote when it is due, on a core of its own server; and a look at its sizes."""
        self.pushes[id(remote)] += 1
        every = self.plan.packed or 20
        if self.pushes[id(remote)] % every == 0:
            call = ("gc", "--quiet") if self.plan.packed else ("-c", "gc.auto=6700", "gc", "--auto", "--quiet")
            spent = self.clock.unmeasured(lambda: git(remote.folder, *call) and None)
            self.queue(remote, spent)
            self.seen.upkeep.append(spent)
        if sum(self.pushes.values()) % max(self.plan.rounds // 20, 1) == 0:
            self.clock.unmeasured(lambda: self.seen.sizes.append({"rounds": len(self.seen.done), **remote.sizes()}))

    def follow(self, remote: SharedRemote, mirror: SharedRemote) -> None:
        """Keep a mirror up to date while rounds are left."""

        def update() -> None:
            git(mirror.folder, "fetch", "-q", "--prune", str(remote.folder), "+refs/*:refs/*")

        while self.busy:
            spent = self.clock.unmeasured(update)
            self.queue(remote, spent / 2)
            self.clock.sleep(self.plan.mirror)

    @contextmanager
    def in_place_of_machines(self) -> Iterator[None]:
        """Have AutoQEC ask workers for the time, for its process, for the network and for pauses."""
        real, pause = git_program._run_network, git_program.pause

        def paused(attempt: int) -> None:
            self.seen.counts[f"lost races: {self.me.part}"] += 1
            pause(attempt)

        def alive(host: str, pid: int, boot_id: str, process_start: str) -> bool:
            return host != self.me.owner.host or pid == self.me.owner.pid

        chance = SimpleNamespace(uniform=lambda low, high: self.me.draw.uniform(low, high))
        timing = SimpleNamespace(sleep=self.clock.sleep, monotonic=self.clock.time)
        changed = [
            (git_program, "_run_network", lambda *args: self.me.network(real, *args)),
            (git_program, "time", timing), (git_program, "random", chance),
            (push_pull, "pause", paused), (shared_claims, "pause", paused),
            (claims, "this_process", lambda: self.me.owner), (claims, "process_is_alive", alive),
            (claims, "utc_now", lambda: self.me.now().isoformat(timespec="microseconds").replace("+00:00", "Z")),
        ]  # fmt: skip
        before = [(place, name, getattr(place, name)) for place, name, _ in changed]
        for place, name, value in changed:
            setattr(place, name, value)
        try:
            yield
        finally:
            for place, name, value in before:
                setattr(place, name, value)

    def simulate(self) -> None:
        """Run everything."""
        self.busy = len(self.workers)

        def whole(worker: Worker) -> None:
            self._mine.worker = worker
            try:
                worker.work()
            finally:
                self.busy -= 1

        for worker in self.workers:
            self.clock.start(lambda worker=worker: whole(worker), at=worker.draw.random() * 60.0)  # type: ignore[misc]
        for remote, mirror in self.remotes:
            if mirror is not None:
                self.clock.start(lambda remote=remote, mirror=mirror: self.follow(remote, mirror))  # type: ignore[misc]
        with self.in_place_of_machines():
            self.clock.run()

    def examine(self) -> dict[str, Any]:
        """Bring clones up to date, and look whether they agree and nothing is missing; findings by name."""
        for remote, mirror in self.remotes:
            if mirror is not None:
                git(mirror.folder, "fetch", "-q", "--prune", str(remote.folder), "+refs/*:refs/*")
        differing, numbers, missing, findings = 0, Counter(), [], Counter()
        for worker in self.workers:
            self._mine.worker = worker
            history.pull(worker.ledger, "origin", worker.run)
            here = records_of(worker.ledger.workdir, worker.run)
            differing += here != records_of(worker.remote.folder, worker.run)
        for run in range(self.plan.runs):
            worker = next(worker for worker in self.workers if worker.run == f"run-{run}")
            self._mine.worker = worker
            records = history.read_history(worker.ledger, worker.run)
            numbers["claimed"] += len(records)
            numbers["closed"] += sum(one.claim is not None and one.claim.state == "closed" for one in records)
            numbers["open for good"] += sum(one.claim is not None and one.claim.state == "open" for one in records)
            numbers["attempts"] += len({one.claim.attempt for one in records if one.claim is not None})
            missing += [one.number for one in records if one.status == "ok" and not (one.metrics and one.verdict)]
            found = history.check(worker.ledger)
            findings.update(f"{one.severity}: {one.kind if hasattr(one, 'kind') else one}"[:100] for one in found)
        return {
            **numbers,
            "clones that differ": differing,
            "rounds without notes": len(missing),
            "fsck": dict(findings),
        }


def records_of(folder: Path, run: str) -> str:
    """The refs of a run in a repository that clones share."""
    kinds = (f"refs/autoqec/{kind}/{run}" for kind in ("runs", "claims", "traces", "rounds"))
    names = (f"refs/heads/exp/{run}", f"refs/notes/autoqec/{run}", *kinds)
    return git(folder, "for-each-ref", "--format=%(refname) %(objectname)", *names)


def in_parts(rounds: int, pairs: Sequence[tuple[int, float]], count: int = 4) -> list[float | None]:
    """Medians over the four quarters of the rounds, or over so many parts; None for a part with nothing."""
    parts: list[list[float]] = [[] for _ in range(count)]
    for done, value in pairs:
        parts[min(count * done // max(rounds, 1), count - 1)].append(value)
    return [round(median(part), 3) if part else None for part in parts]


def summary(lab: Lab, examined: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that was seen, as plain data."""
    seen, plan = lab.seen, lab.plan
    done = sorted(seen.done)
    hours = done[-1] / 3600
    middle = done[len(done) // 10 : max(len(done) * 8 // 10, 2)]
    ideal = plan.workers * 3600 * plan.pace / mean(lab.seconds)
    steady = (len(middle) - 1) / max(middle[-1] - middle[0], 1e-9) * 3600
    git_time = sum(took for _, took in seen.claims) + sum(took for _, took in seen.shared)
    steps: dict[str, Any] = {}
    for part in ("claim", "share"):
        for kind in ("fetch", "push"):
            some = [step for step in seen.steps if (step.part, step.kind) == (part, kind)]
            own = [(step.rounds, step.whole - step.queued) for step in some]
            steps[f"{part} {kind}"] = {
                "times": len(some),
                "s": in_parts(plan.rounds, own),
                "server cpu s": in_parts(plan.rounds, [(step.rounds, step.server) for step in some]),
            }
    server = sum(step.server for step in seen.steps) + sum(seen.upkeep)
    waits = [step.queued for step in seen.steps]
    return {
        "plan": asdict(plan),
        "rounds": len(done),
        "virtual hours": round(hours, 3),
        "rounds per hour": round(steady, 1),
        "without git": round(ideal, 1),
        "git's share of a worker's time": round(git_time / max(git_time + seen.worked, 1e-9), 4),
        "counts": dict(sorted(seen.counts.items())),
        "claim s": in_parts(plan.rounds, seen.claims),
        "share s": in_parts(plan.rounds, seen.shared),
        "steps": steps,
        "over the rounds": {
            "rounds": [plan.begun + round((part + 0.5) * plan.rounds / 20) for part in range(20)],
            "claim s": in_parts(plan.rounds, seen.claims, 20),
            "share s": in_parts(plan.rounds, seen.shared, 20),
            "fetch server cpu s": in_parts(
                plan.rounds, [(s.rounds, s.server) for s in seen.steps if s.kind == "fetch"], 20
            ),
            "push server cpu s": in_parts(
                plan.rounds, [(s.rounds, s.server) for s in seen.steps if s.kind == "push"], 20
            ),
        },
        "server cpu s per round": round(server / max(len(done), 1), 3),
        "server load": round(server / (hours * 3600 * plan.cores * plan.remotes), 4),
        "longest wait for a core s": round(max(waits, default=0.0), 2),
        "upkeep cpu s": round(sum(seen.upkeep), 1),
        "sizes": seen.sizes,
        "lost with hosts": len(seen.lost),
        "end": dict(examined),
    }


def simulated(plan: Plan, work: Path | None = None, partial: Path | None = None) -> dict[str, Any]:
    """Simulate one plan in a folder of its own, and return what was seen."""
    os.environ.setdefault("GIT_CONFIG_GLOBAL", os.devnull)
    os.environ["SIM_FAULT"] = ""
    with tempfile.TemporaryDirectory(dir=work) as top:
        lab = Lab(plan, Path(top), partial)
        lab.simulate()
        return summary(lab, lab.examine())


def table(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The network steps, a row each: seconds and the server's processor seconds, medians of the first and last quarter."""
    rows = []
    for name, step in found["steps"].items():
        row: dict[str, Any] = {"step": name, "times": step["times"]}
        for kind in ("s", "server cpu s"):
            row |= {f"{kind}, first": step[kind][0], f"{kind}, last": step[kind][-1]}
        rows.append(row)
    return rows


def main() -> None:
    """Simulate one plan, by default a small one; print it, or draw what the file of results holds."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    defaults = asdict(Plan("given", workers=8, rounds=24))
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"of the plan (default: {default})")
    parser.add_argument("--work", type=Path, default=None, help="where clones are made; a disk in memory is best")
    parser.add_argument("--partial", type=Path, default=None, help="a file for what was seen so far, now and then")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--plot", action="store_true", help="draw results/cluster.json as results/cluster.svg instead")
    options = vars(parser.parse_args())
    if options["plot"]:
        from _cluster_plot import draw

        draw(RESULTS / "cluster.json", RESULTS / "cluster.svg")
        return
    plan = Plan(**{name: options[name] for name in defaults})
    found = simulated(plan, options["work"], options["partial"])
    facts = {name: value for name, value in found.items() if name not in ("steps", "sizes", "over the rounds")}
    show("cluster", table(found), found if options["json"] else facts, as_json=options["json"])


if __name__ == "__main__":
    main()
