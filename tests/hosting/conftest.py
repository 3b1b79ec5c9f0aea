"""A lab on a host: a bare repository with a round that was really run, served as a host serves it, and jobs of the host's CI."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from autoqec.cli.main import run
from autoqec.hosting.ci_files import ci_files

#: What a job is given that is not its own: no token, no settings of whoever runs the tests.
_KEPT = ("HOME", "LANG", "TMPDIR", "AUTOQEC_TRUST_LABS", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "OMP_NUM_THREADS")


def git(folder, *args):
    return subprocess.run(["git", "-C", str(folder), *args], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
def hosted(played, tmp_path_factory):
    """A lab, `folder`, and the bare repository that it was pushed to, `bare`, with the files of every host's CI on its branch."""
    folder = tmp_path_factory.mktemp("hosted")
    lab, bare = folder / "lab", folder / "owner" / "lab.git"
    shutil.copytree(played.folder, lab)
    git(lab, "stash", "--quiet", "--include-untracked")
    for host in ("github", "gitlab", "gitea"):
        for name, data in ci_files(host).items():
            (lab / name).parent.mkdir(parents=True, exist_ok=True)
            (lab / name).write_bytes(data)
    git(lab, "add", ".")
    git(lab, "commit", "--quiet", "-m", "The host's CI")
    git(folder, "clone", "--quiet", "--bare", str(lab), str(bare))
    here = Path.cwd()
    os.chdir(lab)
    try:
        assert run(["push", str(bare), "--artifacts"]) == 0
    finally:
        os.chdir(here)
    rounds = {each["round"]: each for each in played.rounds}
    return SimpleNamespace(
        folder=lab, bare=bare, head=git(lab, "rev-parse", "HEAD"), rounds=rounds, run=played.rounds[0]["run"]
    )


@pytest.fixture
def served(hosted, host_server, tmp_path):
    """`hosted`, on a server; a copy of its repository may be changed."""
    bare = tmp_path / "served" / "lab.git"
    shutil.copytree(hosted.bare, bare)
    with host_server.HostServer(repositories={"owner/lab": bare}) as server:
        yield SimpleNamespace(**vars(hosted) | {"bare": bare}, server=server, token=host_server.TOKEN, url=server.url)


class Jobs:
    """Runs the steps of a workflow as they stand, with the variables that the host documents.

    Attributes:
        said: What all steps printed.
        outputs: Of each job that ran.
    """

    def __init__(self, served, folder, host, event):
        self.served, self.folder, self.host = served, folder, host
        self.said, self.outputs = "", {}
        folder.mkdir()
        self.event = folder / "event.json"
        self.event.write_text(json.dumps(event))
        own = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self.variables = {
            **own,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_ALLOW_PROTOCOL": "http",  # the test's server has no certificate
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "PIP_NO_INDEX": "1",
            "CI": "true",
        }

    def bash(self, script, variables, folder):
        """Run a script as the hosts' runners do."""
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        environment = {**self.variables, **variables}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        self.said += done.stdout + done.stderr
        return done

    def actions(self, name, skip=0):
        """Run a job of GitHub's or Gitea's CI, without so many of its first steps; returns the exit codes of the others."""
        workflow = yaml.safe_load((self.served.folder / f".{self.host}/workflows/autoqec.yml").read_text())
        job, place = workflow["jobs"][name], self.folder / name
        place.mkdir(exist_ok=True)
        api = {"github": "/api/v3", "gitea": "/api/v1"}[self.host]
        files = {key: place / key.lower() for key in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        variables = {key: str(file) for key, file in files.items()} | {
            "GITHUB_EVENT_PATH": str(self.event),
            "GITHUB_SERVER_URL": self.served.url,
            "GITHUB_API_URL": self.served.url + api,
            "GITHUB_REPOSITORY": "owner/lab",
            "GITHUB_SHA": self.served.head,
            "GITHUB_RUN_ID": "123",
            "GITHUB_RUN_NUMBER": "5",
        }
        codes = []
        for step in job["steps"][skip:]:
            assert not set(step) - {"name", "id", "if", "env", "run", "working-directory"}
            if any(codes) and step.get("if") != "always()":
                continue
            given = {key: self.value(text) for key, text in step.get("env", {}).items()}
            done = self.bash(step["run"], variables | given, place / step.get("working-directory", "."))
            codes.append(done.returncode)
        told = files["GITHUB_OUTPUT"].read_text() if files["GITHUB_OUTPUT"].exists() else ""
        self.outputs[name] = dict(line.split("=", 1) for line in told.splitlines())
        self.summary = files["GITHUB_STEP_SUMMARY"].read_text() if files["GITHUB_STEP_SUMMARY"].exists() else ""
        return codes

    def value(self, text):
        """An expression's value; a workflow of ours has no others."""
        found = re.fullmatch(r"\$\{\{ (.*) \}\}", text)[1]
        values = {
            "github.token": self.served.token,
            "secrets.AUTOQEC_HOST_TOKEN || github.token": self.served.token,
            "needs.judge.outputs.judged": self.outputs.get("judge", {}).get("judged", ""),
        }
        return values[found]

    def gitlab(self, name, **variables):
        """Run a job of GitLab's CI; returns its exit code."""
        config = yaml.safe_load((self.served.folder / ".gitlab/autoqec.yml").read_text())
        job = {**config[".autoqec"], **config[name]}
        place = self.folder / "builds"
        if not place.exists():
            git(self.folder, "clone", "--quiet", str(self.served.bare), str(place))
        given = {
            "TRIGGER_PAYLOAD": str(self.event),
            "CI_SERVER_URL": self.served.url,
            "CI_API_V4_URL": f"{self.served.url}/api/v4",
            "CI_PROJECT_PATH": "owner/lab",
            "CI_JOB_TOKEN": "job-token",
            "CI_PIPELINE_URL": f"{self.served.url}/owner/lab/-/pipelines/9",
            **variables,
        }
        # A runner puts both parts into one shell.
        return self.bash("\n".join([*job["before_script"], *job["script"]]), given, place).returncode


@pytest.fixture
def jobs(served, tmp_path):
    """A function from a host, a round and a commit to `Jobs` for a pull request from its branch."""

    def made(host, number=1, commit=None, branch=None, head=None):
        round_ = served.rounds[number]
        commit = commit or round_["commit"]
        branch = branch or round_["branch"]
        url = f"{served.url}/owner/lab.git"
        if host == "gitlab":
            attributes = {"iid": 7, "source_branch": branch, "last_commit": {"id": commit}}
            attributes |= {"source": {"git_http_url": head or url}, "target": {"git_http_url": url}}
            event = {"object_kind": "merge_request", "object_attributes": attributes}
        else:
            base = {"repo": {"clone_url": url}}
            ours = {"ref": branch, "sha": commit, "repo": {"clone_url": head or url}}
            event = {"action": "opened", "pull_request": {"number": 7, "head": ours, "base": base}}
        return Jobs(served, tmp_path / host, host, event)

    return made
