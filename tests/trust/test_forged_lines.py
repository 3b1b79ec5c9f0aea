"""Lines that anybody can add to the notes of a real lab change nothing that commands say of its rounds, and are reported."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from autoqec import history
from autoqec.cli.main import run
from autoqec.history.rounds.notes import add_lines
from autoqec.history.rounds.signatures import signed
from autoqec.testing.whole_notes import whole_metrics, whole_verdict

_SPEC = importlib.util.spec_from_file_location("old_lab", Path(__file__).parents[1] / "old_lab.py")
old_lab = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(old_lab)

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")

RUN = "real-abcd"
STAMPS = ("id", "ts", "writer", "v", "kind", "signature")


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    folder = tmp_path_factory.mktemp("key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    (folder / "allowed").write_text(f"ada@example.org {(folder / 'key.pub').read_text()}")
    return folder / "key"


@pytest.fixture(scope="module")
def signed_lab(tmp_path_factory, key):
    """A lab of real rounds, whose verdicts (1 and 3 VERIFIED, 2 SUSPICIOUS) are signed by Ada."""
    folder = old_lab.unpack(tmp_path_factory.mktemp("signed") / "lab")
    ledger = history.open_ledger(folder)
    for number in (1, 2, 3):
        record = history.find_record(ledger, RUN, number)
        line = json.dumps(signed({**record.verdict, "id": f"ada{number}"}, key))
        subprocess.run(
            ["git", "notes", f"--ref=refs/notes/autoqec/{RUN}/verdict", "add", "-f", "-F", "-", record.commit],
            input=line.encode(), cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
    return folder


class Lab:
    """A copy of the lab, in which commands are run."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys
        self.ledger = history.open_ledger(folder)

    def __call__(self, *args):
        self.capsys.readouterr()
        code = run(list(args))
        out, err = self.capsys.readouterr()
        return code, out, err

    def rows(self, *args):
        code, out, err = self(*args, "--json")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def state(self):
        """What `log`, `show` and `pareto` say of the rounds, but for the lines that they say do not count."""
        log = [{**row, "problems": None} for row in self.rows("log", RUN)]
        shown = [self.rows("show", f"{RUN}/{number}")[0]["notes"] for number in (1, 2, 3)]
        front = [{**row, "problems": None} for row in self.rows("pareto", "--run", RUN)]
        return log, shown, front

    def codes(self):
        _, out, _ = self("fsck", "--json")
        return [json.loads(line)["code"] for line in out.splitlines() if json.loads(line)["severity"] != "info"]

    def commit(self, number):
        return history.find_round(self.ledger, RUN, number)

    def verdict(self, number):
        return history.find_record(self.ledger, RUN, number).verdict

    def add(self, kind, where, *records):
        lines = [json.dumps(record).encode() for record in records]
        add_lines(self.ledger, f"refs/notes/autoqec/{RUN}/{kind}", {where: lines}, "by hand")


@pytest.fixture
def lab(signed_lab, key, tmp_path, monkeypatch, capsys):
    shutil.copytree(signed_lab, tmp_path / "lab")
    monkeypatch.chdir(tmp_path / "lab")
    old_lab.settle(monkeypatch.setenv, monkeypatch.setattr)
    monkeypatch.setenv("AUTOQEC_ALLOWED_SIGNERS", str(key.with_name("allowed")))
    return Lab(tmp_path / "lab", capsys)


def about(record):
    return {name: record[name] for name in ("commit", "environment", "candidate", "weights_sha256", "metrics")}


def test_signed_verdicts_count_and_readers_say_so(lab):
    log, _, front = lab.state()
    words = {row["round"]: (row["verdict"], (row["trust"] or {}).get("state")) for row in log}
    assert {number: words[number] for number in (1, 2, 3)} == {
        1: ("VERIFIED", "signed"), 2: ("SUSPICIOUS", "signed"), 3: ("VERIFIED", "signed"),
    }  # fmt: skip
    assert words[9] == (None, "unsigned"), "signatures are asked for as soon as there are allowed signers"
    assert {row["round"] for row in front} <= {1, 3}
    assert "VERIFIED ✓" in lab("log", RUN)[1]
    assert "signed by ada@example.org" in lab("show", f"{RUN}/1")[1]
    assert lab("verify", f"{RUN}/1", "--audit")[0] == 0


#: Lines that hide, replace or outrank a record if they are believed; each is made from the true verdict of a round.
FORGERIES = {
    "junk": lambda true: {"id": "q", "ts": "9"},
    "junk that supersedes": lambda true: {"id": "q", "ts": "9", "supersedes": true["id"]},
    "a word and nothing else": lambda true: {"id": "q", "ts": "9", "verdict": "VERIFIED", "reason": "better"},
    "a later date on the signed line": lambda true: true | {"ts": "9999", "verdict": "FAILED", "reason": "not_better"},
    "another id on the signed line": lambda true: true | {"id": "q", "ts": "9999", "verdict": "VERIFIED"},
    "a whole one": lambda true: whole_verdict("FAILED", "not_better", id="q", ts="9", attempt=60, about=about(true)),
    "a whole one that supersedes": lambda true: whole_verdict(
        id="q", ts="9", attempt=60, about=about(true), supersedes=true["id"]
    ),
    "a whole one with the id": lambda true: whole_verdict(id=true["id"], ts="9", attempt=60, about=about(true)),
    "figures outside their interval": lambda true: {
        **{name: value for name, value in true.items() if name not in STAMPS}, "id": "q", "ts": "9", "delta_ler": 0.5,
    },
    "a level above the budget": lambda true: whole_verdict(id="q", ts="9", about=about(true)) | {
        "verified_before": 6000, "alpha_attempt": 2.34,
    },
    "an absurd attempt": lambda true: whole_verdict(id="q", ts="9", attempt=10**15, about=about(true)),
    "another environment": lambda true: whole_verdict(id="q", ts="9", about=about(true) | {"environment": "0" * 64}),
    "a word in an event": lambda true: true | {"id": "q", "event": "x", "verdict": "VERIFIED"},
}  # fmt: skip


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("forgery", FORGERIES)
def test_no_line_hides_or_replaces_a_signed_verdict(lab, forgery, number):
    before = lab.state()
    known = lab.codes()
    lab.add("verdict", lab.commit(number), FORGERIES[forgery](lab.verdict(number)))
    assert lab.state() == before
    new = lab.codes()
    for code in known:
        new.remove(code)
    assert new, "fsck does not say that the record is sound"
    assert lab("fsck")[0] == 1 or new == ["verdict-unsigned"]
    assert lab("verify", f"{RUN}/1", "--audit")[0] == 0


@pytest.mark.parametrize("kind", ["metrics", "analysis"])
def test_no_line_hides_metrics_or_an_analysis(lab, kind):
    before = lab.state()
    commit = lab.commit(1)
    true = getattr(history.find_record(lab.ledger, RUN, 1), kind)
    lab.add(kind, commit, {"id": "q", "ts": "9"}, {"id": "r", "ts": "9", "supersedes": true["id"]})
    lab.add(kind, commit, true | {"id": "s", "delta_ler": 0.5, "decision": "x"})
    assert f"{kind}-invalid" in lab.codes()
    later = whole_metrics if kind == "metrics" else lambda **more: {"decision": "ignore", "summary": "no", **more}
    for ts in ("9", "0"):
        lab.add(kind, commit, later(id=f"later{ts}", ts=ts, supersedes=true["id"]))
    assert lab.state() == before


def test_a_whole_forgery_on_a_round_without_a_verdict_is_on_no_front_if_signatures_are_asked_for(lab, monkeypatch):
    metrics = history.find_record(lab.ledger, RUN, 6).metrics
    commit = lab.commit(6)
    run_of = history.load_run(lab.ledger, RUN)
    subject = {"commit": commit, "environment": run_of.env_id, "metrics": metrics["id"]}
    subject |= {name: metrics[name] for name in ("candidate", "weights_sha256")}
    before = lab.rows("pareto")
    lab.add("verdict", commit, whole_verdict(gain=0.012, about=subject, id="q"))
    assert lab.rows("pareto") == before
    (row,) = [row for row in lab.rows("log", RUN) if row["round"] == 6]
    assert (row["verdict"], row["holdout"], row["trust"]["state"]) == (None, None, "unsigned")
    code, out, _ = lab("verify", f"{RUN}/6", "--audit")
    assert (code, "does not count" in out) == (1, True)
    assert "verdict-unsigned" in lab.codes()
    monkeypatch.setenv("AUTOQEC_TRUST", "any")
    assert f"{RUN}/6" in {f"{row['run']}/{row['round']}" for row in lab.rows("pareto")}, "whoever trusts anybody does"
    assert lab("verify", f"{RUN}/6", "--audit")[0] == 0


def test_a_verified_line_on_a_commit_of_no_round_ends_no_command(lab, monkeypatch):
    commit = history.resolve_commit(lab.ledger, "HEAD")
    true = lab.verdict(1)
    lab.add("verdict", commit, whole_verdict(id="q", about=about(true) | {"commit": commit}), {"verdict": "VERIFIED"})
    for trust in ("signed", "any"):
        monkeypatch.setenv("AUTOQEC_TRUST", trust)
        for args in (("pareto",), ("log",), ("show", f"{RUN}/1")):
            code, _, err = lab(*args)
            assert code == 0, err
    assert commit[:10] in lab("pareto")[2]
    assert "verdict-astray" in lab.codes()


def test_the_front_goes_by_the_environment_of_the_run_and_not_by_a_trailer(lab, monkeypatch):
    monkeypatch.setenv("AUTOQEC_TRUST", "any")
    small, large = (history.load_run(lab.ledger, name) for name in (RUN, "wide-abcd"))
    assert small.env_id != large.env_id
    claim = history.claim_round(lab.ledger, RUN)
    env = f"{large.env_name}@sha256:{large.env_id}"
    who = history.RoundIdentity(RUN, claim.number, claim.attempt, env, (), "none", "search", "a forged trailer")
    commit = history.commit_round(lab.ledger, who, base=small.base, parents=(), files={}, subject="s", body="")
    subject = {"commit": commit, "candidate": "a" * 64, "weights_sha256": "b" * 64}
    for ident, environment in (("of the trailer", large.env_id), ("of the run", small.env_id)):
        about_it = subject | {"environment": environment}
        lab.add("verdict", commit, whole_verdict(gain=0.013, about=about_it, id=ident))
    lab.add("metrics", commit, whole_metrics(id=claim.attempt))
    history.close_claim(lab.ledger, claim, status="ok", commit=commit)
    mine = [row for row in lab.rows("pareto") if row["round"] == claim.number and row["run"] == RUN]
    assert [(row["env"], row["env_id"]) for row in mine] == [(small.env_name, small.env_id)]
    assert any("its trailers name the environment wide" in problem for problem in mine[0]["problems"])
    assert "verdict-environment" in lab.codes()


def test_what_was_examined_is_kept_for_one_set_of_signers_and_one_policy(lab, key, monkeypatch, tmp_path):
    signed_by_ada = [row["trust"] for row in lab.rows("log", RUN)]
    monkeypatch.setattr("autoqec.history.reading.examined_lines.examine", lambda *_: pytest.fail("checked again"))
    assert [row["trust"] for row in lab.rows("log", RUN)] == signed_by_ada
    shutil.rmtree(lab.folder / ".git/autoqec/cache")
    assert [row["trust"] for row in lab.rows("log", RUN)] == signed_by_ada, (
        "without the rows, but with what is known of lines"
    )
    monkeypatch.undo()
    monkeypatch.chdir(lab.folder)
    (tmp_path / "nobody").write_text("")
    monkeypatch.setenv("AUTOQEC_ALLOWED_SIGNERS", str(tmp_path / "nobody"))
    states = {row["trust"]["state"] for row in lab.rows("log", RUN) if row["trust"]}
    assert states == {"unsigned"}
    assert all(row["verdict"] is None for row in lab.rows("log", RUN))
    monkeypatch.setenv("AUTOQEC_TRUST", "any")
    assert {row["verdict"] for row in lab.rows("log", RUN)} >= {"VERIFIED", "SUSPICIOUS"}


def test_no_file_of_allowed_signers_is_a_mistake_and_an_unknown_word_too(lab, monkeypatch):
    monkeypatch.setenv("AUTOQEC_ALLOWED_SIGNERS", str(lab.folder / "nowhere"))
    code, _, err = lab("log")
    assert (code, "there is no file" in err) == (2, True)
    monkeypatch.setenv("AUTOQEC_TRUST", "everybody")
    code, _, err = lab("log")
    assert (code, "any, signed" in err) == (2, True)
