"""Every record has a schema version: a newer one is refused with the mend, and the versions on the page are the code's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from autoqec import history
from autoqec.errors import AutoQECError
from autoqec.history.rounds import claims, notes, trailers
from autoqec.history.rounds import run_refs as runs

UPGRADE = "pip install --upgrade autoqec"


def rewrite(lab, git, ref, path, version):
    """Put another schema version into a record, as a later autoqec would."""
    old = json.loads(git("cat-file", "blob", f"{ref}:{path}" if path else ref))
    blob = git("hash-object", "-w", "--stdin", stdin=json.dumps({**old, "v": version})).strip()
    if path:
        entries = git("ls-tree", ref).splitlines()
        changed = [f"100644 blob {blob}\t{path}" if line.endswith(f"\t{path}") else line for line in entries]
        tree = git("mktree", stdin="\n".join(changed) + "\n").strip()
        blob = git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit-tree", "-m", "later", tree).strip()
    git("update-ref", ref, blob)


@pytest.mark.parametrize(("version", "hint"), [(2, UPGRADE), (99, UPGRADE), ("x", "autoqec fsck"), (0, "autoqec fsck")])
def test_a_claim_and_a_run_of_a_newer_schema_are_refused(lab, run, play, git, version, hint):
    play()
    rewrite(lab, git, "refs/autoqec/claims/depol-abcd/1", None, version)
    with pytest.raises(AutoQECError, match="refs/autoqec/claims/depol-abcd/1") as caught:
        history.read_claim(lab, run.name, 1)
    assert caught.value.hint == hint
    rewrite(lab, git, "refs/autoqec/runs/depol-abcd", "run.json", version)
    with pytest.raises(AutoQECError, match=r"run\.json of refs/autoqec/runs/depol-abcd") as caught:
        history.load_run(lab, run.name)
    assert caught.value.hint == hint
    assert ("newer autoqec" in str(caught.value)) == (hint == UPGRADE)


def test_a_note_of_a_newer_schema_is_refused_and_the_others_read(lab, run, play, git, monkeypatch):
    _, commit = play()
    monkeypatch.setattr(notes, "_VERSION", 2)
    history.append_note(lab, run.name, "metrics", commit, {"value": "from the future", "ts": "9999"})
    monkeypatch.setattr(notes, "_VERSION", 1)
    with pytest.raises(AutoQECError, match=f"line 2 of refs/notes/autoqec/{run.name}/metrics") as caught:
        history.read_notes(lab, run.name, "metrics")
    assert caught.value.hint == UPGRADE
    record = history.find_record(lab, run.name, 1)
    assert record.metrics["value"] == 1
    assert "newer autoqec" in record.problems[0]


def test_a_commit_of_a_newer_schema_is_refused(identify):
    message = history.build_message(identify(), subject="s", body="AutoQEC-Schema: 7\n\nAutoQEC-Schema: 8")
    assert history.parse_message(message) == identify()
    newer = message.replace("\nAutoQEC-Schema: 1\n", "\nAutoQEC-Schema: 2\nAutoQEC-Color: red\n")
    with pytest.raises(AutoQECError, match="schema version 2") as caught:
        history.parse_message(newer)
    assert caught.value.hint == UPGRADE


def test_the_page_names_the_versions():
    page = (Path(__file__).parents[2] / "docs/records.md").read_text()
    versions = dict(re.findall(r"^\| (runs|claims|notes|trailers) \| .*? \| (\d+) \|$", page, re.MULTILINE))
    assert {name: int(version) for name, version in versions.items()} == {
        "runs": runs._VERSION,
        "claims": claims._VERSION,
        "notes": notes._VERSION,
        "trailers": trailers.SCHEMA,
    }
