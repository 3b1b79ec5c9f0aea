"""Small circuits, error models and matrices that are easy to get wrong; `DIFFICULT_INPUTS` is the list.

Each is an environment with its files. Most compile, and say what a decoder or a reader got wrong on it once; the others must
be refused in one clear sentence, at once and without much memory. The fixture `difficult_input` gives them to a test, one
after the other:

def test_my_decoder_takes_it(difficult_input):
    if difficult_input.refused is None:
        MyDecoder().compile(difficult_input.problem())
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from struct import pack
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile

if TYPE_CHECKING:
    from autoqec.problem.environment import LoadedEnvironment
    from autoqec.problem.problem import Problem

_CHECKS, _OBSERVABLES = "1 0 0 1\n0 1 0 1\n", "1 0 0 0\n"


@dataclass(frozen=True)
class DifficultInput:
    """An environment that is easy to get wrong.

    Attributes:
        name: A word for it.
        why: What is difficult about it.
        code: The environment's `code` section, as YAML.
        files: The files that it names, text or bytes by name.
        decoder: The environment's decoder.
        refused: A part of the error that it must be refused with; None if it is a problem like any other.
    """

    name: str
    why: str
    code: str
    files: Mapping[str, str | bytes]
    decoder: str = "osd"
    refused: str | None = None

    def __str__(self) -> str:
        return self.name

    def loaded(self, **sections: str) -> LoadedEnvironment:
        """The environment with its files.

        Args:
            sections: Further sections of the YAML, such as `noise`, or others in place of its own.

        Raises:
            UsageError: It is one that must be refused.
        """
        from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files

        fields = {"name": self.name, "code": self.code, "decoder": self.decoder, **sections}
        text = "".join(f"{name}: {value}\n" for name, value in fields.items())
        files = {name: data if isinstance(data, bytes) else data.encode() for name, data in self.files.items()}
        return environment_from_files({ENVIRONMENT_FILE: text.encode(), **files}, origin=f"{self.name}.yaml")

    def problem(self, **sections: str) -> Problem:
        """What it compiles to.

        Args:
            sections: As for `loaded`.

        Raises:
            UsageError: It is one that must be refused.
        """
        from autoqec.plugins import load_plugins
        from autoqec.problem.code_contract import build_problem

        return build_problem(self.loaded(**sections), load_plugins().maker("code"))


def _npy(shape: tuple[int, ...], values: Sequence[float]) -> bytes:
    """An .npy file that claims a shape, without NumPy, which this module would import for every run of pytest."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + pack("<H", len(header)) + header.encode() + pack(f"<{len(values)}d", *values)


def _npz(array: bytes) -> bytes:
    stream = BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", array)
    return stream.getvalue()


def _tanner(name: str, why: str, *, refused: str | None = None, **files: str | bytes) -> DifficultInput:
    """A Tanner graph with four mechanisms, and the given files in place of the usual ones."""
    suffix = "npz" if name.endswith("npz") else "npy" if isinstance(files.get("priors"), bytes) else "txt"
    made = {
        "checks.txt": files.get("checks", _CHECKS),
        "observables.txt": files.get("observables", _OBSERVABLES),
        f"priors.{suffix}": files.get("priors", "0.1\n0.1\n0.1\n0.1\n"),
    }
    paths = f"{{checks: checks.txt, observables: observables.txt, priors: priors.{suffix}}}"
    return DifficultInput(name, why, f"{{kind: tanner, paths: {paths}}}", made, refused=refused)


def _model(name: str, why: str, text: str, *, decoder: str = "mwpm", refused: str | None = None) -> DifficultInput:
    return DifficultInput(name, why, f"{{kind: dem, path: {name}.dem}}", {f"{name}.dem": text}, decoder, refused)


def _circuit(name: str, why: str, text: str, *, decoder: str = "mwpm", refused: str | None = None) -> DifficultInput:
    return DifficultInput(name, why, f"{{kind: circuit, path: {name}.stim}}", {f"{name}.stim": text}, decoder, refused)


def _columns() -> tuple[DifficultInput, ...]:
    """What a column and its prior mean, whatever they are written in."""
    priors = [0.1, 0.1, 0.0, 0.1]
    return (
        _tanner("zero_column", "a mechanism that flips nothing"),
        _tanner("zero_prior", "a mechanism that never fires", priors="0.1\n0.1\n0\n0.1\n"),
        _tanner("priors_npy", "priors as numpy.save writes them", priors=_npy((4,), priors)),
        _tanner("priors_npz", "priors as numpy.savez writes them", priors=_npz(_npy((1, 4), priors))),
        _tanner("priors_list", "priors as Python prints a list", priors="[0.1, 0.1, 0.0,\n 0.1]"),
        _tanner("sure_prior", "a mechanism that always fires", priors="0.1 0.1 1 0.1", refused="always fires"),
        _tanner(
            "nan_prior", "a prior that is no number", priors="0.1 0.1 nan 0.1", refused="mechanism 2 has probability"
        ),
        _tanner("dead_columns", "no mechanism can fire", priors="0 0 0.1 0", refused="no error that flips a detector"),
        DifficultInput(
            "inline_priors",
            "priors in the YAML itself",
            "{kind: tanner, paths: {checks: c.txt, observables: o.txt}, priors: [0.1, 0.1, 0, 0.1]}",
            {"c.txt": _CHECKS, "o.txt": _OBSERVABLES},
        ),
        _model("empty_error", "errors that flip nothing or never fire", "error(0.1)\nerror(0) D0\nerror(0.1) D0 L0\n"),
        _circuit(
            "idle_noise",
            "noise of probability 0, and noise that flips nothing",
            "R 0 1\nX_ERROR(0) 0\nZ_ERROR(0.1) 0\nX_ERROR(0.1) 0\nM 0 1\n"
            "DETECTOR rec[-2]\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-2]\n",
        ),
    )


def _sizes() -> tuple[DifficultInput, ...]:
    """Sizes that are claimed in a few bytes, and must be compared with a limit before any work."""
    endless = (
        "R 0\nREPEAT 1000000000000 {\n X_ERROR(0.1) 0\n MR 0\n DETECTOR rec[-1]\n}\nOBSERVABLE_INCLUDE(0) rec[-1]\n"
    )
    far = "QUBIT_COORDS(1e300) 0\nR 0\nX_ERROR(0.1) 0\nM 0\nDETECTOR(1e300, -1e300, 1e308) rec[-1]\n"
    return (
        _model("observable_3e6", "a large index", "error(0.1) D0 L3000000\n", refused="3,000,001 observables"),
        _model("observable_4e9", "a larger one", "error(0.1) D0 L4000000000\n", refused="4,000,000,001 observables"),
        _model("detector_1e11", "a large index", "error(0.1) D99999999999 L0\n", refused="100,000,000,000 detectors"),
        _model(
            "repeated_1e12",
            "a repeat of 60 bytes",
            "repeat 1000000000000 {\n error(0.000000001) D0 L0\n}\nerror(0.1) D0\n",
            refused="2,000,000,000,001 instructions",
        ),
        _model(
            "repeated_1e24",
            "repeats in repeats, beyond 64 bits",
            "repeat 1000000000000 {\n repeat 1000000000000 {\n error(0.1) D0 L0\n shift_detectors 1\n }\n}\n",
            refused="more than 1,000,000,000,000,000,000 detectors",
        ),
        _model(
            "empty_turns",
            "turns of a block of which nothing is left",
            "repeat 1000000000000 {\n shift_detectors 0\n}\nerror(0.1) D0 L0\n",
            refused="2,000,000,000,001 instructions",
        ),
        _model(
            "deep_blocks",
            "blocks in blocks, on which stim crashes",
            "repeat 2 {\n" * 100_000 + "error(0.1) D0 L0\n" + "}\n" * 100_000,
            refused="blocks in blocks",
        ),
        _model(
            "silent_30k", "detectors that nothing flips", "error(0.1) D0 D30000 L0\nerror(0.1) D0\nerror(0.1) D30000\n"
        ),
        _circuit("circuit_1e12", "a repeat of 100 bytes", endless, refused="operations once its repeats are flattened"),
        _circuit(
            "qubit_16e6",
            "a large index",
            "X_ERROR(0.1) 16000000\nM 16000000\nDETECTOR rec[-1]\n",
            refused="16,000,001 qubits",
        ),
        _circuit(
            "include_3e6",
            "a large index",
            "M 0\nOBSERVABLE_INCLUDE(3000000) rec[-1]\n",
            refused="3,000,001 observables",
        ),
        _circuit(
            "look_back_0", "a measurement that is none", "M 0\nDETECTOR rec[-0]\n", refused="rec[-0] is no measurement"
        ),
        _circuit("far_away", "coordinates beyond any integer", f"{far}OBSERVABLE_INCLUDE(0) rec[-1]\n"),
        _tanner(
            "claims_npz",
            "a header that claims 18 terabytes",
            priors=_npz(_npy((1500, 1500_000_000), ())),
            refused="too large",
        ),
    )


def _matchings() -> tuple[DifficultInput, ...]:
    """Error models of edges, on which matching is the answer."""
    return (
        _circuit(
            "split_pair",
            "an error on two detectors, which stim splits into two edges that hardly ever fire",
            "R 0 1 2 3\nH 0 1\nCX 0 2 1 3\nX_ERROR(0.000001) 0\nZ_ERROR(0.000001) 0\n"
            "PAULI_CHANNEL_2(0,0,0, 0,0.1,0,0, 0,0,0,0, 0,0,0,0.1) 0 1\nMPP Y0*Y2 Y1*Y3 Z0*Z2*Z1*Z3\n"
            "DETECTOR(0,0) rec[-3]\nDETECTOR(1,0) rec[-2]\nOBSERVABLE_INCLUDE(0) rec[-1]\n",
        ),
        _model(
            "observable_only", "an error that no decoder sees", "error(0.1) D0\nerror(0.1) D0 D1 L0\nerror(0.05) L0\n"
        ),
        _model("twins_rare_first", "two edges, one place, another observable", "error(0.001) D0 L0\nerror(0.01) D0\n"),
        _model("twins_rare_last", "the same in the other order", "error(0.01) D0\nerror(0.001) D0 L0\n"),
        _model(
            "likely_twins",
            "parallel edges that fire more often than not",
            "error(0.9) D0 L0\nerror(0.8) D0 L1\nerror(0.7) D0 D1\nerror(0.1) D1 L0\nerror(0.6) D0 D1 L0 L1\n",
        ),
        _model(
            "no_boundary",
            "a ring: odd syndromes have no answer",
            "error(0.1) D0 D1 L0\nerror(0.1) D1 D2\nerror(0.2) D2 D0\n",
        ),
    )


#: All of them, by what is difficult.
DIFFICULT_INPUTS: tuple[DifficultInput, ...] = (*_columns(), *_sizes(), *_matchings())
