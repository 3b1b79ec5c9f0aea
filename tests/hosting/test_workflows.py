"""The workflows that `autoqec init --ci` writes: their steps as they stand, on a server with the hosts' APIs, and git."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from autoqec.cli.main import run
from autoqec.hosting.ci_files import CI_HOSTS, ci_files
from autoqec.hosting.host_contract import CONTEXT
from autoqec.hosting.judged_rounds import read_judged
from autoqec.hosting.pull_comment import MARKER


def git(folder, *args):
    return subprocess.run(["git", "-C", str(folder), *args], capture_output=True, text=True, check=True).stdout.strip()


def workflow(host):
    return yaml.safe_load(ci_files(host)[f".{host}/workflows/autoqec.yml"])


def judged_json(served, **changes):
    found = {"schema": "autoqec.judged/1", "round": f"{served.run}/1", "commit": served.rounds[1]["commit"]}
    found |= {"state": "success", "description": "VERIFIED; audited and replayed", "verdict": "VERIFIED"}
    return json.dumps(found | {"replayed": True, "findings": []} | changes)


def secrets_are_nowhere(served, jobs):
    """No token is in what was printed, in files of the jobs, or in what was sent but in headers."""
    everything = jobs.said + json.dumps(jobs.outputs) + json.dumps(served.server.bodies())
    everything += "".join(request.path + request.raw.decode() for request in served.server.requests)
    for file in jobs.folder.rglob("*"):
        if file.is_file() and file.suffix != ".pack":
            everything += file.read_bytes().decode(errors="replace")
    return served.token not in everything


@pytest.mark.parametrize("host", ["github", "gitea"])
def test_rights_and_data_are_apart(host):
    """What judges may read and has no token; what writes gets a line of data and runs no code of a pull request."""
    made = workflow(host)
    judge, tell = made["jobs"]["judge"], made["jobs"]["tell"]
    assert set(made[True]) == {"pull_request_target"}  # YAML 1.1 reads the key `on` as true
    assert (made["permissions"], judge["permissions"]) == ({}, {"contents": "read"})
    steps = {step["name"]: step for step in judge["steps"]}
    assert "env" not in steps["Audit and replay the verdict"]
    assert "env" not in steps["Install AutoQEC"]
    told = [step for step in tell["steps"] if "AUTOQEC_HOST_TOKEN" in step.get("env", {})]
    assert [step["name"] for step in told] == ["Set the status and write the comment"]
    for job in (judge, tell):
        assert "startsWith(github.head_ref, 'exp/')" in job["if"]
        for step in job["steps"]:
            assert "uses" not in step  # nothing of others is run, so there is nothing to pin
            assert "${{" not in step["run"]  # no expression becomes part of a script
    assert "judge" not in "".join(step["run"] for step in tell["steps"])


def test_github_and_gitea_judge_alike():
    """So what is found out about the steps of one is about those of the other too."""
    assert workflow("github")["jobs"]["judge"] == workflow("gitea")["jobs"]["judge"]


def test_gitlab_runs_on_the_default_branch_only():
    made = yaml.safe_load(ci_files("gitlab")[".gitlab/autoqec.yml"])
    rule = made[".autoqec"]["rules"][0]["if"]
    assert '$CI_PIPELINE_SOURCE == "trigger" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH' in rule
    assert made[".autoqec"]["variables"]["GIT_STRATEGY"] == "clone"
    judge = made["autoqec-judge"]["script"][0]
    assert judge.startswith("env --unset=CI_JOB_TOKEN --unset=AUTOQEC_HOST_TOKEN python3 -m autoqec ci judge")
    assert made["autoqec-tell"]["environment"]["name"] == "autoqec-tell"
    assert "environment" not in made["autoqec-judge"]


def test_a_branch_with_more_than_the_round_is_not_judged_and_the_host_says_so(served, jobs):
    """Nothing is drawn again here, so that this is quick; the rest of the way is that of every pull request."""
    made = jobs("github", commit="ab" * 20)
    (made.folder / "judge").mkdir()  # a runner that keeps its folder between jobs
    git(made.folder / "judge", "init", "--quiet", "lab")
    git(made.folder / "judge/lab", "config", "core.bare", "true")
    assert made.actions("judge") == [0, 0, 0, 0]
    result = json.loads(made.outputs["judge"]["judged"])
    assert (result["state"], result["replayed"]) == ("error", False)
    assert "the branch is at ababababab, but the round is commit" in result["findings"][0]
    jobs_of = workflow("github")["jobs"]
    assert jobs_of["tell"]["steps"][:-1] == jobs_of["judge"]["steps"][:-1]  # so their result is the same folder
    (made.folder / "judge").rename(made.folder / "tell")
    assert made.actions("tell", skip=3) == [0]
    assert [(commit, each["state"], each["context"]) for commit, each in served.server.statuses] == [
        ("ab" * 20, "error", CONTEXT)
    ]
    assert served.server.bodies()[0].startswith(f"{MARKER}\n**Not judged.**\n\n- the branch is at ababab")
    assert f"Review of `exp/{served.run}/1`" in served.server.bodies()[0]
    assert served.server.odd == []
    assert served.server.git_tokens == {f"x-access-token:{served.token}"}
    assert secrets_are_nowhere(served, made)


@pytest.mark.slow
def test_a_merge_request_from_another_branch_ends_the_jobs_of_gitlab_with_exit_code_3(served, jobs):
    made = jobs("gitlab", branch="main")
    assert made.gitlab("autoqec-judge") == 3
    assert "names no round" in made.said
    assert served.server.statuses == []


@pytest.mark.slow
@pytest.mark.parametrize("host", CI_HOSTS)
def test_a_pull_request_is_judged_told_and_told_again(served, jobs, host):
    made = jobs(host)
    for _ in range(2):
        if host == "gitlab":
            assert made.gitlab("autoqec-judge") == 0
            assert made.gitlab("autoqec-tell", AUTOQEC_HOST_TOKEN=served.token) == 0
        else:
            assert made.actions("judge") == [0, 0, 0, 0]
            assert "**The verdict holds.** VERIFIED, ratio " in made.summary
            assert made.actions("tell") == [0, 0, 0, 0]
            for part in ("judge", "tell"):
                subprocess.run(["rm", "-r", made.folder / part], check=True)
    name = "name" if host == "gitlab" else "context"
    assert {(commit, each["state"], each[name]) for commit, each in served.server.statuses} == {
        (served.rounds[1]["commit"], "success", CONTEXT)
    }
    assert len(served.server.bodies()) == 1
    assert [each for each in served.server.odd if "400" not in each] == []
    assert secrets_are_nowhere(served, made)


def test_init_writes_the_files_and_overwrites_nothing(tmp_path, capsys):
    lab = tmp_path / "lab"
    assert run(["init", str(lab), "--ci", "gitlab"]) == 0
    assert "include: [{local: .gitlab/autoqec.yml}]" in capsys.readouterr().err
    assert "autoqec==" in (lab / ".autoqec/ci-requirements.txt").read_text()
    assert run(["init", str(lab), "--ci", "gitlab"]) == 0
    again = capsys.readouterr().err
    assert "the files for gitlab are there already" in again
    assert "wrote" not in again
    assert "commit these" not in again
    assert "then include them in .gitlab-ci.yml" in again
    (lab / ".gitlab/autoqec.yml").write_text("mine")
    assert run(["init", str(lab), "--ci", "gitlab"]) == 2
    assert "already has other contents" in capsys.readouterr().err
    assert (lab / ".gitlab/autoqec.yml").read_text() == "mine"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (lab / ".github").symlink_to(elsewhere)
    assert run(["init", str(lab), "--ci", "github"]) == 2
    assert "leads outside" in capsys.readouterr().err
    assert list(elsewhere.iterdir()) == []


# -- the commands, in this process


@pytest.fixture
def clone(served, tmp_path, monkeypatch):
    """A clone of the base branch with the records of the run, the current folder; a function to its event file."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(served.bare), str(folder)], check=True)
    monkeypatch.chdir(folder)
    for variable in ("AUTOQEC_HOST_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN", "GITEA_TOKEN", "FORGEJO_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GITHUB_SERVER_URL", served.url)
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/lab")
    monkeypatch.setenv("GITHUB_API_URL", f"{served.url}/api/v3")
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "http:file")
    return folder


def event_of(served, folder, **changes):
    url = f"{served.url}/owner/lab.git"
    head = {"ref": f"exp/{served.run}/1", "sha": served.rounds[1]["commit"], "repo": {"clone_url": url}} | changes
    file = folder / "event.json"
    file.write_text(json.dumps({"pull_request": {"number": 7, "head": head, "base": {"repo": {"clone_url": url}}}}))
    return str(file)


def test_a_round_is_audited_and_replayed_and_no_record_is_written(served, clone, tmp_path, capsys):
    event = event_of(served, tmp_path)
    assert run(["ci", "fetch", "--event", event]) == 0
    before = subprocess.run(["git", "for-each-ref"], capture_output=True, check=True).stdout
    capsys.readouterr()
    assert run(["ci", "judge", "--event", event, "--summary", str(tmp_path / "summary.md")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["state"], result["verdict"], result["replayed"], result["findings"]) == (
        "success",
        "VERIFIED",
        True,
        [],
    )
    assert result["description"].startswith("VERIFIED, ratio 0.")
    assert (tmp_path / "summary.md").read_text().startswith("**The verdict holds.** VERIFIED, ratio")
    assert subprocess.run(["git", "for-each-ref"], capture_output=True, check=True).stdout == before


@pytest.mark.slow
def test_a_forged_verdict_is_not_found_again(served, clone, tmp_path, capsys):
    """Counts that follow from each other and were never drawn: an audit alone sees nothing, a replay does."""
    event = event_of(served, tmp_path)
    assert run(["ci", "fetch", "--event", event]) == 0
    ref, commit = f"refs/notes/autoqec/{served.run}/verdict", served.rounds[1]["commit"]
    show = subprocess.run(["git", "notes", f"--ref={ref}", "show", commit], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in show.stdout.splitlines()]
    forged = [line if "seed_key" not in line else line | {"seed_key": "ab" * 32} for line in lines]
    assert forged != lines
    text = "".join(json.dumps(line) + "\n" for line in forged)
    subprocess.run(["git", "notes", f"--ref={ref}", "add", "-f", "-F", "-", commit], input=text, text=True, check=True)
    capsys.readouterr()
    assert run(["ci", "judge", "--event", event]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["state"] in ("failure", "error")
    assert result["findings"] != []


def test_no_token_is_there_where_code_of_others_may_run(served, clone, tmp_path, monkeypatch, capsys):
    for variable in ("AUTOQEC_HOST_TOKEN", "GITHUB_TOKEN", "GITLAB_TOKEN"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "x")
            assert run(["ci", "judge", "--event", event_of(served, tmp_path)]) == 2
        assert f"env -u {variable} autoqec ci judge" in capsys.readouterr().err


def tell(served, tmp_path, monkeypatch, text, *more):
    from io import StringIO

    monkeypatch.setenv("AUTOQEC_HOST_TOKEN", served.token)
    monkeypatch.setattr("sys.stdin", StringIO(text))
    return run(["ci", "tell", "--host", "github", "--event", event_of(served, tmp_path), *more])


def test_what_came_from_the_other_job_is_data(served, clone, tmp_path, monkeypatch, capsys):
    hostile = "</details> <script>x</script> @everyone ![p](https://evil.example/p) ```\n# big <!-- autoqec:verdict -->"
    assert tell(served, tmp_path, monkeypatch, judged_json(served, state="failure", findings=[hostile] * 99)) == 0
    body = served.server.bodies()[0]
    assert body.count(MARKER) == 1
    for word in (r"[^\\]<", "@everyone", r"[^\\]!", r"[^\\]\[p", "\n# big"):
        assert re.search(word, body.partition("Judged at commit")[0].removeprefix(MARKER)) is None
    assert "and 79 more" in body
    assert len(body) <= 60_000 + len(MARKER) + 1


def test_a_description_of_the_other_job_is_one_line():
    told = {"schema": "autoqec.judged/1", "round": "r/1", "commit": "ab" * 20, "state": "failure", "replayed": False}
    words = {"description": "a\x1b[2J\n\ud800b" + "x" * 9000, "verdict": "V\n\x07", "findings": []}
    found = read_judged(json.dumps(told | words))
    assert (found.description[:8], len(found.description), found.verdict) == ("a [2J bx", 300, "V")


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "null", '{"schema": "autoqec.judged/1"}', "x" * 70_000, '{"a":' * 5000),
        *({"state": "VERIFIED"}, {"findings": "no"}, {"replayed": 1}, {"more": 1}, {"findings": [1]}, {"verdict": 7}),
    ],
)
def test_what_is_no_result_is_refused(served, clone, tmp_path, monkeypatch, capsys, text):
    text = judged_json(served, **text) if isinstance(text, dict) else text
    assert tell(served, tmp_path, monkeypatch, text) == 2
    assert "not what autoqec ci judge printed" in capsys.readouterr().err
    assert served.server.requests == []


def test_a_result_about_another_round_is_refused(served, clone, tmp_path, monkeypatch, capsys):
    for changes in ({"round": f"{served.run}/2"}, {"commit": "cd" * 20}):
        assert tell(served, tmp_path, monkeypatch, judged_json(served, **changes)) == 2
    assert served.server.requests == []


def test_a_job_that_did_not_end_is_told_too(served, clone, tmp_path, monkeypatch):
    assert tell(served, tmp_path, monkeypatch, "", "--no-comment", "--url", "https://example.org/1") == 0
    assert [each["state"] for _, each in served.server.statuses] == ["error"]
    assert served.server.statuses[0][1]["description"] == "not judged: the job did not end; see its log"
    assert served.server.bodies() == []


def test_a_token_without_rights_is_told_by_the_command(served, clone, tmp_path, monkeypatch, capsys):
    served.server.before = lambda request: (403, {}, {"message": "Resource not accessible by integration"})
    assert tell(served, tmp_path, monkeypatch, judged_json(served)) == 1
    told = capsys.readouterr().err
    assert "Resource not accessible by integration" in told
    assert "Commit statuses: write" in told
    assert served.token not in told


def test_records_of_the_base_repository_come_first(served, clone, tmp_path, capsys, hosted):
    """A fork whose records lack some of a run that the base repository has takes nothing away."""
    fork = tmp_path / "fork.git"
    subprocess.run(["git", "clone", "--quiet", "--mirror", str(hosted.bare), str(fork)], check=True)
    subprocess.run(["git", "-C", fork, "update-ref", "-d", f"refs/notes/autoqec/{served.run}/verdict"], check=True)
    served.server.repositories["me/lab"] = fork
    event = event_of(served, tmp_path, repo={"clone_url": f"{served.url}/me/lab.git"})
    assert run(["ci", "fetch", "--event", event]) == 0
    notes = subprocess.run(["git", "for-each-ref", "refs/notes"], capture_output=True, text=True, check=True).stdout
    assert f"autoqec/{served.run}/verdict" in notes


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"ref": "exp/run/1; rm -rf /"}, 3, "names no round"),
        ({"ref": "main"}, 3, "names no round"),
        ({"ref": "run/1"}, 3, "names no round"),
        ({"ref": None}, 2, "not about a pull request"),
        ({"sha": "--upload-pack=x"}, 2, "names no commit"),
        ({"repo": None}, 1, "is gone"),
        ({"repo": {"clone_url": "https://evil.example/x"}}, 1, "from another server"),
        ({"repo": {"clone_url": "ext::sh -c id"}}, 2, "that is none"),
        ({"repo": {"clone_url": "file:///etc"}}, 2, "that is none"),
        ({"repo": {"clone_url": "http://me:word@127.0.0.1/x"}}, 2, "that is none"),
        ({"repo": {"clone_url": "http://[x"}}, 2, "that is none"),
    ],
)
def test_an_event_is_checked_before_it_is_used(served, clone, tmp_path, capsys, changes, code, words):
    assert run(["ci", "fetch", "--event", event_of(served, tmp_path, **changes)]) == code
    assert words in capsys.readouterr().err


def test_a_file_that_is_no_event_is_refused(clone, tmp_path, capsys, monkeypatch):
    for text in ("", "[1]", "{}", '{"pull_request": 7}', "[" * 10**5):
        (tmp_path / "e").write_text(text)
        assert run(["ci", "fetch", "--event", str(tmp_path / "e")]) == 2
    with (tmp_path / "large").open("wb") as file:
        os.truncate(file.fileno(), 10**8)
    assert run(["ci", "fetch", "--event", str(tmp_path / "large")]) == 2
    assert run(["ci", "fetch", "--event", "/dev/zero"]) == 2
    assert capsys.readouterr().err.count("larger than any event") == 2
    assert run(["ci", "fetch"]) == 2
    assert "GITHUB_EVENT_PATH" in capsys.readouterr().err
    monkeypatch.setenv("TRIGGER_PAYLOAD", str(Path("gone")))
    assert run(["ci", "fetch"]) == 2
