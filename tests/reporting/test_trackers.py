"""Experiment trackers: names that stay, each round once, nothing sent away unasked, and what is missing said."""

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from autoqec.cli.main import run
from autoqec.errors import AutoQECError, MissingPackageError
from autoqec.history import list_runs, open_ledger
from autoqec.reporting.recorded_lab import read_lab
from autoqec.reporting.trackers import experiment_trackers
from autoqec.reporting.trackers.experiment_trackers import TRACKERS, send
from autoqec.reporting.trackers.tracked_run import METRICS, TrackedRun, tracked_run

ROOT = Path(__file__).parent.parent.parent


def installed(name):
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")


def some(*rounds, **more):
    """A run of which some rounds are finished."""
    steps = {number: {"verified": 1.0, "holdout/ler": number / 100} for number in rounds}
    fields = {"project": "lab", "name": "tiny-abcd", "config": {"environment": "tiny"}, "steps": steps}
    return TrackedRun(**{**fields, "times": dict.fromkeys(steps, 1_700_000_000), **more})


@pytest.fixture
def quiet(monkeypatch):
    """No variable of a tracker is set, and none that is set by a test stays."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in [name for name in os.environ if name.startswith(("WANDB", "MLFLOW", "TRACKIO", "HF_"))]:
        del os.environ[name]


def test_a_runs_rounds_are_steps_with_the_figures_of_the_record(played):
    ledger = open_ledger(played.folder)
    lab, (record,) = read_lab(ledger), list_runs(ledger)
    told = tracked_run(lab, record, "my lab: of/things")
    assert (told.project, told.name, told.config["environment"]) == ("my-lab-of-things", record.name, "tiny")
    assert list(told.steps) == [1, 2]
    for row in played.rounds:
        step = told.steps[row["round"]]
        assert step.keys() <= METRICS.keys()
        assert step["verified"] == float(row["verdict"] == "VERIFIED")
        for name in ("shots", "ler_baseline", "ler_ratio"):
            assert step[f"holdout/{name}"] == row["holdout"][name]
            assert step[f"development/{name}"] == row["metrics"][name]
        assert step["holdout/ler"] == row["holdout"]["ler_candidate"]
        assert [step["holdout/ler_ratio_low"], step["holdout/ler_ratio_high"]] == row["holdout"]["ler_ratio_ci"]
        assert (step["cost/params"], step["best/ler_ratio"]) == (
            row["metrics"]["params"],
            row["best_so_far"]["ler_ratio"],
        )
    assert json.loads(json.dumps(told.steps[1])) == told.steps[1], "numbers, and nothing else"


def test_every_metric_is_on_the_page():
    page = (ROOT / "docs/how-to/share-a-round.md").read_text()
    listed = re.findall(r"^\| `([a-z_/]+)` \| (.*) \|$", page.partition("## In an experiment tracker")[2], re.MULTILINE)
    assert dict(listed) == dict(METRICS)


def test_every_tracker_is_an_extra_of_its_name():
    text = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{name} = \[", text, re.MULTILINE) for name in TRACKERS)


class MlflowClient:
    """As MLflow keeps metrics: by run, name and step."""

    def __init__(self):
        self.experiments, self.runs, self.metrics, self.params = {}, [], [], {}

    def get_experiment_by_name(self, name):
        return self.experiments.get(name)

    def create_experiment(self, name):
        self.experiments[name] = SimpleNamespace(experiment_id="7")
        return "7"

    def search_runs(self, experiments, filter_string):
        assert (experiments, filter_string) == (["7"], "tags.`autoqec_run` = 'tiny-abcd'")
        return list(self.runs)

    def create_run(self, experiment, run_name, tags):
        assert (run_name, tags) == ("tiny-abcd", {"autoqec_run": "tiny-abcd"})
        self.runs.append(SimpleNamespace(info=SimpleNamespace(run_id="r")))
        return self.runs[-1]

    def get_metric_history(self, run_id, name):
        return [SimpleNamespace(step=step) for key, _, step in self.metrics if key == name]

    def log_param(self, run_id, key, value):
        assert key not in self.params
        self.params[key] = value

    def log_metric(self, run_id, key, value, timestamp, step):
        self.metrics.append((key, value, step))

    def set_terminated(self, run_id):
        pass


def test_mlflow_is_told_each_round_once(quiet, monkeypatch, tmp_path):
    client = MlflowClient()
    package = SimpleNamespace(MlflowClient=lambda: client, get_tracking_uri=lambda: "sqlite:///x")
    monkeypatch.setitem(sys.modules, "mlflow", package)
    assert send("mlflow", some(1), tmp_path).sent == (1,)
    told = send("mlflow", some(1, 2), tmp_path)
    assert (told.sent, told.there, told.place) == ((2,), (1,), "sqlite:///x")
    assert client.metrics == [
        ("holdout/ler", 0.01, 1), ("verified", 1.0, 1), ("holdout/ler", 0.02, 2), ("verified", 1.0, 2)
    ]  # fmt: skip
    assert (client.params, len(client.runs)) == ({"environment": "tiny"}, 1)
    client.metrics = [row for row in client.metrics if row[2] == 1 or row[0] != "verified"]
    assert send("mlflow", some(1, 2), tmp_path).sent == (2,), "a round that was cut off is told again"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


class Wandb:
    """Records what it is told."""

    def __init__(self):
        self.begun, self.rows = [], []
        self.settings = SimpleNamespace(sync_dir="wandb/offline-run-x")

    def init(self, **how):
        self.begun.append(how)
        return self

    def Settings(self, **how):
        return how

    def define_metric(self, name, step_metric):
        assert (name, step_metric) == ("*", "round")

    def log(self, row, step):
        assert row["round"] == step
        self.rows.append(step)

    def finish(self):
        pass


def test_wandb_is_offline_unless_you_say_otherwise_and_is_told_each_round_once(quiet, monkeypatch, tmp_path):
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    assert send("wandb", some(1, 2), tmp_path).sent == (1, 2)
    told = send("wandb", some(1, 2, 3), tmp_path)
    assert (told.sent, told.there, told.place, wandb.rows) == ((3,), (1, 2), "wandb/offline-run-x", [1, 2, 3])
    assert send("wandb", some(1, 2, 3), tmp_path).sent == ()
    assert [(each["mode"], each["resume"]) for each in wandb.begun] == [("offline", "allow")] * 2
    assert len({each["id"] for each in wandb.begun}) == 1
    os.environ["WANDB_MODE"] = "online"
    assert send("wandb", some(1), tmp_path).sent == (1,), "its server has not been told yet"
    assert wandb.begun[-1]["mode"] == "online"
    for noted in tmp_path.iterdir():
        noted.write_text('{"damaged":')
    assert send("wandb", some(1), tmp_path).sent == (1,)


def test_a_trackio_elsewhere_is_told_each_round_once(quiet, monkeypatch, tmp_path):
    rows = []
    logged = SimpleNamespace(log=lambda row, step: rows.append(step), finish=lambda: None)
    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace(init=lambda **how: logged, TRACKIO_DIR="x"))
    os.environ["TRACKIO_SERVER_URL"] = "http://localhost:1"
    for _ in range(2):
        send("trackio", some(1, 2), tmp_path)
    assert rows == [1, 2]


def test_what_is_missing_or_fails_is_said(quiet, monkeypatch, tmp_path):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    with monkeypatch.context() as patch:
        patch.setattr(experiment_trackers.importlib, "import_module", absent)
        for name in TRACKERS:
            with pytest.raises(MissingPackageError) as caught:
                send(name, some(1), tmp_path)
            assert caught.value.hint == f"pip install 'autoqec[{name}]'"

    def fail(**how):
        raise ConnectionError("no such host\nand more")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=fail, Settings=dict))
    with pytest.raises(AutoQECError) as caught:
        send("wandb", some(1), tmp_path)
    assert caught.value.problem == "Weights & Biases failed: ConnectionError: no such host"
    assert "WANDB_MODE" in caught.value.hint
    assert list(tmp_path.iterdir()) == [], "what failed is not noted as sent"


def test_no_tracker_is_imported_before_it_is_used():
    code = (
        "import sys\nimport autoqec.cli.export, autoqec.reporting.trackers.experiment_trackers as told\n"
        "print([name for name in told.TRACKERS if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "say where to"),
        (["--to", "out", "--to-tracker", "trackio"], "say where to"),
        (["--to-tracker", "trackio", "--card"], "are for a folder"),
        (["--to", "out", "--project", "x"], "is a tracker's"),
        (["--to-tracker", "tensorboard"], "--to-tracker"),
    ],
)
def test_what_cannot_be_is_said(played, monkeypatch, capsys, args, says):
    monkeypatch.chdir(played.folder)
    assert run(["export", played.rounds[0]["branch"], *args]) == 2
    assert says in capsys.readouterr().err


@installed("trackio")
def test_trackio_has_a_run_with_a_step_for_each_round(played, tmp_path):
    """The real one, in a process of its own: it reads its folder's name when it is imported."""
    name = played.rounds[0]["run"]
    command = [sys.executable, "-m", "autoqec", "export", name, "--to-tracker", "trackio", "--project", "p", "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRACKIO", "HF_"))}
    environment |= {"TRACKIO_DIR": str(tmp_path / "t"), "HF_HUB_OFFLINE": "1"}
    told = []
    for _ in range(2):
        done = subprocess.run(command, cwd=played.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    assert [(each["sent"], each["there"]) for each in told] == [([1, 2], []), ([], [1, 2])]
    read = f"import json, trackio; print(json.dumps(trackio.SQLiteStorage.get_logs('p', {name!r})))"
    done = subprocess.run([sys.executable, "-c", read], env=environment, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)
    assert [row["step"] for row in rows] == [1, 2]
    for row, printed in zip(rows, played.rounds, strict=True):
        assert row["holdout/ler_ratio"] == printed["holdout"]["ler_ratio"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tracker", "where"),
    [
        pytest.param("mlflow", {"MLFLOW_TRACKING_URI": "sqlite:///{}/m.db"}, marks=installed("mlflow")),
        pytest.param("wandb", {"WANDB_DIR": "{}"}, marks=installed("wandb")),
    ],
)
def test_the_real_ones_take_it_and_keep_it_here(played, tmp_path, tracker, where):
    name = played.rounds[0]["run"]
    command = [sys.executable, "-m", "autoqec", "export", name, "--to-tracker", tracker, "--project", "p", "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "MLFLOW"))}
    environment |= {key: value.format(tmp_path) for key, value in where.items()}
    told = []
    for _ in range(2):
        done = subprocess.run(command, cwd=played.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    assert [(each["sent"], each["there"]) for each in told] == [([1, 2], []), ([], [1, 2])]
    assert any(path.is_file() for path in tmp_path.rglob("*"))
