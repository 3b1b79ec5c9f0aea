"""What must hold in a simulated lab, worked out beside the program: from the lines alone, and with the checker of one file."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from dataclasses import dataclass, field
from functools import cache
from math import inf, isclose
from random import Random
from typing import Any

import pygit2
from forged_verdicts import ONLY_THE_CHECKER, ONLY_THE_PROGRAM, TYPES, checker, program
from simulated_attacks import Attacker, decoded
from simulated_lab import KINDS, RUN, Clone, Key, Lab, all_lines, digest, lines_in, notes_ref, shared_refs

from autoqec import autoqec_check, history
from autoqec.cli.main import run as autoqec
from autoqec.results.audit import audit
from autoqec.results.verdict import parse_verdict

#: Errors of fsck, one of which says that lines were taken away.
MISSED = {"lost-records", "rewritten", "chain-broken", "chain-cut"}

#: Of two verdicts on one intent, the one with the greater number here counts.
WORSE = {"SUSPICIOUS": 3, "FAILED": 2, "VERIFIED": 1}


@dataclass
class Seen:
    """What a clone held at some moment, and the number of its next verification; infinite if the error budget was spent."""

    lines: frozenset[Key]
    attempt: float


@dataclass
class Checks:
    """Holds a lab against what was seen before, and against what its lines say.

    Attributes:
        lab, attacker: The lab, and who wrote lines that are not honest.
        signing: Whether honest users sign.
        signed_only: Whether users believe only what is signed.
        honest: Every honest line that was ever written.
        before: What each clone held, by name.
        moved: Clones in which somebody moved refs that never change.
    """

    lab: Lab
    attacker: Attacker
    signing: bool
    signed_only: bool
    honest: set[Key] = field(default_factory=set)
    before: dict[str, list[Seen]] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)

    # --- After each step ----------------------------------------------------------------------------------------------

    def after_step(self, damaged: str = "") -> None:
        """Nothing honest disappears, and no level rises as long as nothing was taken away in a clone itself.

        Args:
            damaged: The clone in which somebody took lines away.
        """
        for clone in self.lab.clones.values():
            lines = frozenset(all_lines(clone.repo))
            known = self.before.setdefault(clone.name, [])
            mine = lines - self.attacker.wrote
            self.honest |= mine
            if known and clone.name != damaged:
                lost = (known[-1].lines & self.honest) - lines
                assert not lost, f"{clone.name} has lost {short(lost)}"
            number = history.read_chain(clone.ledger, RUN).next_attempt
            attempt = number or inf
            for seen in known:
                if seen.lines <= lines:  # a later attempt never has a higher level
                    assert attempt >= seen.attempt, f"{clone.name} was at attempt {seen.attempt}, and is at {attempt}"
            assert attempt > self._last_attempt(mine), f"{clone.name} has begun attempt {attempt} before"
            if not known or known[-1].lines != lines:
                known.append(Seen(lines, attempt))

    def _last_attempt(self, lines: frozenset[Key]) -> int:
        """The highest number of honest intents among lines."""
        return max((json.loads(line)["attempt"] for _, _, line in lines if b'"event":"begun"' in line), default=0)

    def lost_by(self, clone: Clone, lines: set[Key]) -> None:
        """Fsck misses lines that were here."""
        gone = lines - all_lines(clone.repo)
        if gone:
            codes = {found["code"] for found in self.printed(clone, "fsck", codes=(1,))}
            assert codes & MISSED, f"fsck misses nothing, but {clone.name} has lost {short(gone)}"
            self.printed(clone, "log")

    def dropped_there(self, clone: Clone) -> set[str]:
        """The notes of which the remote lacks lines that it had when this clone last looked."""
        found = set()
        for kind in KINDS:
            had = lines_in(clone.repo, f"refs/autoqec-remote/origin/notes/{RUN}/{kind}")
            has = lines_in(self.lab.remote, notes_ref(kind))
            if any(not set(lines) <= set(has.get(commit, ())) for commit, lines in had.items()):
                found.add(notes_ref(kind))
        return found

    # --- Reading ------------------------------------------------------------------------------------------------------

    def printed(self, clone: Clone, *command: str, codes: tuple[int, ...] = (0,)) -> list[dict[str, Any]]:
        """What a command prints as JSON in a clone; it must end with one of these codes."""
        code, out, err = self.run(clone, *command, "--json")
        assert code in codes, f"{' '.join(command)} in {clone.name} ends with {code}: {err}"
        return [json.loads(line) for line in out.splitlines()]

    def run(self, clone: Clone, *command: str) -> tuple[int, str, str]:
        """Exit code and output of a command in a clone. No command may fail in a way that nobody thought of."""
        out, err, here = io.StringIO(), io.StringIO(), os.getcwd()
        os.chdir(clone.ledger.workdir)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = autoqec([*command])
        finally:
            os.chdir(here)
        assert "internal error" not in err.getvalue().lower(), f"{' '.join(command)} in {clone.name}: {err.getvalue()}"
        assert "Traceback" not in err.getvalue()
        return code, out.getvalue(), err.getvalue()

    def reads(self, clone: Clone, rng: Random) -> None:
        """Every reading command works, and shows nothing that the lines do not say."""
        self.lab.acts(clone.name)
        rows = {row["round"]: row for row in self.printed(clone, "log")}
        gaps = (0, 1) if clone.name in self.moved else (0,)
        front = self.printed(clone, "pareto", codes=gaps)
        self.printed(clone, "fsck", codes=(0, 1))
        records = {record.number: record for record in history.read_history(clone.ledger, RUN)}
        assert rows.keys() == records.keys()
        lines = all_lines(clone.repo)
        for number, row in rows.items():
            on = [line for ref, commit, line in lines if commit == row["commit"] and ref == notes_ref("verdict")]
            self._row(clone, row, sorted(on))
            self._honest_lines_count(records[number], lines)
            self._metrics(
                row, [line for ref, commit, line in lines if commit == row["commit"] and ref == notes_ref("metrics")]
            )
        for row in front:
            assert rows[row["round"]]["verdict"] == row["verdict"] == "VERIFIED", f"{row['round']} is on the front"
            self._row(
                clone, row, sorted(x for ref, at, x in lines if at == row["commit"] and ref == notes_ref("verdict"))
            )
        if self.signed_only:
            self._chain_is_whole(clone, lines)
            self._as_expected(clone, rows, {row["round"] for row in front}, bool(front) or gaps == (0,))
        shown = rng.choice(sorted(rows))
        code, _, said = self.run(clone, "show", f"exp/{RUN}/{shown}", *rng.choice([[], ["--json"]]))
        assert code == 0, f"show of round {shown} in {clone.name}: {said}"
        if rng.random() < 0.2:
            assert self.run(clone, "log", *rng.choice([[], ["--graph"]]))[0] == 0

    def _row(self, clone: Clone, row: dict[str, Any], lines: list[bytes]) -> None:
        """A verdict that is shown is that of a line, with the figures that follow from this line's own counts."""
        if row["verdict"] is None:
            assert not self._has_honest(row["commit"], lines), f"{clone.name} shows no verdict of round {row['round']}"
            return
        said = [
            (line, record)
            for line in lines
            if (record := decoded(line)) is not None
            and (record.get("verdict"), record.get("reason")) == (row["verdict"], row["verdict_reason"])
        ]
        if self.signed_only or (self.signing and self._has_honest(row["commit"], lines)):
            said = [(line, record) for line, record in said if self._is_honest(row["commit"], line)]
        fitting = [
            line for line, record in said if self._believable(line, record) and figures_fit(row["holdout"], record)
        ]
        assert fitting, f"{clone.name} shows a verdict of round {row['round']} that no line gives: {row['holdout']}"

    def _is_honest(self, commit: str, line: bytes) -> bool:
        return (notes_ref("verdict"), commit, line) not in self.attacker.wrote

    def _has_honest(self, commit: str, lines: list[bytes]) -> bool:
        """Whether an honest verdict is among the lines; nobody else's may stand in its place."""
        return any(self._is_honest(commit, line) and b'"event"' not in line for line in lines)

    def _believable(self, line: bytes, record: dict[str, Any]) -> bool:
        wrong = follows(line)
        forged = self.attacker.fields.get(line, "")
        return not wrong or any(re.fullmatch(each, forged) for each in ONLY_THE_CHECKER)

    def _honest_lines_count(self, record: history.RoundRecord, lines: set[Key]) -> None:
        """Each honest verdict of a round counts, whatever else is in its note."""
        counting = {each.line.digest for each in record.standings if each.counts}
        for ref, commit, line in lines - self.attacker.wrote:
            if commit == record.commit and ref == notes_ref("verdict"):
                assert digest(line) in counting, (
                    f"an honest line of round {record.number} does not count: {line[:300]!r}"
                )

    def _metrics(self, row: dict[str, Any], lines: list[bytes]) -> None:
        """Development metrics that are shown follow from the counts of a line too."""
        if row["metrics"] is not None:
            records = [record for line in lines if (record := decoded(line)) is not None]
            assert any(isinstance(each.get("counts"), dict) and fit(row["metrics"], each["counts"]) for each in records)

    def _as_expected(self, clone: Clone, rows: dict[int, Any], front: set[int], readable: bool) -> None:
        """Where only signed lines count, nobody else changes which verdict of a round counts, nor the front."""
        expected = self.expected(clone)
        gains = {}
        for number, row in rows.items():
            record = expected.get(row["commit"])
            word = (record["verdict"], record["reason"]) if record else (None, None)
            assert (row["verdict"], row["verdict_reason"]) == word, f"{clone.name}, round {number}: expected {word}"
            assert figures_fit(row["holdout"], record or {}), f"{clone.name}, round {number}: other figures"
            if word[0] == "VERIFIED":
                gains[number] = row["holdout"]["delta_ler"]
        assert front <= gains.keys()
        if gains and readable:
            best = max(gains, key=lambda number: gains[number])
            assert best in front, f"{best} gains most and is not on the front {front} of {clone.name}"

    def _chain_is_whole(self, clone: Clone, lines: set[Key]) -> None:
        """Where only signed lines count, nobody else breaks the chain, and nobody else uses up the error budget."""
        seen = {key for each in self.before[clone.name] for key in each.lines} - self.attacker.wrote
        if seen <= lines:
            missing = history.missing_from_chain(clone.ledger, RUN)
            assert missing is None, f"no honest line is gone, and yet: {missing}"
        begun = [json.loads(line) for _, _, line in seen if b'"begun"' in line]
        chain = history.read_chain(clone.ledger, RUN)
        assert {each.id for each in chain.intents.values()} <= {each["id"] for each in begun}

    def expected(self, clone: Clone) -> dict[str, dict[str, Any]]:
        """The verdict of each commit that counts, from the honest lines alone."""
        mine = [
            (commit, line, json.loads(line))
            for ref, commit, line in all_lines(clone.repo) - self.attacker.wrote
            if ref == notes_ref("verdict")
        ]
        chains = {digest(line): record["chain"] for _, line, record in mine if record.get("event") == "begun"}
        places: dict[str, int] = {}

        def place(intent: str) -> int:
            if intent not in places:
                places[intent] = 1 + max((place(each) for each in chains[intent] if each in chains), default=0)
            return places[intent]

        found: dict[str, list[Any]] = {}
        for commit, _, record in mine:
            if "event" not in record:
                rank = place(record["intent"]) if record["intent"] in chains else 0
                key = (rank, record["attempt"], WORSE[record["verdict"]], record["id"])
                found.setdefault(commit, []).append((key, record))
        return {commit: max(each, key=lambda pair: pair[0])[1] for commit, each in found.items()}

    # --- At the end ---------------------------------------------------------------------------------------------------

    def audits_agree(self, clone: Clone, rng: Random) -> None:
        """The program's two audits and the checker of one file say the same of every verdict."""
        lines = sorted({line for ref, _, line in all_lines(clone.repo) if ref == notes_ref("verdict")})
        verdicts = [(line, record) for line in lines if (record := decoded(line)) is not None and "test" in record]
        for line, record in verdicts:
            ours, theirs = program(record), follows(line)
            known = ONLY_THE_PROGRAM if ours else ONLY_THE_CHECKER
            name = self.attacker.fields.get(line, "")
            fine = any(re.fullmatch(each, name) for each in known) or (ours and TYPES in ours[0])
            assert bool(ours) == bool(theirs) or fine, f"{name}: the program finds {ours[:1]}, the checker {theirs[:1]}"
        for _, record in rng.sample(verdicts, min(1, len(verdicts))):
            parsed = parse_verdict(record).record
            assert parsed is None or bool(audit(parsed)) == bool(program(record)), "the audits of the program disagree"

    def checker_agrees(self, clone: Clone, rng: Random) -> None:
        """In the lab, the checker of one file finds nothing wrong with an honest verdict, and something with a foreign one."""
        known = {
            digest(line): record
            for ref, _, line in all_lines(clone.repo)
            if ref == notes_ref("verdict") and (record := decoded(line)) is not None
        }
        whole = not history.read_chain(clone.ledger, RUN).breaks
        each = [
            (record, standing)
            for record in history.read_history(clone.ledger, RUN)
            for standing in record.standings
            if standing.line.event is None and record.claim and record.commit
        ]
        signers = str(self.lab.signers) if self.lab.signers else None
        for record, standing in rng.sample(each, min(1, len(each))):
            key = notes_ref("verdict"), record.commit, _line_of(clone.repo, record.commit, standing.line.digest)
            ref = f"refs/heads/exp/{RUN}/{record.number}"
            note = dict(standing.line.record)
            wrong = [
                (name, w)
                for name, w in autoqec_check.check(str(clone.ledger.git_dir), note, ref, record.commit, known, signers)
                if w
            ]
            if key not in self.attacker.wrote and whole:
                assert not wrong, f"the checker finds {wrong} in an honest verdict"
            if standing.state == "foreign" or standing.field == "signature":
                assert wrong, f"the checker finds nothing, the program says {standing.state}: {standing.why}"

    def converged(self) -> None:
        """After a push of each clone and a pull, all three hold the same, and no honest line is missing that any of them had."""
        one, two = (shared_refs(clone.repo) for clone in self.lab.clones.values())
        differing = sorted(ref for ref in one.keys() | two.keys() if one.get(ref) != two.get(ref))
        assert not differing, f"the clones differ in {[(ref, one.get(ref), two.get(ref)) for ref in differing[:3]]}"
        there = shared_refs(self.lab.remote)
        behind = sorted(ref for ref in one if there.get(ref) != one[ref])
        assert not behind, f"the remote differs in {behind[:5]}"

    def held(self) -> set[Key]:
        """The honest lines that a clone or the remote holds."""
        repos = [*(clone.repo for clone in self.lab.clones.values()), self.lab.remote]
        return {key for repo in repos for key in all_lines(repo)} & self.honest


# --- Figures ---------------------------------------------------------------------------------------------------------


def figures_fit(shown: dict[str, Any] | None, record: dict[str, Any]) -> bool:
    """Whether figures that are shown follow from the counts of a verdict; none may be shown of one without counts."""
    counts = record.get("extension") or record.get("test")
    if shown is None or not isinstance(counts, dict):
        return shown is None
    return fit(shown, counts)


def fit(shown: dict[str, Any], noted: dict[str, Any]) -> bool:
    """Whether rates, gain, ratio and their intervals are those of counts."""
    try:
        own = autoqec_check.counts(noted)
    except (KeyError, TypeError, ValueError):
        return False
    for name, value in own.figures().items():
        if callable(value):
            if not value(list(shown[name])):
                return False
        elif value is None or shown[name] is None:
            if value is not shown[name]:
                return False
        elif not isclose(shown[name], value, rel_tol=1e-9, abs_tol=1e-12):
            return False
    return True


@cache
def follows(line: bytes) -> tuple[str, ...]:
    """What the checker of one file finds in a verdict's own counts."""
    return tuple(checker(json.loads(line)))


def short(lines: set[Key] | frozenset[Key]) -> str:
    """A few lines for a message."""
    return "; ".join(f"{ref} {commit[:8]} {line[:160]!r}" for ref, commit, line in sorted(lines)[:3])


def _line_of(repo: pygit2.Repository, commit: str, wanted: str) -> bytes:
    return next(line for _, at, line in sorted(all_lines(repo)) if at == commit and digest(line) == wanted)
