"""The files with which people start Dask clusters: those that can run here do, with small numbers and programs that stand in."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from autoqec_plugins.dask.dask_executor import DaskExecutor

from autoqec.sandbox.channel import Message
from autoqec.scoring.executor_contract import Task

pytestmark = [pytest.mark.slow, pytest.mark.fresh_processes]

FILES = Path(__file__).parents[2] / "docs" / "how-to" / "dask"
SECONDS = 120.0

SBATCH = """#!/bin/sh
cp "$1" "$HOME/job.sh"  # as the real one does: the file is removed soon
setsid sh "$HOME/job.sh" > "$HOME/job.log" 2>&1 &
echo "Submitted batch job $!"
"""


@contextmanager
def running(home, command, **variables):
    """A command in a session of its own, with its programs found first in `home/bin`; all of it is ended."""
    path = f"{home / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "HOME": str(home), "PATH": path, **variables}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def put_programs(folder, **texts):
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def wait_for(path, process):
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert process.poll() is None, (path.parent / "log").read_text()
        assert time.monotonic() < deadline, (path.parent / "log").read_text()
        time.sleep(0.05)


def scores(**options):
    """Whether a task is answered by the cluster that options name."""
    with DaskExecutor(1, **options, wait_seconds=SECONDS) as executor:
        task = Task("autoqec.testing.example_tasks:echo", Message({"number": 1}))
        return executor.submit(task).result(SECONDS).fields == {"number": 1}


def test_workers_come_from_slurm(tmp_path):
    put_programs(tmp_path / "bin", sbatch=SBATCH, scancel='#!/bin/sh\nkill -- "-$1"\n')
    text = (FILES / "slurm_cluster.py").read_text()
    for whole, small in {"processes=4": "processes=1", "cores=4": "cores=1", "jobs=8": "jobs=1"}.items():
        assert whole in text
        text = text.replace(whole, small)
    (tmp_path / "cluster.py").write_text(text)
    with running(tmp_path, [sys.executable, "cluster.py"]) as process:
        wait_for(tmp_path / ".autoqec-cluster.json", process)
        assert json.loads((tmp_path / ".autoqec-cluster.json").read_text())["address"].startswith("tls://")
        assert scores(scheduler_file=str(tmp_path / ".autoqec-cluster.json"))


def test_a_scheduler_and_workers_by_hand(tmp_path):
    from distributed import Security

    put_programs(tmp_path / "bin", dask=f'#!/bin/sh\nexec {sys.executable} -m dask "$@"\n')
    made, tls = Security.temporary(), tmp_path / ".autoqec-tls"
    tls.mkdir()
    for name, value in {"ca": made.tls_ca_file, "cert": made.tls_client_cert, "key": made.tls_client_key}.items():
        (tls / f"{name}.pem").write_text(value)
    options = {"tls_ca_file": str(tls / "ca.pem"), "tls_cert": str(tls / "cert.pem"), "tls_key": str(tls / "key.pem")}
    with running(tmp_path, ["sh", str(FILES / "scheduler.sh")]) as process:
        wait_for(tmp_path / ".autoqec-scheduler.json", process)
        assert scores(scheduler_file=str(tmp_path / ".autoqec-scheduler.json"), **options)


def test_workers_by_hand_do_not_look_for_an_earlier_scheduler(tmp_path):
    """A scheduler that was killed leaves its file, and workers that read it give up after 30 seconds."""
    put_programs(
        tmp_path / "bin", dask='#!/bin/sh\n[ -e "$HOME/.autoqec-scheduler.json" ] && echo "$1" >> "$HOME/misled"\n'
    )
    (tmp_path / ".autoqec-scheduler.json").write_text("{}")
    variables = {**os.environ, "HOME": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    subprocess.run(["sh", FILES / "scheduler.sh"], env=variables, timeout=30, check=True)
    assert not (tmp_path / "misled").exists()
