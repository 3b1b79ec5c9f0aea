"""A simulated lab: two clones, a remote and what honest users do there, in one process. Every id and time comes from a seed.

Honest users call the functions that the commands call: `judge` notes intents and verdicts, `push` and `pull` run git against
a bare repository. Nothing is trained, and no process verifies: the verifier's answers are made from seeded counts.
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import count, pairwise
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pygit2
import pytest
from seeded_verdicts import some_judgement

from autoqec import autoqec_check, history
from autoqec.config import load_settings
from autoqec.errors import AutoQECError
from autoqec.history.rounds import claims, notes, run_refs, signatures
from autoqec.history.store import clone_id, git_program, ref_moves, refs
from autoqec.history.store.owner import Owner
from autoqec.history.sync import push_pull
from autoqec.loop import judging
from autoqec.loop.identity import IdentityMismatchError
from autoqec.loop.round_state import read_state
from autoqec.loop.session import Session
from autoqec.plugins import load_plugins
from autoqec.results.limits import Limits
from autoqec.results.statistics import attempt_alpha
from autoqec.results.verdict import Verdict
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.testing import make_tiny_lab, record_run
from autoqec.testing.whole_notes import whole_metrics

RUN = "depol-abcd"
CLONES = ("one", "two")
KINDS = ("metrics", "verdict", "analysis")

_ANSWERS = 25
_plugins = cache(load_plugins)

#: A line of a note: the ref, the commit that it is about, its bytes.
Key = tuple[str, str, bytes]

#: The keys that the simulated ssh-keygen knows, by fingerprint. The first one is an allowed signer's.
KEYS = {"SHA256:ada": "the key of Ada", "SHA256:mallory": "the key of Mallory"}


class Killed(BaseException):
    """The process ends here. No handler of errors sees it, as none sees a signal that kills."""


def notes_ref(kind: str) -> str:
    """The ref of the run's notes of a kind."""
    return f"refs/notes/autoqec/{RUN}/{kind}"


# --- Ids, times, hosts, processes and signatures ---------------------------------------------------------------------


class Sources:
    """Where ids, times, hosts and processes come from, and where a process may be killed.

    Attributes:
        host: The host that acts.
        pids: The process on each host; a killed one is followed by the next.
        left: After how many more moves of refs and steps of git the process is killed; None for never.
    """

    def __init__(self, seed: object):
        self._draw, self._seconds = Random(f"ids of {seed}"), 1_760_000_000
        self.host, self.pids = CLONES[0], dict.fromkeys(CLONES, 1)
        self.left: int | None = None

    def now(self) -> int:
        """The next second."""
        self._seconds += 1
        return self._seconds

    def utc_now(self) -> str:
        """The next second as text."""
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def uuid4(self) -> SimpleNamespace:
        """An id."""
        return SimpleNamespace(hex=f"{self._draw.getrandbits(128):032x}")

    def is_alive(self, host: str, pid: int, *_: str) -> bool:
        """Whether a process may be alive, as the acting host sees it."""
        return host != self.host or pid == self.pids[host]

    def killable(self, do: Callable[..., Any]) -> Callable[..., Any]:
        """A step before and after which the process can be killed."""

        def step(*arguments: Any, **options: Any) -> Any:
            self._pass()
            done = do(*arguments, **options)
            self._pass()
            return done

        return step

    def _pass(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed


@contextmanager
def seeded(seed: object, *, real_ssh: bool = False) -> Iterator[Sources]:
    """Let ids, times, hosts, processes and signatures come from a seed. Nothing else that differs from run to run is in a ref."""
    found = Sources(seed)
    with pytest.MonkeyPatch.context() as patch:
        for module in (claims, notes):
            patch.setattr(module, "uuid", found)
        patch.setattr(clone_id, "uuid", Sources(f"clones of {seed}"))
        for module in (claims, notes, run_refs):
            patch.setattr(module, "utc_now", found.utc_now)
        patch.setattr(
            history.Ledger, "signature", lambda self: pygit2.Signature(self._name, self._email, found.now(), 0)
        )
        patch.setattr(claims, "this_process", lambda: Owner(found.host, found.pids[found.host], "boot", ""))
        patch.setattr(claims, "process_is_alive", found.is_alive)
        patch.setattr(push_pull, "pause", lambda attempt: None)
        for module, name in ((refs, "_swap_once"), (ref_moves, "run_git"), (git_program, "_run_network")):
            patch.setattr(module, name, found.killable(getattr(module, name)))
        if not real_ssh:
            patch.setattr(signatures, "_ssh_keygen", ssh_keygen)
            patch.setattr(autoqec_check, "run", _checker_runs(autoqec_check.run))
        yield found


def ssh_keygen(arguments: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    """What `ssh-keygen -Y` does, with a hash of the key and the data as the signature."""
    what, options = arguments[1], dict(pairwise(arguments))

    def done(text: str = "", code: int = 0) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(arguments, code, text.encode(), b"")

    if what == "sign":
        return done(signature_by(Path(options["-f"]).read_text(), data))
    key, _, noted = Path(options["-s"]).read_text(errors="replace").strip().partition(" ")
    allowed = dict(line.split() for line in Path(options.get("-f", "/dev/null")).read_text().splitlines())
    if what == "find-principals":
        who = [name for name, known in allowed.items() if known == key]
        return done("\n".join(who), 0 if who else 1)
    if key not in KEYS or signature_by(key, data).strip() != f"{key} {noted}":
        return done(code=1)
    return done(f'Good "autoqec-verdict" signature with ED25519 key {key}')


def signature_by(key: str, data: bytes) -> str:
    """The signature of data by a key of the simulated ssh-keygen."""
    return f"{key} {hmac.digest(KEYS[key].encode(), data, 'sha256').hex()}\n"


def _checker_runs(real: Callable[..., bytes]) -> Callable[..., bytes]:
    def run(*command: str, data: bytes = b"") -> bytes:
        if command[0] != "ssh-keygen":
            return real(*command, data=data)
        done = ssh_keygen([*command[1:]], data)
        return done.stdout if done.returncode == 0 else b""

    return run


# --- Repositories as git sees them -----------------------------------------------------------------------------------

_LINES: dict[str, tuple[bytes, ...]] = {}


def blob_lines(repo: pygit2.Repository, oid: str) -> tuple[bytes, ...]:
    """The lines of a note's blob."""
    if oid not in _LINES:
        _LINES[oid] = tuple(line for line in repo[oid].data.split(b"\n") if line.strip())
    return _LINES[oid]


def note_blobs(tree: pygit2.Tree, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every blob of a notes tree, with its path without slashes."""
    for entry in tree:
        if isinstance(entry, pygit2.Tree):
            yield from note_blobs(entry, prefix + str(entry.name))
        else:
            yield prefix + str(entry.name), str(entry.id)


def lines_in(repo: pygit2.Repository, ref: str, tip: str | None = None) -> dict[str, list[bytes]]:
    """The lines in a notes ref by commit; empty if there is none."""
    found: dict[str, list[bytes]] = {}
    target = tip or (str(repo.references[ref].target) if ref in repo.references else None)
    for commit, blob in note_blobs(repo[target].peel(pygit2.Tree)) if target else ():
        found.setdefault(commit, []).extend(blob_lines(repo, blob))
    return found


def all_lines(repo: pygit2.Repository) -> set[Key]:
    """Every line of the run's notes."""
    return {
        (notes_ref(kind), commit, line)
        for kind in KINDS
        for commit, lines in lines_in(repo, notes_ref(kind)).items()
        for line in lines
    }


def shared_refs(repo: pygit2.Repository) -> dict[str, str]:
    """Every ref that clones share, with what it holds."""
    kept = ("refs/heads/exp/", "refs/autoqec/", "refs/notes/autoqec/")
    return {ref: str(repo.references[ref].target) for ref in repo.references if ref.startswith(kept)}


# --- The lab ---------------------------------------------------------------------------------------------------------


@dataclass
class Clone:
    """A clone, and the user who works in it."""

    name: str
    ledger: history.Ledger
    session: Session

    @property
    def repo(self) -> pygit2.Repository:
        """Its repository."""
        return self.ledger.repo


@dataclass
class Lab:
    """Two clones, their remote, and what honest users do in them.

    Attributes:
        folder: Where they are.
        sources: Where ids and times come from.
        clones: By name.
        remote: The bare repository.
        signers: The file of allowed signers; None where nobody signs.
        asides: What happens while a verifier runs, and between the fetch and the push of a push; called with a clone.
    """

    folder: Path
    sources: Sources
    clones: dict[str, Clone]
    remote: pygit2.Repository
    signers: Path | None
    asides: dict[str, Callable[[Clone], None]]

    def acts(self, name: str) -> Clone:
        """The clone whose user acts now."""
        self.sources.host = name
        return self.clones[name]

    def restarts(self, name: str) -> None:
        """After its process was killed: a new one opens the clone."""
        self.sources.left = None
        self.sources.pids[name] += 1
        clone = self.clones[name]
        clone.ledger = clone.session.ledger = history.open_ledger(clone.ledger.workdir)

    def rounds(self, clone: Clone) -> list[history.RoundRecord]:
        """The closed rounds of honest users in a clone."""
        found = history.read_history(clone.ledger, RUN)
        return [each for each in found if each.claim and each.claim.host in CLONES and each.claim.state == "closed"]

    def round(self, clone: Clone, rng: Random) -> None:
        """Begin a round and carry it to its end."""
        self.finish(clone, history.claim_round(clone.ledger, RUN))

    def finish(self, clone: Clone, claim: history.Claim) -> None:
        """Carry a claimed round to its end. As when resuming, what is in git already stays as it is."""
        ledger, run, rng = clone.ledger, history.load_run(clone.ledger, RUN), Random(claim.attempt)
        identity = history.RoundIdentity(
            RUN, claim.first_number, claim.attempt, f"{run.env_name}@sha256:{run.env_id}", (), "none", "search", "an idea"
        )  # fmt: skip
        history.attach(ledger, "traces", RUN, claim.number, {"ideator.json": b"{}"})
        sealed = SealedCandidate({"output.yaml": b"mode: soft_priors\n"}, f"weights of {claim.attempt}".encode())
        commit = history.commit_round(
            ledger, identity, base=run.base, parents=(), files=sealed.files, subject="a round", body=""
        )
        history.attach(ledger, "artifacts", RUN, claim.number, {"weights.safetensors": sealed.weights})
        about = {"candidate": sealed.digest, "weights_sha256": sealed.weights_sha256}
        metrics = whole_metrics(rng.choice([-0.001, 0.0, 0.004]), shots=65_536, id=claim.attempt, **about)
        for kind, record in (
            ("metrics", metrics),
            ("analysis", {"id": claim.attempt, "decision": "candidate", "summary": "s"}),
        ):
            known = lines_in(clone.repo, notes_ref(kind)).get(commit, ())
            if not any(claim.attempt.encode() in line for line in known):
                history.append_note(ledger, RUN, kind, commit, record)
        history.close_claim(ledger, claim, status="ok", commit=commit)

    def resume(self, clone: Clone, rng: Random | None = None) -> None:
        """Finish the rounds that an earlier process of this user began."""
        for claim in history.list_claims(clone.ledger, RUN):
            if claim.state == "open" and claim.host == clone.name:
                self.finish(clone, history.take_over_claim(clone.ledger, claim))

    def archive(self, clone: Clone, rng: Random) -> None:
        """Archive the run, if all its rounds are closed."""
        if all(claim.state == "closed" for claim in history.list_claims(clone.ledger, RUN)):
            history.archive_run(clone.ledger, RUN)

    def verify(self, clone: Clone, rng: Random) -> None:
        """Verify a round. What `judge` returns must be what the verifier answered."""
        chosen = rng.choice(self.rounds(clone))
        answered = []

        def answer(request: Any, **_: Any) -> Any:
            self.asides["verifying"](clone)
            answered.append(an_answer(rng, request.attempt))
            return answered[0]

        state = read_state(clone.ledger, RUN, chosen.number)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(judging, "verify_in_process", answer)
            try:
                found = judging.judge(clone.session, state)
            except IdentityMismatchError:  # somebody wrote other metrics; nothing is judged then
                assert not answered
                return
        assert (found.verdict, found.reason) == (answered[0].verdict, answered[0].reason), "a verdict in place of ours"

    def pull(self, clone: Clone, rng: Random | None = None) -> history.SyncReport | None:
        """Pull. Rounds of this clone whose numbers others have taken get new ones."""
        try:
            return history.pull(clone.ledger, artifacts=True)
        except AutoQECError as error:
            if "same number" not in error.problem:
                raise
        self.resume(clone)
        return history.pull(clone.ledger, artifacts=True, renumber_mine=True)

    def push(self, clone: Clone, rng: Random | None = None) -> history.SyncReport | None:
        """Pull, and then push."""
        real = push_pull.push_refs

        def push_refs(*arguments: Any) -> None:
            self.asides["pushing"](clone)
            real(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(push_pull, "push_refs", push_refs)
            try:
                return history.push(clone.ledger, artifacts=True)
            except AutoQECError as error:
                if "same number" not in error.problem:
                    raise
            self.pull(clone)
            return history.push(clone.ledger, artifacts=True)


@cache
def _answered(draw: int, level: float) -> Verdict:
    return some_judgement(Random(draw), next(n for n in count(1) if attempt_alpha(0.05, n) == level), limits=Limits())


def an_answer(rng: Random, attempt: int) -> Verdict:
    """What a verifier answers at an attempt. To search for intervals takes long, so all answers are made of few counts."""
    made = _answered(rng.randrange(_ANSWERS), attempt_alpha(0.05, attempt))
    before = made.evidence.attempt
    assert before is not None
    now = replace(before, attempt=attempt, seed_key=f"{rng.getrandbits(256):064x}")
    return Verdict.on(made.verdict, made.reason, replace(made.evidence, attempt=now))


# --- Making one ------------------------------------------------------------------------------------------------------


def make_template(folder: Path) -> Path:
    """A lab whose two clones and remote hold the same three rounds; `open_lab` copies it."""
    with seeded("the template"):
        ledger = make_tiny_lab(folder / "one")
        _configure(folder / "one", "one")
        record_run(history.open_ledger(folder / "one"), RUN)
        lab = _opened(folder, Sources("template"), ("one",), None)
        for _ in range(3):
            lab.round(lab.clones["one"], Random(0))
        subprocess.run(["git", "clone", "-q", "--bare", "one", "remote.git"], cwd=folder, check=True)
        history.push(ledger, artifacts=True)
    shutil.copytree(folder / "one", folder / "two")
    _configure(folder / "two", "two")
    for name in ("one", "two", "remote.git"):  # few files: each run copies them
        subprocess.run(["git", "gc", "-q", "--prune=now"], cwd=folder / name, check=True)
    for hooks in folder.glob("**/hooks"):
        shutil.rmtree(hooks)
    return folder


def open_lab(template: Path, folder: Path, sources: Sources, key: Path | None, signers: Path | None) -> Lab:
    """A copy of the template in which honest users sign with a key, if there is one."""
    shutil.copytree(template, folder, dirs_exist_ok=True)
    return _opened(folder, sources, CLONES, signers, key)


def _opened(
    folder: Path, sources: Sources, names: tuple[str, ...], signers: Path | None, key: Path | None = None
) -> Lab:
    registry, clones = _plugins(), {}
    for name in names:
        ledger = history.open_ledger(folder / name)
        settings = load_settings(ledger.workdir, {"signing_key": str(key or "")})
        clones[name] = Clone(name, ledger, Session(ledger, registry, settings, history.load_run(ledger, RUN)))
    remote = folder / "remote.git"
    asides = dict.fromkeys(("verifying", "pushing"), lambda clone: None)
    bare = pygit2.Repository(str(remote)) if remote.exists() else clones[names[0]].repo
    return Lab(folder, sources, clones, bare, signers, asides)


def _configure(folder: Path, name: str) -> None:
    for setting in (("user.name", name), ("user.email", f"{name}@example.org"), ("gc.auto", "0")):
        subprocess.run(["git", "config", *setting], cwd=folder, check=True)
    subprocess.run(["git", "config", "remote.origin.url", "../remote.git"], cwd=folder, check=True)


def digest(line: bytes) -> str:
    """The digest by which other records name a line."""
    return hashlib.sha256(line).hexdigest()
