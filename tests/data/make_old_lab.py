"""How `lab-v0.1.bundle` and the files beside it were made: a lab of version 0.1.0, and what that version printed of it.

Run once, on 2 cores in some four minutes, with version 0.1.0 at commit 391fb78 installed: `python make_old_lab.py`, then once
more with `--goldens`. No test runs it again, for the lab is data now: it proves that whatever reads labs today reads old ones
as they were read then. Made with a later version it would prove nothing.

Rounds named `real-…` and `wide-…` were run, trained, scored and judged by the program. Those of the other runs were recorded by
its own functions without being run, or are what no program of ours writes any more, or never should have been written. Ids, the
clock and the owner of claims are fixed; keys of holdouts are not, for the verifier draws them in a process of its own.
"""

import contextlib
import importlib.util
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).parent
HOST = "old-host"

TINY = """\
name: tiny
story: Unrotated surface code, memory Z, distance 3, three rounds; for tests.
code: {kind: stim_generated, task: "surface_code:unrotated_memory_z", distance: 3, rounds: 3}
noise: {kind: depolarizing, p: [0.006]}
decoder: mwpm
references: [mwpm_correlated]
protocol: {min_shots: 16384, headline_shots: 32768}
"""
WIDE = """\
name: wide
story: The tiny environment at three rates, with a second cell.
code: {kind: stim_generated, task: "surface_code:unrotated_memory_z", distance: 3, rounds: 3}
noise: {kind: depolarizing, p: [0.004, 0.006, 0.008], target_p: 0.006}
decoder: mwpm
references: [mwpm_correlated]
constraints: {max_params: 100000}
protocol: {min_shots: 16384, headline_shots: 32768, cells: [{p: 0.008}]}
"""
FITTING = TINY.replace("name: tiny", "name: fitting").replace("32768}", "32768, cells: [{rounds: 5}]}")
STRICT = TINY.replace("name: tiny", "name: strict") + "constraints: {max_params: 20, target_ler: 0.00001}\n"
CONFIG = """\
default_env = "tiny"
profile = "tiny"
jobs = 1
[profiles.tiny]
train_shots = 1024
train_seconds = 60
score_shots = 20000
verify_shots = 100000
"""

TRAINING = "shots: 512\nbatch_size: 128\n"
BP = {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 8\n", "training.yaml": TRAINING}
SHORT = {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 4\n", "training.yaml": TRAINING}
OTHER = {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 5\n", "training.yaml": TRAINING}
PER_CHECK = {
    "stages/bp/stage.yaml": "kind: neural_bp\niterations: 8\nsharing: per_check\ndamping: per_iteration\n",
    "training.yaml": TRAINING,
}
FIRST = {
    "stages/first_look/stage.yaml": "kind: neural_bp\niterations: 3\nalgorithm: min_sum\nposition: 50\n",
    "training.yaml": TRAINING,
}
FLIPPED = BP | {"output.yaml": "mode: hard_flip\nthreshold: 0.05\n"}
SLOW = {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 50\n", "training.yaml": "shots: 100000000\n"}
MODULE = """\
import torch


class Stage(torch.nn.Module):
    def __init__(self, graph):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(1))

    def forward(self, syndromes, beliefs):
        {}
        return beliefs + self.w
"""
VERIFY = {"summary": "A gain that is sure on these shots.", "decision": "candidate", "next_seed": "Put two together."}
IGNORE = {"summary": "Nothing that is worth a verifier's shots.", "decision": "ignore"}
HOSTILE = "fine\x1b[2J AutoQEC-Run: evil – ünïcode ☃ \u202e"


def git(folder, *args, **env):
    done = subprocess.run(
        ["git", "-C", str(folder), *args], capture_output=True, text=True, check=True, env={**os.environ, **env}
    )
    return done.stdout


def freeze():
    """Fix ids, the clock, who signs and which process claims; before anything is written."""
    import pygit2
    from autoqec.history.owner import Owner
    from autoqec.history.repository import Ledger

    from autoqec.history import claims, records

    drawn = random.Random(391)
    uuid.uuid4 = lambda: uuid.UUID(int=drawn.getrandbits(128), version=4)
    clock = SimpleNamespace(now=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    def tick(zone=None):
        clock.now += timedelta(seconds=1.25)
        return clock.now

    records.datetime = SimpleNamespace(now=tick)
    Ledger.signature = lambda self: pygit2.Signature(self._name, self._email, int(tick().timestamp()), 0)
    owner = SimpleNamespace(host=HOST)
    claims.this_process = lambda: Owner(owner.host, 4242, "00000000-0000-4000-8000-000000000000", "1234")
    return owner


def reply_of(message, tokens):
    """A reply as a model's: with a prompt, a text and what it took."""
    from autoqec.agents.contract import Reply, Usage

    usage = Usage(input_tokens=tokens, output_tokens=tokens // 10, cache_read_tokens=7, cache_write_tokens=3)
    return Reply(
        message, model="model-1", prompt="What shall be tried?", text=json.dumps(message), usage=usage, cost=0.0125
    )


class Lab:
    """The lab that is being made."""

    def __init__(self, folder):
        from autoqec.history import initialise
        from autoqec.plugins import load_plugins

        folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
        for name, value in (("user.name", "Ada"), ("user.email", "ada@example.org"), ("gc.auto", "0")):
            git(folder, "config", name, value)
        files = {
            ".autoqec/config.toml": CONFIG,
            ".autoqec/steering.md": "Cheap candidates first.\n",
            "envs/tiny.yaml": TINY,
            "envs/wide.yaml": WIDE,
            "envs/strict.yaml": STRICT,
            "envs/fitting.yaml": FITTING,
        }
        self.ledger = initialise(folder, {path: text.encode() for path, text in files.items()})
        self.folder, self.load_plugins = folder, load_plugins

    def session(self, run, env="tiny", replies=None, **flags):
        from autoqec.config import load_settings
        from autoqec.loop.session import Session, open_run
        from autoqec.plugins import Registration
        from autoqec.testing import ScriptedAgent

        registry = self.load_plugins()
        agent = ScriptedAgent(replies or {})
        make = SimpleNamespace(agent=agent)
        registry.entries["agent", "scripted"] = Registration(
            "agent", "scripted", lambda: make.agent, {}, "test", "test 0"
        )
        flags = dict.fromkeys(("ideator", "coder", "analyst"), "scripted") | flags
        settings = load_settings(self.folder, flags)
        opened = open_run(self.ledger, registry, env=env, run_name=run, fresh=False, seed=7)
        return Session(self.ledger, registry, settings, opened)

    def round(self, run, text, files=None, decision=IGNORE, *, env="tiny", hypothesis=None, fork=(), **flags):
        from autoqec.loop.rounds import run_round

        idea = {"text": text, "rationale": "Because.\nAnd so on.", "fork_from": list(fork)}
        replies = {"ideator": [reply_of(idea, 1000)], "analyst": [decision]}
        if files is not None:
            tier = 2 if "stages/own/module.py" in files else 1
            said = {"files": files, "tier": tier, "message": "What the hypothesis says."}
            replies["coder"] = [reply_of(said, 2000)]
        session = self.session(run, env, replies, **flags)
        record = run_round(session, hypothesis)
        word = (record.verdict or {}).get("verdict"), (record.verdict or {}).get("reason")
        print(f"{run}/{record.number}", record.status, *word, record.claim.reason or "", flush=True)
        return record


def compose(parents, text, how="pure"):
    from autoqec.agents.messages import Hypothesis

    return Hypothesis(text=text, fork_from=tuple(parents), compose=how)


def real_rounds(lab, owner, top):
    """Rounds that were run: every status, real verdicts, merges, pairs."""
    from autoqec.agents.contract import AgentUnavailable, ReplyAwaited
    from autoqec.cli.front import decide_pairs
    from autoqec.loop.rounds import abandon_round, run_round
    from autoqec.loop.state import read_state

    from autoqec.config import load_settings
    from autoqec.history import claim_round
    from autoqec.loop.judging import Asked, judge
    from autoqec.plugins import Registration

    run = "real-abcd"
    lab.round(run, "Eight iterations of belief propagation", BP, VERIFY)
    lab.round(run, "Three iterations of min-sum, cheap", FIRST, VERIFY)
    both = [f"{run}/1", f"{run}/2"]
    lab.round(run, "", None, VERIFY, hypothesis=compose(both, "A cheap look and a careful one"))
    lab.round(run, "Four iterations are enough", SHORT, IGNORE)
    lab.round(run, "", None, hypothesis=compose([f"{run}/1", f"{run}/4"], "Eight and four at once"))
    edited = dict(BP | FIRST) | {"training.yaml": "shots: 1024\nbatch_size: 128\n"}
    lab.round(run, "", edited, hypothesis=compose(both, "Both, trained for longer", "with_edit"))
    fails = "if len(beliefs) > 64: raise KeyError('surprise')"
    own = {"stages/own/stage.yaml": "kind: custom\n", "training.yaml": TRAINING}
    lab.round(run, "Code of its own that raises", own | {"stages/own/module.py": MODULE.format(fails)})
    wrong = "return beliefs[:, 1:] + self.w"
    lab.round(run, "Code of its own of the wrong shape", own | {"stages/own/module.py": MODULE.format(wrong)})
    lab.round(run, "Hard flips", FLIPPED, VERIFY, fork=[f"{run}/1"])
    lab.round(run, HOSTILE, None)  # no Coder: the script raises
    slow = lab.session(run, replies={"ideator": [{"text": "All the time there is"}], "coder": [{"files": SLOW}]})
    slow.settings.profiles["tiny"] = type(slow.settings.profile)(10**8, 2.0, 12.0, 20_000, 60_000)
    print(run, run_round(slow).status, flush=True)
    given_up = claim_round(lab.ledger, run, {"profile": asdict(slow.settings.profile), "agents": {}})
    abandon_round(lab.ledger, run, given_up.number)

    # Rounds that are not over: whom they wait for, what broke them off, and where they are at work.
    for role in ("ideator", "coder", "analyst"):
        replies = {
            "ideator": [{"text": f"Waiting for the {role}"}],
            "coder": [{"files": OTHER}],
        }
        with contextlib.suppress(ReplyAwaited):
            run_round(lab.session(run, replies=replies, **{role: "manual"}))

    class Away:
        def reply(self, role, context, report):
            raise AgentUnavailable("no network")

    broken = lab.session(run, replies={"ideator": [{"text": "Broken off before training"}]})
    broken.registry.entries["agent", "away"] = Registration("agent", "away", Away, {}, "test", "test 0")
    broken = replace(
        broken, settings=load_settings(lab.folder, {"ideator": "scripted", "coder": "away", "analyst": "away"})
    )
    with contextlib.suppress(AgentUnavailable):
        run_round(broken)
    owner.host = "another-host"
    claim_round(lab.ledger, run, {"profile": asdict(broken.settings.profile), "agents": {"ideator": "search"}})
    owner.host = HOST

    # Judged again: with a strong reference and signed; undecided, beside a verdict and alone; and head to head.
    key = top / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", str(key)], check=True)
    (top / "allowed_signers").write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    signing = lab.session(run, strong_reference="mwpm_correlated", signing_key=str(key))
    print(
        "again",
        judge(signing, read_state(lab.ledger, run, 1), Asked(max_shots=100_000, beacon="b" * 16))["verdict"],
        flush=True,
    )
    plain = lab.session(run)
    for number in (2, 4):
        print(
            "undecided",
            judge(plain, read_state(lab.ledger, run, number), Asked(alpha=1e-200, max_seconds=1e-3))["reason"],
            flush=True,
        )

    lab.round("wide-abcd", "Belief propagation at three rates", PER_CHECK, VERIFY, env="wide")
    lab.round("wide-abcd", "Min-sum, from the first", FIRST | PER_CHECK, VERIFY, env="wide", fork=["wide-abcd/1"])
    lab.round("fitting-abcd", "Weights of one shape", PER_CHECK, VERIFY, env="fitting")
    lab.round("strict-abcd", "Few parameters", SHORT, VERIFY, env="strict")
    lab.round("strict-abcd", "Too many parameters", PER_CHECK, VERIFY, env="strict")
    # From a round of another run of the same environment.
    lab.round("real-fork", "From another run", SHORT, IGNORE, fork=[f"{run}/2"])
    for note in decide_pairs(lab.ledger, load_settings(lab.folder), None, 60_000, quiet=True):
        print("duel", note["pair"], note["word"], flush=True)


def changed(note, **changes):
    """A verdict with other contents, as the old verifier would have decided on them."""
    from autoqec.scoring.checks import run_checks
    from autoqec.scoring.deciding import decide
    from autoqec.scoring.harm import slope_of

    mine = {name: value for name, value in note.items() if name not in ("id", "ts", "v", "kind", "writer", "signature")}
    mine |= changes
    if "checks" in mine:
        mine["two_p_slope"] = slope_of(mine)
        mine["checks"] = run_checks(mine)
        mine["verdict"], mine["reason"] = decide(mine)
    return mine


def told_rounds(lab):
    """Rounds that were recorded: verdicts that take luck or malice to get, worked out by the program's own rules."""
    from autoqec.scoring.counts import PairedCounts
    from autoqec.scoring.harm import harm_fields
    from autoqec.scoring.regression import break_even, certificate_row, certificate_word

    from autoqec.history import (
        append_note,
        attach,
        claim_round,
        close_claim,
        find_record,
        read_attachment,
        read_candidate,
        read_notes,
    )

    run = lab.session("told-abcd").run
    source = find_record(lab.ledger, "real-abcd", 1)
    metrics = source.metrics
    verdict = next(note for note in read_notes(lab.ledger, "real-abcd", "verdict")[source.commit] if "verdict" in note)
    weights = read_attachment(lab.ledger, "artifacts", "real-abcd", 1)
    files = {path: data.decode() for path, data in read_candidate(lab.ledger, source.commit).items()}

    flat = {"neutral": {"shots": 32768, "both": 300, "baseline_only": 40, "candidate_only": 41}}
    rows = [dict(row) for row in verdict["harm"]]
    rows[0] |= harm_fields(PairedCounts(32768, 200, 20, 190))
    certificate = json.loads(json.dumps(verdict["certificate"]))
    if certificate.get("rows"):
        none, row = certificate["no_fault"], certificate["rows"][0]
        counts = PairedCounts(row["counts"]["shots"], 0, 0, 3)
        sums = (0.0, row["probability"] * 3 / max(1, row["of"]))
        row["counts"] = counts.to_dict()
        row |= certificate_row(
            row["weight"], row["of"], row["probability"], none, counts, sums if row["how"] == "listed" else None
        )
        certificate["word"] = certificate_word(certificate, verdict["delta_ler"])
        certificate["break_even"] = break_even(certificate, verdict["delta_ler"])
    again = dict(verdict["answered_again"]) | {"differing": verdict["answered_again"]["chunks"][:1]}
    early = ("test", "extension", "checks", "word", "harm", "certificate", "ablation", "answered_again", "neutral")

    def broke(reason, problem):
        kept = {name: value for name, value in verdict.items() if name not in early}
        return changed(
            kept, verdict="SUSPICIOUS" if reason == "hostile_syscall" else "FAILED", reason=reason, fault=problem
        )

    told = {
        "batch_dependent": changed(verdict, answered_again=again),
        "decoder_gain": changed(verdict, **flat),
        "harm": changed(verdict, harm=rows),
        "distance_regression": changed(verdict, certificate=certificate),
        "unsandboxed": changed(verdict, trusted_code=False, sandbox_level=0, cpu_us_per_shot=9e6),
        "cost_mismatch": changed(verdict, trusted_code=False, sandbox_level=5, cpu_us_per_shot=9e6),
        "beats_reference_ml": changed(verdict, near_ml=["mwpm_correlated"], references={"mwpm_correlated": 0.5}),
        "crash": broke("crash", "the candidate's process ended with exit status 1"),
        "timeout": broke("timeout", "no answer within 60 s"),
        "bad_output": broke("bad_output", "it answered 3 bytes, not 300"),
        "bad_weights": broke("bad_weights", "the weights are not safetensors"),
        "hostile_syscall": broke("hostile_syscall", "it called ptrace"),
        "forged": changed(verdict) | {"delta_ler": 0.5, "verdict": "VERIFIED", "reason": "better"},
        "altered": changed(verdict) | {"signature": find_record(lab.ledger, "real-abcd", 1).verdict["signature"]},
        "copied": dict(verdict),
        "version 0.1": {
            n: v
            for n, v in changed(verdict).items()
            if n
            not in ("word", "checks", "two_p_slope", "harm", "certificate", "ablation", "neutral", "answered_again")
        },
        "another verifier": {"verdict": "FAILED", "reason": "because_i_say_so", "verifier": "mine"},
    }
    commits = {}
    for name, record in told.items():
        record = dict(record)
        claim, commit = _commit(lab, run, f"A verdict of the kind {name}", files)
        about = {"commit": commit, "metrics": claim.attempt} if name not in ("copied", "another verifier") else {}
        attach(lab.ledger, "artifacts", run.name, claim.number, weights)
        append_note(lab.ledger, run.name, "metrics", commit, changed(metrics) | {"id": claim.attempt})
        append_note(lab.ledger, run.name, "analysis", commit, {"id": claim.attempt, **VERIFY})
        begun = {"event": "begun", "attempt": claim.number, "share": 1 / 128, "verifier": "holdout"}
        append_note(lab.ledger, run.name, "verdict", commit, begun)
        append_note(lab.ledger, run.name, "verdict", commit, record | about)
        close_claim(lab.ledger, claim, status="ok", commit=commit)
        commits[name] = commit
        print("told", claim.number, name, record["verdict"], record["reason"], flush=True)

    # A record that replaces another, an attempt that two clones began, and a word that has no audit.
    first = append_note(lab.ledger, run.name, "analysis", commits["harm"], {"summary": "wrong", "decision": "ignore"})
    append_note(
        lab.ledger, run.name, "analysis", commits["harm"], {**IGNORE, "summary": "right", "supersedes": first["id"]}
    )
    append_note(
        lab.ledger,
        run.name,
        "metrics",
        commits["crash"],
        {**changed(metrics), "references_missing": {"chromobius": "pip install 'chromobius'"}},
    )
    append_note(lab.ledger, run.name, "verdict", commits["crash"], {"event": "begun", "attempt": 1, "share": 1 / 128})
    claim = claim_round(lab.ledger, run.name)
    close_claim(lab.ledger, claim, status="train_error", reason="a result that nobody kept")


def _commit(lab, run, text, files, more=(), parents=(), **fields):
    from autoqec.history import RoundIdentity, claim_round, commit_round

    claim = claim_round(lab.ledger, run.name, {"agents": {"ideator": "search", "coder": "search", "analyst": "search"}})
    env = f"{run.env_name}@sha256:{run.env_id}"
    known = {"run": run.name, "round": claim.number, "attempt": claim.attempt, "env": env}
    known |= {"fork_from": tuple(parents), "compose": "none"}
    identity = RoundIdentity(**(known | {"agent": "search+search", "hypothesis": text} | fields))
    data = {path: content.encode() for path, content in {**files, **dict(more)}.items()}
    commit = commit_round(
        lab.ledger,
        identity,
        base=run.base,
        parents=parents,
        files=data,
        subject=text,
        body="Why:\n\n  because\n# no comment",
    )
    return claim, commit


def archived_run(lab):
    from autoqec.history import (
        append_note,
        archive_run,
        attach,
        close_claim,
        find_record,
        prune_weights,
        read_attachment,
    )

    run = lab.session("past-abcd").run
    parents = ()
    for number in (1, 2):
        claim, commit = _commit(lab, run, f"Archived idea {number}", SHORT if number == 1 else BP, parents=parents)
        weights = read_attachment(lab.ledger, "artifacts", "real-abcd", 4)
        attach(lab.ledger, "artifacts", run.name, claim.number, weights)
        metrics = changed(find_record(lab.ledger, "real-abcd", 4).metrics)
        append_note(lab.ledger, run.name, "metrics", commit, metrics | {"id": claim.attempt})
        close_claim(lab.ledger, claim, status="ok", commit=commit)
        parents = (commit,)
    print("archived", archive_run(lab.ledger, run.name), prune_weights(lab.ledger, run.name, {2}))


def shared_run(lab, top):
    """A run of two clones that took one number each: the second's round was renumbered, and so was what it composed."""
    from autoqec.history import attach, claim_round, close_claim, open_ledger, pull, push

    run = lab.session("shared-abcd").run
    claim, shared = _commit(lab, run, "Of both", SHORT)
    close_claim(lab.ledger, claim, status="ok", commit=shared)
    bare, other = top / "remote.git", top / "other"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    git(lab.folder, "remote", "add", "origin", str(bare))
    shutil.copytree(lab.folder, other)
    git(other, "config", "user.name", "Bob")
    theirs = SimpleNamespace(ledger=open_ledger(other))
    claim, commit = _commit(theirs, run, "Of the other clone", BP, parents=(shared,))
    close_claim(theirs.ledger, claim, status="ok", commit=commit)
    push(theirs.ledger, "origin", run.name)
    claim, commit = _commit(lab, run, "Of this clone", FIRST, parents=(shared,))
    close_claim(lab.ledger, claim, status="ok", commit=commit)
    claim = claim_round(lab.ledger, run.name)
    report = {"status": "compose_conflict", "fork_from": [f"{run.name}/1", f"{run.name}/2"], "compose": "pure"}
    report |= {
        "hypothesis": "Both",
        "conflicts": [{"path": "output.yaml", "field": "mode", "base": None, "ours": "a", "theirs": "b"}],
    }
    attach(lab.ledger, "attempts", run.name, claim.number, {"conflict/report.json": json.dumps(report).encode()})
    close_claim(lab.ledger, claim, status="compose_conflict", reason="the parents disagree on output.yaml (mode)")
    print("renumbered", pull(lab.ledger, "origin", run.name, renumber_mine=True).renumbered)
    git(lab.folder, "remote", "remove", "origin")


def odd_run(lab):
    """What older versions wrote, and what nobody should have."""
    from autoqec.history.notes import add_lines

    from autoqec.history import append_note, close_claim, compare_and_swap, find_record

    ledger, run = lab.ledger, lab.session("odd-abcd").run
    ref = f"refs/autoqec/claims/{run.name}/"
    commits = []
    for number in range(1, 9):
        claim, commit = _commit(lab, run, f"Odd {number}", SHORT, {"stages/bp/note.md": str(number)})
        commits.append(commit)
        if number not in (2,):
            close_claim(ledger, claim, status="ok", commit=commit)
        metrics = changed(find_record(ledger, "real-abcd", 4).metrics)
        append_note(ledger, run.name, "metrics", commit, metrics | {"id": claim.attempt})

    def put(number, record):
        old = git(lab.folder, "rev-parse", f"{ref}{number}").strip()
        data = record if isinstance(record, bytes) else json.dumps(record).encode() + b"\n"
        compare_and_swap(ledger, f"{ref}{number}", old, str(ledger.repo.create_blob(data)), "by hand")

    def held(number):
        return json.loads(git(lab.folder, "cat-file", "blob", f"{ref}{number}"))

    # Claims as the first schema may be at its barest: no details, process_start, reason or commit.
    bare = ("v", "run", "number", "attempt", "state", "host", "pid", "boot_id", "started")
    put(1, {name: held(1)[name] for name in (*bare, "closed", "status")})
    put(2, {name: held(2)[name] for name in bare})
    put(3, held(3) | {"v": 2, "unheard_of": True})
    put(4, b"{ this is no claim\n")
    add_lines(
        ledger, f"refs/notes/autoqec/{run.name}/verdict", {commits[4]: [b'{"id": "torn", "verdict": "VERI']}, "torn"
    )
    later = {"id": "later", "v": 2, "verdict": "VERIFIED", "ts": "2030-01-01T00:00:00.000000Z"}
    old = {
        "id": "old",
        "ts": "2025-01-01T00:00:00.000000Z",
        "kind": "verdict",
        "verdict": "FAILED",
        "reason": "not_better",
    }
    lines = {commits[5]: [json.dumps(old).encode(), json.dumps(later).encode(), b'{"no": "id"}', b"[1]"]}
    add_lines(ledger, f"refs/notes/autoqec/{run.name}/verdict", lines, "of another version")
    append_note(
        ledger,
        run.name,
        "metrics",
        commits[6],
        {"id": "shapeless", "shots": "many", "ts": "2030-01-01T00:00:00.000000Z"},
    )
    compare_and_swap(ledger, f"{ref}8", git(lab.folder, "rev-parse", f"{ref}8").strip(), None, "no claim")
    # A note whose name is not fanned out, as `git notes` writes it where there are few.
    line = json.dumps({"id": "flat", "v": 1, "kind": "analysis", "ts": "2025-01-01T00:00:00.000000Z", **IGNORE})
    name = ("-c", "core.notesRef=refs/notes/autoqec/odd-abcd/analysis", "notes", "add", "-m", line, commits[0])
    stamp = {f"GIT_{who}_DATE": "2026-01-02T05:00:00Z" for who in ("AUTHOR", "COMMITTER")}
    git(lab.folder, *name, **stamp)


#: Rounds of which the text is kept too, and other commands whose text is.
TEXTS = (
    "real-abcd/1",
    "real-abcd/3",
    "real-abcd/5",
    "real-abcd/9",
    "wide-abcd/1",
    "told-abcd/3",
    "past-abcd/2",
    "odd-abcd/6",
)
TABLES = ("log", "log --graph", "pareto", "fsck", "diagnose real-abcd")


def commands(lines):
    """Name → arguments, of every command whose output is kept, given the lines of `log --json`."""
    rounds = [json.loads(line) for line in lines]
    runs = list(dict.fromkeys(item["run"] for item in rounds))
    asked = [
        "log",
        "log real-abcd --text waiting",
        "log --verdict suspicious",
        "log --status waiting",
        "log no-such-run",
    ]
    asked += ["pareto", "pareto --env wide", "fsck", "diagnose", *(f"diagnose {run}" for run in runs)]
    for item in rounds:
        name = f"{item['run']}/{item['round']}"
        asked.append(f"show {name}")
        # What an audit makes of `hostile_syscall` is left out: this version notes it as SUSPICIOUS and audits it as FAILED.
        if item["verdict"] and item["verdict_reason"] != "hostile_syscall":
            asked.append(f"verify {name} --audit")
        if item["status"] == "waiting":
            asked.append(f"agents prompt --run {name}")
    asked += [f"show real-abcd/{number} --trace" for number in (1, 9, 10, 14)]
    asked += ["show real-abcd/99", "verify real-abcd/6 --audit", "agents prompt", "agents prompt --run real-abcd/1"]
    found = {f"{line} --json": [*line.split(), "--json"] for line in asked}
    found |= {line: line.split() for line in (*TABLES, *(f"show {name}" for name in TEXTS))}
    return found


def print_goldens():
    """Write what the old version prints of the lab, as it is unpacked from the bundle, beside the bundle."""
    spec = importlib.util.spec_from_file_location("old_lab", HERE.parent / "old_lab.py")
    old_lab = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(old_lab)
    from autoqec.cli.main import run

    folder = old_lab.unpack(Path(tempfile.mkdtemp()) / "lab")
    os.chdir(folder)
    old_lab.settle(os.environ.__setitem__, setattr)
    shutil.rmtree(old_lab.GOLDENS, ignore_errors=True)
    old_lab.GOLDENS.mkdir()

    def call(*args, columns=120):
        os.environ["COLUMNS"] = str(columns)
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            return run(list(args)), out.getvalue()

    index = {}
    for name, args in commands(call("log", "--json")[1].splitlines()).items():
        code, text = call(*args)
        file = name.replace(" --json", "").replace(" --", "-").replace(" ", "-").replace("/", "-")
        file += ".jsonl" if "--json" in args else ".txt"
        index[name] = {"args": args, "code": code, "file": file}
        if "--json" in args:
            text = "".join(json.dumps(item) + "\n" for item in old_lab.comparable(text))
        (old_lab.GOLDENS / file).write_text(text)
    narrow = {"args": ["log"], "code": 0, "file": "log-80.txt", "columns": 80}
    (old_lab.GOLDENS / "log-80.txt").write_text(call("log", columns=80)[1])
    index["log, narrow"] = narrow
    (old_lab.GOLDENS / "commands.json").write_text(json.dumps(index, indent=1) + "\n")
    records = "".join(json.dumps(item) + "\n" for item in old_lab.records(folder))
    (old_lab.GOLDENS / "records.jsonl").write_text(records)


def main():
    from autoqec import __version__

    top = Path(tempfile.mkdtemp())
    if sys.argv[1:] == ["--goldens"]:
        print_goldens()
        return
    home = top / "home"
    home.mkdir()
    os.environ |= {
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "OMP_NUM_THREADS": "1",
    }
    owner = freeze()
    lab = Lab(top / "lab")
    real_rounds(lab, owner, top)
    told_rounds(lab)
    archived_run(lab)
    shared_run(lab, top)
    odd_run(lab)
    git(lab.folder, "gc", "-q", "--prune=now")
    git(lab.folder, "bundle", "create", "-q", str(HERE / "lab-v0.1.bundle"), "--all")
    shutil.copy(top / "allowed_signers", HERE / "lab-v0.1.allowed_signers")
    print(__version__, (HERE / "lab-v0.1.bundle").stat().st_size, "bytes;", top)


if __name__ == "__main__":
    sys.exit(main())
