"""What somebody who can write to a clone or to the remote does to the records of a simulated lab, with plain git objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pygit2
from forged_verdicts import forged
from simulated_lab import KINDS, RUN, Key, Sources, all_lines, an_answer, digest, lines_in, notes_ref, signature_by

from autoqec.history.rounds.signatures import signed_bytes
from autoqec.testing.whole_notes import whole_metrics

#: Lines that are no records, or hardly any.
JUNK = (
    b"not json", b"[]", b"{}", b"null", b'{"id":5}', b'{"id":"q","ts":"9"}', b'{"id":"w","v":2}', b'{"id":"w","v":true}',
    b"\xff\xfe",
    b'{"id":"\\ud800","verdict":"VERIFIED","reason":"\\udfff","ts":"9"}', b"[" * 4000, b'{"id":"n","x":NaN}',
    b'{"id":"e","x":1e999}',
    b'{"id":"d","attempt":' + b"9" * 5000 + b"}", b'{"id":"l","event":["begun"]}', b'{"id":"o","event":{}}', b'{"id":"t","ts":7}',
    b'{"id":"z","verdict":"VERIFIED","reason":"better","ts":"9999"}', b'{"id":"s","verdict":{"VERIFIED":1},"supersedes":[]}',
    b'{"event":"begun","attempt":1}', b'{"id":"u","event":"undecided","verdict":"FAILED"}', b'{"id":"m","verdict":null}',
)  # fmt: skip

#: Numbers of attempts that nobody has made.
ABSURD = (10**15, 2**63, 2**64, -3, 0, True, "7", 1.0, 1e30, 65, 193, None)

WORDS = ("VERIFIED", "SUSPICIOUS", "FAILED")

#: Numbers of rounds that an attacker makes. Honest rounds get the numbers after them.
OWN_ROUNDS = (700, 800, 900)

#: Times that would be before or after all others.
WORST_TS = ("9999-12-31T23:59:59.999999Z", "", "0", "\ud800")


@dataclass
class Attacker:
    """Somebody with write access everywhere. What they wrote is remembered, so that all other lines are honest.

    Attributes:
        sources: The clock.
        signing: Whether honest users sign.
        wrote: Every line that they wrote.
        fields: The field that they forged in a verdict, by its line.
        versions: What refs on the remote have held, for replays.
    """

    sources: Sources
    signing: bool
    wrote: set[Key] = field(default_factory=set)
    fields: dict[bytes, str] = field(default_factory=dict)
    versions: dict[str, list[str]] = field(default_factory=dict)

    # --- Adding ---------------------------------------------------------------------------------------------------

    def adds(self, repo: pygit2.Repository, rng: Random) -> str:
        """Add some lines to notes; returns what was added."""
        how = rng.choice(_ADDED)
        before = all_lines(repo)
        verdicts = lines_in(repo, notes_ref("verdict"))
        commits = sorted({commit for commit, _ in _rounds(repo)} or verdicts)
        judged = [commit for commit in commits if commit in verdicts]
        commit = rng.choice(judged if judged and rng.random() < 0.6 else commits)
        lines = how(self, _Scene(repo, rng, commit, commits, verdicts))
        for kind, where, line in lines:
            self._add(repo, notes_ref(kind), where, line, before, on_top=rng.random() < 0.8)
        return f"{how.__name__.strip('_')} ({len(lines)})"

    def _add(
        self, repo: pygit2.Repository, ref: str, commit: str, line: bytes, before: set[Key], *, on_top: bool
    ) -> None:
        if (ref, commit, line) not in before:
            self.wrote.add((ref, commit, line))
        found = lines_in(repo, ref)
        found.setdefault(commit, []).append(line)
        self.write(repo, ref, found, on_top=on_top)

    # --- Taking away ----------------------------------------------------------------------------------------------

    def drops(self, repo: pygit2.Repository, rng: Random) -> str:
        """Drop, rewrite or replay the lines of a notes ref."""
        kinds = [notes_ref(kind) for kind in KINDS if notes_ref(kind) in repo.references]
        if not kinds:
            return "nothing"
        ref = rng.choice([*kinds, notes_ref("verdict")])
        found = lines_in(repo, ref)
        if not found:
            return "nothing"
        how, on_top = (
            rng.choice(["line", "line", "note", "all", "ref", "rewrite", "replay", "folders"]),
            rng.random() < 0.5,
        )
        commit = rng.choice(sorted(commit for commit, lines in found.items() if lines) or sorted(found))
        if not found[commit]:
            return "nothing"
        if how == "ref":
            repo.references.delete(ref)
        elif how == "replay":
            there = [oid for oid in self.versions.get(ref, ()) if oid in repo]
            repo.references.create(ref, rng.choice(there or [str(repo.references[ref].target)]), force=True)
        elif how == "rewrite":
            place = rng.randrange(len(found[commit]))
            found[commit][place] = _changed(found[commit][place], rng)
            self.wrote.add((ref, commit, found[commit][place]))
            self.write(repo, ref, found, on_top=on_top)
        else:
            if how == "line":
                found[commit].remove(rng.choice(found[commit]))
            elif how != "folders":
                found = {} if how == "all" else {key: lines for key, lines in found.items() if key != commit}
            self.write(repo, ref, found, on_top=on_top, flat=how == "folders")
        return f"{how} {ref.rpartition('/')[2]}{' on top' if on_top else ''}"

    def spoils_files(self, repo: pygit2.Repository, rng: Random) -> str:
        """Drop or change the files of an attachment, on top of what is there, or delete its ref."""
        kept = ("refs/autoqec/artifacts/", "refs/autoqec/traces/")
        there = sorted(ref for ref in repo.references if ref.startswith(kept))
        if not there:
            return "nothing"
        ref, how = rng.choice(there), rng.choice(["drop", "change", "add", "delete"])
        if how == "delete":
            repo.references.delete(ref)
            return f"delete {ref}"
        tree = repo.TreeBuilder(repo.references[ref].peel(pygit2.Tree))
        name = next((entry.name for entry in repo.references[ref].peel(pygit2.Tree)), "evil.json")
        if how == "drop" and name in repo.references[ref].peel(pygit2.Tree):
            tree.remove(name)
        else:
            path = name if how == "change" else f"evil-{rng.randrange(99)}.json"
            tree.insert(path, repo.create_blob(b"evil %d" % rng.randrange(99)), pygit2.enums.FileMode.BLOB)
        self._commit(repo, ref, str(tree.write()), on_top=True)
        return f"{how} {ref}"

    # --- Refs that never change -------------------------------------------------------------------------------------

    def moves(self, repo: pygit2.Repository, rng: Random) -> str:
        """Move or delete a round's branch or claim, or write a round of their own."""
        branches = sorted(ref for ref in repo.references if ref.startswith(f"refs/heads/exp/{RUN}/"))
        claims = sorted(ref for ref in repo.references if ref.startswith(f"refs/autoqec/claims/{RUN}/"))
        how = rng.choice(["move", "delete branch", "delete claim", "reopen", "own round", "damage claim"])
        if how == "own round" or not branches or not claims:
            return self._own_round(repo, rng, branches)
        branch, claim = rng.choice(branches), rng.choice(claims)
        if how == "move":
            tip = repo.references[branch].peel(pygit2.Commit)
            oid = repo.create_commit(None, self._who(), self._who(), "mine\n", tip.tree_id, [tip.id])
            repo.references.create(branch, rng.choice([str(oid), str(tip.parent_ids[0])]), force=True)
        elif how == "delete branch":
            repo.references.delete(branch)
        elif how == "delete claim":
            repo.references.delete(claim)
        else:
            record = json.loads(repo[repo.references[claim].target].data)
            record |= {"state": "open", "closed": None, "status": None} if how == "reopen" else {"number": "x"}
            repo.references.create(claim, repo.create_blob(json.dumps(record).encode()), force=True)
        return f"{how} {branch if 'branch' in how or how == 'move' else claim}"

    def _own_round(self, repo: pygit2.Repository, rng: Random, branches: list[str]) -> str:
        """A branch with a copy of a round's commit, and a verdict on it."""
        if not branches:
            return "nothing"
        tip = repo.references[rng.choice(branches)].peel(pygit2.Commit)
        number = rng.choice(OWN_ROUNDS)
        message = tip.message.replace("AutoQEC-Round: ", "AutoQEC-Round: 9") if rng.random() < 0.5 else tip.message
        oid = str(repo.create_commit(None, self._who(), self._who(), message, tip.tree_id, list(tip.parent_ids)))
        repo.references.create(f"refs/heads/exp/{RUN}/{number}", oid, force=True)
        about = {"commit": oid, "environment": "e" * 64, "candidate": "d" * 64, "weights_sha256": "a" * 64}
        line = encoded({"id": f"own-{number}", **an_answer(rng, 1).noted(**about).to_note()})
        self._add(repo, notes_ref("verdict"), oid, line, set(), on_top=True)
        return f"own round {number}"

    # --- Objects ----------------------------------------------------------------------------------------------------

    def write(
        self,
        repo: pygit2.Repository,
        ref: str,
        notes: Mapping[str, Iterable[bytes]],
        *,
        on_top: bool,
        flat: bool = False,
    ) -> None:
        """Set a notes ref to a commit with these notes, on top of what is there or without a past."""
        index = pygit2.Index()
        for commit, lines in notes.items():
            data = b"".join(line + b"\n" for line in dict.fromkeys(lines))
            path = commit if flat else f"{commit[:2]}/{commit[2:]}"
            index.add(pygit2.IndexEntry(path, repo.create_blob(data), pygit2.enums.FileMode.BLOB))
        self._commit(repo, ref, str(index.write_tree(repo)), on_top=on_top)

    def remembers(self, repo: pygit2.Repository) -> None:
        """Keep what the notes of a repository hold now, for a replay."""
        for kind in KINDS:
            ref = notes_ref(kind)
            if ref in repo.references:
                known = self.versions.setdefault(ref, [])
                oid = str(repo.references[ref].target)
                known += [oid] if oid not in known else []

    def _commit(self, repo: pygit2.Repository, ref: str, tree: str, *, on_top: bool) -> None:
        parents = [repo.references[ref].target] if on_top and ref in repo.references else []
        oid = repo.create_commit(None, self._who(), self._who(), "tidy\n", pygit2.Oid(hex=tree), parents)
        repo.references.create(ref, oid, force=True)

    def _who(self) -> pygit2.Signature:
        return pygit2.Signature("mallory", "mallory@example.org", self.sources.now(), 0)


# --- Lines -----------------------------------------------------------------------------------------------------------


@dataclass
class _Scene:
    """What an attacker sees: the repository, a round's commit, and the verdict notes."""

    repo: pygit2.Repository
    rng: Random
    commit: str
    commits: list[str]
    verdicts: dict[str, list[bytes]]

    def some(self, fits: Callable[[dict[str, Any]], bool]) -> list[tuple[str, bytes, dict[str, Any]]]:
        """The records in the verdict notes that fit: commit, line, record."""
        records = (
            (commit, line, record)
            for commit in sorted(self.verdicts)
            for line in self.verdicts[commit]
            if (record := decoded(line)) is not None
        )
        return [each for each in records if fits(each[2])]

    @property
    def about(self) -> dict[str, Any]:
        """What a line about the round's commit must say, from the round's own notes."""
        for line in lines_in(self.repo, notes_ref("metrics")).get(self.commit, ()):
            record = decoded(line)
            if record is not None and isinstance(record.get("candidate"), str):
                own = {name: record.get(name) for name in ("candidate", "weights_sha256")}
                run = json.loads(self.repo.revparse_single(f"refs/autoqec/runs/{RUN}:run.json").data)
                return {"commit": self.commit, "environment": run["env"]["id"], "metrics": record.get("id"), **own}
        return {"commit": self.commit}


def _junk(attacker: Attacker, see: _Scene) -> list[tuple[str, str, bytes]]:
    kind = see.rng.choice([*KINDS, "verdict", "verdict"])
    return [(kind, see.commit, see.rng.choice(JUNK)) for _ in range(see.rng.randint(1, 4))]


def _successes(attacker: Attacker, see: _Scene) -> list[tuple[str, str, bytes]]:
    """Lines that each look like an earlier success."""
    word = {"v": 1, "verdict": "VERIFIED", "reason": "better"}
    return [
        ("verdict", see.commit, encoded({"id": f"s{see.rng.random()}", "event": "x", "commit": f"x{n}", **word}))
        for n in range(5)
    ]


def _begun(attacker: Attacker, see: _Scene) -> list[tuple[str, str, bytes]]:
    """Intents with absurd numbers, or that go on from what is there."""
    rng, found = see.rng, []
    for _ in range(rng.choice([1, 1, 3, 40])):
        known = [digest(line) for _, line, _ in see.some(lambda record: record.get("event") == "begun")]
        chain = rng.choice([[], ["f" * 64], known[:3], ["x"], "x", None, [f"{n:064x}" for n in range(200)]])
        number = rng.choice([*ABSURD, rng.randint(1, 70)])
        record = {"id": f"b{rng.random()}", "event": "begun", "attempt": number, "chain": chain, **see.about}
        found.append(("verdict", see.commit, encoded(record)))
    return found


def _copies(attacker: Attacker, see: _Scene) -> list[tuple[str, str, bytes]]:
    """Honest lines on other commits, on commits that are no rounds, and in other kinds of notes."""
    there = see.some(lambda record: True)
    if not there:
        return []
    line = see.rng.choice(there)[1]
    base = (
        str(see.repo.references["refs/heads/main"].target) if "refs/heads/main" in see.repo.references else see.commit
    )
    where = see.rng.choice([*see.commits, base, "ab" * 20])
    return [(see.rng.choice(["verdict", "verdict", "metrics"]), where, line)]


def _forgeries(attacker: Attacker, see: _Scene) -> list[tuple[str, str, bytes]]:
    """A verdict that is true to its counts, about this very round, in the place of another or beside it."""
    rng = see.rng
    note = json.loads(json.dumps(an_answer(rng, rng.choice([1, 2, rng.randint(1, 300)])).noted(**see.about).to_note()))
    begun = see.some(lambda record: record.get("event") == "begun" and record.get("commit") == see.commit)
    honest = see.some(lambda record: "verdict" in record and isinstance(record.get("id"), str))
    note |= {"id": f"f{rng.random()}", "v": 1, "kind": "verdict", "writer": "mallory", "ts": rng.choice(WORST_TS)}
    if begun and rng.random() < 0.7:
        note["intent"] = digest(rng.choice(begun)[1])
    if honest and rng.random() < 0.6:
        other = rng.choice(honest)[2]
        note |= rng.choice([{"id": other["id"]}, {"supersedes": other["id"]}, {"signature": other.get("signature")}])
    if attacker.signing and rng.random() < 0.5:
        note = {**note, "signature_version": 2}
        note["signature"] = signature_by(
            "SHA256:mallory", signed_bytes({k: v for k, v in note.items() if k != "signature"})
        )
    return [("verdict", see.commit, encoded(note))]


def _mutants(attacker: Attacker, see: _Scene) -> list[tuple[str, str, bytes]]:
    """An honest verdict with one value changed, in half of the cases one that everybody sees."""
    there = see.some(lambda record: "test" in record and "event" not in record)
    if not there:
        return []
    commit, _, record = see.rng.choice(there)
    note = {key: value for key, value in record.items() if key not in ("signature", "id")}
    if see.rng.random() < 0.5:
        note, name = forged(see.rng, note)
    else:
        word, shift = see.rng.choice(WORDS), see.rng.choice([0.1, -0.1, 1e-4])
        figure = see.rng.choice(["delta_ler", "ler_candidate", "ler_baseline", "ler_ratio"])
        interval = [each if each is None else each + shift for each in note["delta_ler_ci"]]
        changes = {
            "verdict": word,
            figure: (note[figure] or 0.0) + shift,
            "delta_ler_ci": interval,
            "alpha_attempt": 0.9,
        }
        name = see.rng.choice([*changes, "verdict"])
        note[name] = changes[name]
    line = encoded({"id": f"m{see.rng.random()}", **note})
    attacker.fields[line] = name
    return [("verdict", commit, line)]


def _redated(attacker: Attacker, see: _Scene) -> list[tuple[str, str, bytes]]:
    """Honest lines with another time, writer, id or mark beside the originals."""
    there = see.some(lambda record: True)
    if not there:
        return []
    commit, line, _ = see.rng.choice(there)
    return [("verdict", commit, _changed(line, see.rng))]


def _supersedes(attacker: Attacker, see: _Scene) -> list[tuple[str, str, bytes]]:
    """Lines that say that they stand in the place of others."""
    there = see.some(lambda record: isinstance(record.get("id"), str))
    found = [see.rng.choice(there) for _ in range(2)] if there else []
    return [
        ("verdict", at, encoded({"id": f"r{see.rng.random()}", "supersedes": record["id"]})) for at, _, record in found
    ]


def _metrics(attacker: Attacker, see: _Scene) -> list[tuple[str, str, bytes]]:
    """Metrics that are about other weights, or whose figures do not follow."""
    rng = see.rng
    note = whole_metrics(rng.choice([-0.002, 0.006]), shots=65_536, candidate="d" * 64, weights_sha256="a" * 64)
    note |= {"id": rng.choice([f"x{rng.random()}", see.about.get("metrics") or "x"]), "ts": rng.choice(WORST_TS)}
    if rng.random() < 0.5:
        note |= rng.choice(
            [{"delta_ler": 0.9}, {"flops_per_shot": -1}, {"counts": None}, {"shots": 10**30}, {"params": "x"}]
        )
    return [("metrics", see.commit, encoded(note))]


def _duels(attacker: Attacker, see: _Scene) -> list[tuple[str, str, bytes]]:
    """A head-to-head that takes a round off the front."""
    counts = {"shots": 10**6, "both": 10, "baseline_only": 9 * 10**4, "candidate_only": 1}
    rival = see.rng.choice(see.commits)
    note = {
        "id": f"h{see.rng.random()}",
        "event": "head_to_head",
        "rival": rival,
        "counts": counts,
        "alpha": 0.05,
        **see.about,
    }
    return [("verdict", see.commit, encoded(note))]


_ADDED = (
    _junk, _junk, _successes, _begun, _begun, _copies, *[_forgeries] * 4, *[_mutants] * 4, _redated, _supersedes,
    *[_metrics] * 2, _duels,
)  # fmt: skip


def _changed(line: bytes, rng: Random) -> bytes:
    """A line with another time, writer, id or mark."""
    record = decoded(line)
    if record is None:
        return line + b" "
    other = {
        "ts": rng.choice(WORST_TS),
        "writer": "mallory",
        "id": f"c{rng.random()}",
        "event": "x",
        "attempt": 1,
        "chain": [],
    }
    name = rng.choice(sorted(other))
    changed = encoded({**record, name: other[name]})
    return changed if changed != line else line.replace(b"{", b"{ ", 1)


def _rounds(repo: pygit2.Repository) -> list[tuple[str, str]]:
    """The commits of rounds and their branches."""
    return [
        (str(repo.references[ref].target), ref)
        for ref in repo.references
        if ref.startswith((f"refs/heads/exp/{RUN}/", f"refs/autoqec/rounds/{RUN}/"))
    ]


def encoded(record: Mapping[str, Any]) -> bytes:
    """A record as a line, as the program writes it; half a surrogate pair as an escape."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def decoded(line: bytes) -> dict[str, Any] | None:
    """The object in a line; None if there is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
