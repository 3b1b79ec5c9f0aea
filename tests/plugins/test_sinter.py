"""`sinter:module:Class`: anybody's sinter decoder, exactly as sinter would run it, and nothing that is none."""

import sys

import numpy as np
import pytest

from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import sample_chunk
from autoqec.testing import check_decoder, surface_problem, tiny_problem

MATCHING = "sinter:sinter._decoding._decoding_pymatching:PyMatchingDecoder"

OURS = """
import numpy as np

class Discards:
    def compile_decoder_for_dem(self, *, dem):
        return self

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
        out = np.zeros((len(bit_packed_detection_event_data), 2), dtype=np.uint8)
        out[::2, 1] = 1
        return out

class ByFiles:
    def __init__(self, flip=0):
        self.flip = flip

    def decode_via_files(self, *, num_shots, num_dets, num_obs, dem_path, dets_b8_in_path, obs_predictions_b8_out_path, tmp_dir):
        shots = np.fromfile(dets_b8_in_path, dtype=np.uint8).reshape(num_shots, -1)
        assert dem_path.read_text() and tmp_dir.is_dir() and shots.shape[1] == (num_dets + 7) // 8
        (shots.any(axis=1) & bool(self.flip)).astype(np.uint8).tofile(obs_predictions_b8_out_path)

class Wrong:
    def compile_decoder_for_dem(self, *, dem):
        return self

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
        return np.zeros((1, 7))

class Raises(Wrong):
    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
        raise RuntimeError("out of cheese")

class Refuses(Wrong):
    def compile_decoder_for_dem(self, *, dem):
        raise ValueError("only colour codes")

instance = ByFiles(flip=1)
"""


def made(kind, **fields):
    return load_plugins().get("decoder", kind).create(**fields)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of decoders that is on the path; its name."""
    (tmp_path / "their_decoders.py").write_text(OURS)
    monkeypatch.syspath_prepend(tmp_path)
    return "their_decoders"


@pytest.mark.parametrize(("kind", "correlated"), [("mwpm", False), ("mwpm_correlated", True)])
def test_ours_agree_with_sinters_shot_for_shot(kind, correlated):
    problem = surface_problem(5, 0.005)
    shots = sample_chunk(problem, 31)
    ours = made(kind).compile(problem).decode(shots.syndromes)
    theirs = made(MATCHING, use_correlated_decoding=correlated).compile(problem).decode(shots.syndromes)
    assert (ours.failures(shots.observables) == theirs.failures(shots.observables)).all()
    assert 20 < ours.failures(shots.observables).sum() < 100


def test_it_conforms():
    check_decoder(made(MATCHING), tiny_problem())


def test_discards_are_failures(module):
    problem = tiny_problem()
    decoded = made(f"sinter:{module}:Discards").compile(problem).decode(np.zeros((4, problem.syndrome_bytes), np.uint8))
    assert decoded.invalid.tolist() == [True, False, True, False]
    assert decoded.observables.shape == (4, 1)


def test_one_that_works_through_files(module):
    problem = tiny_problem()
    syndromes = np.zeros((3, problem.syndrome_bytes), np.uint8)
    syndromes[1, 0] = 1
    for kind, fields, flips in [
        ("ByFiles", {"flip": 1}, [0, 1, 0]),
        ("ByFiles", {}, [0] * 3),
        ("instance", {}, [0, 1, 0]),
    ]:
        decoded = made(f"sinter:{module}:{kind}", **fields).compile(problem).decode(syndromes)
        assert decoded.observables[:, 0].tolist() == flips


def test_what_goes_wrong_is_said(module):
    problem = tiny_problem()
    blank = np.zeros((2, problem.syndrome_bytes), np.uint8)
    with pytest.raises(UsageError, match="cannot decode surface_d3: ValueError: only colour codes"):
        made(f"sinter:{module}:Refuses").compile(problem)
    with pytest.raises(AutoQECError, match="failed on surface_d3: RuntimeError: out of cheese"):
        made(f"sinter:{module}:Raises").compile(problem).decode(blank)
    with pytest.raises(AutoQECError, match=r"must return bit-packed uint8 \(2, 1\), not float64 \(1, 7\)"):
        made(f"sinter:{module}:Wrong").compile(problem).decode(blank)
    compiled = made(MATCHING).compile(problem)
    with pytest.raises(UsageError, match="takes no beliefs"):
        compiled.decode(blank, np.zeros((2, len(problem.mechanisms)), np.float32))
    with pytest.raises(UsageError, match="must be a uint8 array"):
        compiled.decode(blank.astype(float))


@pytest.mark.parametrize(
    ("path", "fields", "error", "words"),
    [
        ("stim", {}, UsageError, "does not name a decoder"),
        ("stim:", {}, UsageError, "does not name a decoder"),
        ("nonesuch:Decoder", {}, NotFoundError, "No module named 'nonesuch'"),
        ("sinter:Nonesuch", {}, NotFoundError, "sinter has no Nonesuch"),
        ("subprocess:Popen", {"args": ["touch", "owned"]}, UsageError, "is not a sinter.Decoder"),
        ("os:system", {"command": "touch owned"}, UsageError, "is not a sinter.Decoder"),
        ("their_decoders:ByFiles", {"colour": "red"}, UsageError, "does not accept {'colour': 'red'}"),
        ("their_decoders:instance", {"flip": 1}, UsageError, "is an instance and takes no fields"),
    ],
)
def test_what_names_no_decoder_is_refused_and_not_called(module, tmp_path, monkeypatch, path, fields, error, words):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(error, match=words):
        made(f"sinter:{path}", **fields)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    "path", ["this:x", "antigravity:fly", "innocent:Decoder", "parcel.inner:Decoder", "parcel.none:x"]
)
def test_a_module_that_has_nothing_to_do_with_sinter_is_not_imported(tmp_path, monkeypatch, path):
    """Importing runs a module, and its packages; whoever writes an environment must not choose which one runs here."""
    owned = f"import pathlib\npathlib.Path({str(tmp_path / 'owned')!r}).touch()\n"
    (tmp_path / "parcel").mkdir()
    (tmp_path / "parcel/__init__.py").write_text(owned)
    for file in ("innocent.py", "parcel/inner.py"):
        (tmp_path / file).write_text(owned + "class Decoder:\n    def decode(self):\n        pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = path.partition(":")[0]
    before = set(sys.modules)
    with pytest.raises((UsageError, NotFoundError), match="is not a sinter.Decoder|No module named"):
        made(f"sinter:{path}")
    assert not (tmp_path / "owned").exists()
    assert module in before or module not in sys.modules


def test_code_that_lies_about_in_a_clone_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "stray_decoders.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'owned')!r}).touch()\n" + OURS
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")  # as `python -m autoqec` has it
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(UsageError, match="does not run code from there by default"):
        made("sinter:stray_decoders:ByFiles")
    assert not (tmp_path / "owned").exists()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made("sinter:stray_decoders:ByFiles")
    assert (tmp_path / "owned").exists()


def test_the_family_is_listed_and_is_no_decoder_itself():
    registry = load_plugins()
    assert "sinter:" in registry.names("decoder")
    assert registry.get("decoder", MATCHING).capabilities["takes_beliefs"] is False
    with pytest.raises(NotFoundError, match="'sinter:' is a family"):
        registry.get("decoder", "sinter:")
