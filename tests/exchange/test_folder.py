"""An exported folder stands alone, notices what was changed in it, and its ONNX says what the predecoder says."""

import json
import subprocess
import sys

import numpy as np
import pytest

from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.exchange.deploy import Deployed
from autoqec.exchange.folder import open_folder, write_folder
from autoqec.exchange.package import Package
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE
from autoqec.problem.sampling import sample_chunk
from autoqec.testing import untrained
from tests.plugins.test_finite_holdout import environment as recorded_environment


@pytest.fixture(scope="module")
def folder(package, tmp_path_factory):
    found = tmp_path_factory.mktemp("export") / "round"
    write_folder(package, load_plugins(), found)
    return found


def test_the_manifest_lists_what_is_there(folder, package):
    manifest = json.loads((folder / "manifest.json").read_text())
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert manifest["files"] == there
    assert manifest["digest"] == package.digest
    assert (manifest["detectors"], manifest["mechanisms"], manifest["observables"]) == (36, 423, 1)
    assert "exp/here/1" in (folder / "README.md").read_text()


def test_what_is_loaded_answers_alike(folder, package):
    loaded, own = open_folder(folder), Deployed(package, load_plugins())
    shots = sample_chunk(own.problem, 2)
    assert (loaded.decode(shots.syndromes).observables == own.decode(shots.syndromes).observables).all()


def test_its_loader_runs_without_a_lab(folder, tmp_path):
    code = (
        "import predecoder, numpy as np\n"
        "flips = predecoder.decoder().decode(np.zeros((3, 5), dtype=np.uint8))\n"
        "print(flips.tolist(), sorted(predecoder.decoders())[0])\n"
        "import doctest\n"
        "assert doctest.testmod(predecoder).attempted > 5\n"
        f"readme = open({str(folder / 'README.md')!r}).read()\n"
        f"import os; os.chdir({str(folder)!r})\n"
        "exec(readme.split('```python\\n')[1].split('```')[0])\n"
        "assert 0 < wrong.mean() < 0.3\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True
    )
    first, mean = done.stdout.splitlines()  # a doctest that failed would print more
    assert (first, 0 < float(mean) < 0.3) == ("[[0], [0], [0]] autoqec:exp/here/1", True), done.stderr


def test_a_result_is_no_array_and_says_so(folder):
    loaded = open_folder(folder)
    shots = sample_chunk(loaded.problem, 2)
    decoded = loaded.decode(shots.syndromes)
    for compare in (lambda: decoded != shots.observables, lambda: shots.observables == decoded):
        with pytest.raises(TypeError, match="compare its `observables`"):
            compare()


def test_a_folder_that_holds_something_is_left_alone(package, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="is not an empty folder"):
        write_folder(package, load_plugins(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "candidate/stages/bp/stage.yaml", "environment/environment.yaml"]
)
def test_a_changed_file_is_noticed(package, tmp_path, name):
    write_folder(package, load_plugins(), tmp_path / "round")
    path = tmp_path / "round" / name
    path.write_bytes(path.read_bytes().replace(b"3", b"4"))
    with pytest.raises(AutoQECError, match="has been changed"):
        open_folder(tmp_path / "round")


def test_no_export_and_a_newer_one_say_so(tmp_path, folder):
    with pytest.raises(NotFoundError, match="is not an exported round"):
        open_folder(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text()) | {"schema": "autoqec.export/9"}
    for path in folder.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(NotFoundError, match="schema autoqec.export/9") as caught:
        open_folder(tmp_path)
    assert "--upgrade" in caught.value.hint


def test_without_the_package_onnx_nothing_is_written(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(AutoQECError, match="needs the package onnx") as caught:
        write_folder(package, load_plugins(), tmp_path / "round", onnx=True)
    assert caught.value.hint == "pip install 'autoqec[onnx]'"
    assert not (tmp_path / "round").exists()


@pytest.mark.slow
def test_a_stage_that_cannot_be_traced_is_named(package, monkeypatch, tmp_path):
    pytest.importorskip("onnxscript")
    from autoqec.exchange import onnx

    def untraceable(modules, syndromes, beliefs):
        return beliefs if float(syndromes.sum()) > 3 else -beliefs

    monkeypatch.setattr(onnx, "run_modules", untraceable)
    with pytest.raises(AutoQECError, match=r"bp \(neural_bp\) has no ONNX form"):
        write_folder(package, load_plugins(), tmp_path / "round", onnx=True)
    assert not (tmp_path / "round").exists()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["sum_product", "min_sum"])
def test_the_onnx_model_says_what_the_predecoder_says(make_package, algorithm, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    package = make_package(
        **{"stages/bp/stage.yaml": f"kind: neural_bp\niterations: 3\nalgorithm: {algorithm}\n".encode()}
    )
    write_folder(package, load_plugins(), tmp_path / "round", onnx=True)
    deployed = open_folder(tmp_path / "round")
    session = runtime.InferenceSession(tmp_path / "round" / "predecoder.onnx")
    syndromes = sample_chunk(deployed.problem, 4).syndromes[:77]
    bits = np.unpackbits(syndromes, axis=1, count=deployed.problem.num_detectors, bitorder="little")
    (said,) = session.run(None, {"syndromes": bits.astype(np.float32)})
    beliefs, _ = deployed.beliefs(syndromes)
    # Beliefs are rounded to 1/1024, and inference and torch may differ by 1e-4 of their size.
    assert np.abs(said - beliefs).max() < 0.01


def test_a_folder_of_a_round_on_recorded_shots_has_none_of_them(tmp_path):
    loaded = recorded_environment()
    problem = build_problem(loaded, load_plugins().maker("code"))
    sealed = untrained({"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 3\n"}, problem)
    package = Package("exp/here/1", "c0ffee" * 6, dict(loaded.files), sealed, None)
    write_folder(package, load_plugins(), tmp_path / "out")
    there = {path.name for path in (tmp_path / "out" / "environment").iterdir()}
    assert there == {ENVIRONMENT_FILE, "model.dem"}
    assert open_folder(tmp_path / "out").problem.fingerprint == problem.fingerprint
