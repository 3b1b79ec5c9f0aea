"""The job that `autoqec init --cluster slurm` writes, run by bash with stand-ins for Slurm and for AutoQEC."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
from types import SimpleNamespace

import pytest

from autoqec.cli.main import run
from autoqec.clusters.cluster_files import NO_REMOTE, cluster_file, write_cluster_file
from autoqec.errors import UsageError

#: Answers with the time left in the file `left`.
SQUEUE = """#!/bin/sh
echo "$@" >> "$TOP/asked"
cat "$TOP/left"
"""

SBATCH = """#!/bin/sh
echo "$@" >> "$TOP/submitted"
"""

#: Notes how it is called. A round does what the next line of `script` says: how many rounds end, and its exit code.
AUTOQEC = """#!/bin/sh
echo "$@" >> "$TOP/calls"
[ ! -e /proc/$$/fd/9 ] || echo "holds the lock" >> "$TOP/calls"
case $1 in
push) [ ! -e "$TOP/away" ] || { rm "$TOP/away"; exit 1; } ;;
log) cat "$TOP/recorded" ;;
round)
    read -r count code < "$TOP/script" && sed -i 1d "$TOP/script"
    while [ "$count" -gt 0 ]; do echo '{}'; echo '{}' >> "$TOP/recorded"; count=$((count - 1)); done
    if [ "$code" = wait ]; then
        trap 'kill $!; echo ended >> "$TOP/calls"; exit 130' TERM
        sleep 60 > /dev/null 2>&1 &
        echo began > "$TOP/began"
        wait
    fi
    exit "$code" ;;
esac
"""


@pytest.fixture
def job(tmp_path):
    """A function that runs the job of a task, with what its stand-ins note in files."""
    for name, text in (("squeue", SQUEUE), ("sbatch", SBATCH), ("autoqec", AUTOQEC)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "lab").mkdir()
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "remote.git"], check=True)
    write_cluster_file(tmp_path / "lab", "slurm", remote="../remote.git", env="tiny")
    text = (tmp_path / "lab" / cluster_file("slurm")).read_text()
    for old, new in (
        (r"(?m)^autoqec=.*", f"autoqec=({tmp_path}/bin/autoqec)"),
        (r"(?m)^folder=\S+", f"folder='{tmp_path}/work'"),
        (r"(?m)^retry=\d+", "retry=0"),
        ("--wait 120", "--wait 0"),
    ):
        text, count = re.subn(old, new, text)
        assert count == 1, old
    file = tmp_path / "job.sh"
    file.write_text(text)
    for name in ("calls", "asked", "submitted", "recorded"):
        (tmp_path / name).touch()
    variables = {"TOP": str(tmp_path), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "SLURM_CPUS_PER_TASK": "3"}
    variables |= {"SLURM_JOB_ID": "19", "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "2"}

    def start(script="1 4\n", left="4:00:00"):
        (tmp_path / "script").write_text(script)
        (tmp_path / "left").write_text(left + "\n")
        return subprocess.Popen(
            ["bash", file],
            cwd=tmp_path,
            env={**os.environ, **variables, "SLURM_SUBMIT_DIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def lines(name):
        return (tmp_path / name).read_text().splitlines()

    def done(*args, **options):
        process = start(*args, **options)
        said = process.communicate(timeout=60)[0]
        return SimpleNamespace(code=process.returncode, said=said, calls=lines("calls"), submitted=lines("submitted"))

    return SimpleNamespace(start=start, done=done, lines=lines, top=tmp_path, file=file)


def test_a_job_finishes_what_was_open_runs_rounds_and_submits_itself_again(job):
    found = job.done("2 0\n1 4\n")
    assert found.code == 0, found.said
    called = [re.sub(r"(--max-wall) 14[01]\d\d", r"\1 S", line) for line in found.calls if not line.startswith("log ")]
    a_round = "round --quiet --json --run tiny-cluster --env tiny --rounds 10 --max-wall S"
    assert called == [
        "pull origin --run tiny-cluster",
        "resume --quiet --json --max-wall S",
        a_round,
        a_round,
        "push origin --run tiny-cluster",
    ]
    assert job.lines("asked") == ["--noheader --jobs=17_2 --format=%L"]
    assert found.submitted == [f"--array=2 --dependency=afterany:17_2 --chdir={job.top} {job.file}"]
    assert "rounds that ended in this job: 3" in found.said
    assert (job.top / "work/tiny-cluster-2/.git").is_dir()


@pytest.mark.parametrize(
    ("left", "seconds"),
    [("1-02:03:04", 93784), ("10:00:00", 36000), ("09:08", 548), ("UNLIMITED", None), ("INVALID", None), ("", None)],
)
def test_the_time_for_rounds_is_what_slurm_leaves_less_the_reserve(job, left, seconds):
    found = job.done(left=left)
    told = re.findall(r"--max-wall (\d+)", next(line for line in found.calls if line.startswith("resume")))
    assert told == [] if seconds is None else seconds - 300 - 60 <= int(told[0]) <= seconds - 300


def test_a_job_without_time_for_a_round_ends_the_chain_and_says_so(job):
    found = job.done(left="4:59")
    assert (found.code, found.submitted) == (1, [])
    assert not [line for line in found.calls if line.startswith(("round", "resume"))]
    assert "give it more --time" in found.said


@pytest.mark.parametrize("script", ["0 4\n", "0 1\n" * 10, "1 2\n"], ids=["budget", "failures", "usage"])
def test_a_job_that_brings_nothing_or_is_wrong_is_not_submitted_again(job, script):
    found = job.done(script)
    assert found.submitted == []
    assert len(re.findall("^round", "\n".join(found.calls), re.MULTILINE)) == script.count("\n")
    assert found.calls[-1].startswith("push")


def test_an_idea_that_failed_is_no_reason_to_stop(job):
    assert job.done("0 1\n" * 9 + "1 0\n" + "0 1\n" * 9 + "0 4\n").submitted


def test_a_job_pushes_again_where_the_remote_was_away(job):
    (job.top / "away").touch()
    found = job.done()
    assert found.calls[-2:] == ["push origin --run tiny-cluster"] * 2
    assert found.submitted


def test_a_run_that_has_its_rounds_ends_the_chain(job):
    (job.top / "recorded").write_text("{}\n" * 999)
    found = job.done("1 0\n")
    assert (found.code, found.submitted) == (0, [])
    assert "run tiny-cluster has its 1000 rounds" in found.said
    assert next(line for line in found.calls if line.startswith("round")).split("--rounds ")[1].startswith("1 ")


@pytest.mark.parametrize(("asked", "again"), [(signal.SIGTERM, False), (signal.SIGUSR1, True)])
def test_a_signal_ends_the_round_pushes_what_there_is_and_near_the_limit_submits_again(job, asked, again):
    os.mkfifo(job.top / "began")
    process = job.start("1 wait\n")
    with (job.top / "began").open() as began:
        assert began.read() == "began\n"
    process.send_signal(asked)
    said = process.communicate(timeout=60)[0]
    assert job.lines("calls")[-2:] == ["ended", "push origin --run tiny-cluster"]
    assert process.returncode == (0 if again else 143), said
    assert len(job.lines("submitted")) == again


def test_a_job_that_is_started_twice_does_nothing_the_second_time(job):
    (job.top / "work").mkdir()
    with (job.top / "work/tiny-cluster-2.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = job.done()
    assert (found.code, found.calls, found.submitted) == (0, [], [])
    assert "another job works in" in found.said
    again = job.done()
    assert again.submitted
    assert "holds the lock" not in again.calls


def test_a_clone_that_was_cut_off_is_made_anew_and_a_whole_one_is_kept(job):
    (job.top / "work/tiny-cluster-2.part/.git").mkdir(parents=True)
    job.done()
    (job.top / "work/tiny-cluster-2/mine").touch()
    shutil.rmtree(job.top / "remote.git")
    assert job.done().code == 0
    assert (job.top / "work/tiny-cluster-2/mine").exists()
    shutil.rmtree(job.top / "work/tiny-cluster-2")
    gone = job.done()
    assert (gone.code, len(gone.submitted)) == (1, 2)


def test_a_clone_has_the_labs_branch_whatever_the_remote_calls_its_own(job):
    """`git init --bare` names a branch as its own that need not be there; a clone without a commit cannot run a round."""
    subprocess.run(["git", "-C", job.top / "remote.git", "symbolic-ref", "HEAD", "refs/heads/elsewhere"], check=True)
    subprocess.run(["git", "init", "-q", "-b", "mine", job.top / "begun"], check=True)
    git = ("git", "-C", job.top / "begun", "-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "begin"], check=True)
    subprocess.run([*git, "push", "-q", "../remote.git", "mine"], check=True)
    job.file.write_text(job.file.read_text().replace("\nbranch=''\n", "\nbranch=mine\n"))
    found = job.done()
    assert found.code == 0, found.said
    shown = subprocess.run(["git", "-C", job.top / "work/tiny-cluster-2", "log", "--format=%s"], capture_output=True)
    assert shown.stdout == b"begin\n"


def test_the_file_holds_no_secret_and_runs_nothing_that_the_lab_names(tmp_path):
    evil = "'; touch evil; '"
    write_cluster_file(tmp_path, "slurm", remote="https://user:s3cret@host.example/a b.git", env=evil + "{{remote}}")
    text = (tmp_path / ".autoqec/slurm.sh").read_text()
    assert "s3cret" not in text
    head = text[: text.index("\nset -u")]
    done = subprocess.run(
        ["bash"], input=head + '\necho "$remote|$env|$run"', cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == f"https://host.example/a b.git|{evil}{{{{remote}}}}|touch-evil-remote-cluster\n"
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("ssh://git:pass@host:22/lab.git", "ssh://git@host:22/lab.git"),
        ("git@host:lab.git", "git@host:lab.git"),
        ("", NO_REMOTE),
    ],
)
def test_the_address_is_one_that_the_nodes_can_use(tmp_path, given, written):
    write_cluster_file(tmp_path, "slurm", remote=given, env="tiny")
    assert f"\nremote={written}\n" in (tmp_path / ".autoqec/slurm.sh").read_text()


def test_init_writes_the_job_once_and_says_what_comes_next(tmp_path, capsys):
    assert run(["init", str(tmp_path / "lab"), "--cluster", "slurm"]) == 0
    said = capsys.readouterr().err
    assert "wrote .autoqec/slurm.sh" in said
    assert "write the address of the remote" in said
    assert "sbatch .autoqec/slurm.sh" in said
    branch = subprocess.run(["git", "-C", tmp_path / "lab", "branch", "--show-current"], capture_output=True, text=True)
    assert f"\nbranch={branch.stdout}" in (tmp_path / "lab/.autoqec/slurm.sh").read_text()
    assert run(["init", str(tmp_path / "lab"), "--cluster", "slurm"]) == 0
    assert "the job for slurm is there already" in capsys.readouterr().err
    subprocess.run(["git", "-C", tmp_path / "lab", "remote", "add", "origin", "ssh://host/lab.git"], check=True)
    assert run(["init", str(tmp_path / "lab"), "--cluster", "slurm"]) == 2
    assert "already has other contents" in capsys.readouterr().err


def test_a_file_of_the_user_stays(tmp_path):
    (tmp_path / ".autoqec").mkdir()
    (tmp_path / ".autoqec/slurm.sh").write_text("mine")
    with pytest.raises(UsageError, match="already has other contents"):
        write_cluster_file(tmp_path, "slurm", remote="", env="tiny")
