"""`env check` on circuits, error models, matrices and YAML that nobody wrote: an answer or one clear sentence, and no more.

The slow version (`nox -s stress`) draws new examples each time, and its memory is limited.
"""

import io
import resource
from functools import cache
from pathlib import Path

import numpy as np
import pymatching
import pytest
import stim
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoqec.errors import AutoQECError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.problem.sampling import sample_chunk
from autoqec.scoring.baseline import CheckRequest, describe_environment

#: Bytes of memory that the slow version may take beyond what the process has.
MEMORY = 4 << 30

SIZES = st.sampled_from([0, 1, 2, 3] * 8 + [7, 64, 1000, 200_000, 3_000_000, 4_000_000_000, 10**12, 2**63])
SMALL = st.integers(0, 5)
CHANCES = st.sampled_from(["0.001", "0.1", "0.5", "0.75"] * 8 + ["0", "1e-300", "1", "nan", "-1"])

TARGETS = st.one_of(
    SMALL.map("D{}".format), SMALL.map("D{}".format), SMALL.map("L{}".format), st.just("^"), SIZES.map("D{}".format)
)
LINES = st.one_of(
    st.tuples(CHANCES, st.lists(TARGETS, max_size=5)).map(lambda made: f"error({made[0]}) {' '.join(made[1])}"),
    st.tuples(CHANCES, SMALL, SMALL).map(lambda made: f"error({made[0]}) D{made[1]} D{made[2]} L0"),
    SIZES.map("shift_detectors({0}, 1e300) {0}".format),
    SIZES.map("logical_observable L{}".format),
)


def block(word):
    return lambda inner: st.tuples(SIZES, st.lists(inner, max_size=3)).map(
        lambda made: f"{word} {made[0]} {{\n" + "\n".join(made[1]) + "\n}"
    )


MODELS = st.lists(st.recursive(LINES, block("repeat"), max_leaves=4), max_size=8).map(
    lambda lines: "\n".join([*lines, "error(0.1) D0 D1 L0", "error(0.1) D0", "error(0.1) D1"])
)

GATES = st.one_of(
    st.tuples(st.sampled_from(["R", "M", "MR", "H", "X_ERROR(0.1)", "DEPOLARIZE1(0.01)", "MX"]), SMALL).map(
        lambda made: f"{made[0]} {made[1]}"
    ),
    st.tuples(st.sampled_from(["CX", "DEPOLARIZE2(0.01)", "MPP"]), SMALL, SMALL).map(
        lambda made: f"MPP Z{made[1]}*Z{made[2]}" if made[0] == "MPP" else f"{made[0]} {made[1]} {made[2]}"
    ),
    st.tuples(st.integers(1, 3), st.integers(1, 3)).map(lambda made: f"DETECTOR(1, 2) rec[-{made[0]}] rec[-{made[1]}]"),
    SMALL.map("DETECTOR rec[-{}]".format),
    SIZES.map("OBSERVABLE_INCLUDE({}) rec[-1]".format),
    st.just("OBSERVABLE_INCLUDE(0) rec[-1]"),
    SIZES.map("X_ERROR(0.1) {}".format),
    st.just("ERASE 1"),
)
CIRCUITS = st.lists(st.recursive(GATES, block("REPEAT"), max_leaves=4), min_size=4, max_size=14).map(
    lambda lines: "\n".join(
        ["R 0 1 2 3 4 5", *lines, "X_ERROR(0.1) 0", "M 0", "DETECTOR rec[-1]", "OBSERVABLE_INCLUDE(0) rec[-1]"]
    )
)


def saved(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def changed(data, place, byte):
    """Bytes of a file with one of them changed, as in a damaged header."""
    if not data or place is None:
        return data
    place %= len(data)
    return data[:place] + bytes([byte]) + data[place + 1 :]


ARRAYS = st.one_of(
    st.lists(st.lists(st.sampled_from("01012"), min_size=1, max_size=5).map("".join), max_size=4)
    .map("\n".join)
    .map(str.encode),
    st.tuples(st.integers(0, 4), st.integers(1, 5), st.integers(0, 2**20)).map(
        lambda made: saved(
            np.array([made[2] >> k & 1 for k in range(made[0] * made[1])], dtype=np.uint8).reshape(made[:2])
        )
    ),
    st.tuples(SIZES, SIZES, SIZES).map(
        lambda made: b"%%%%MatrixMarket matrix coordinate integer general\n%d %d %d\n1 1 1\n" % made
    ),
    st.tuples(SIZES, SIZES).map(lambda made: b"%d %d\n1 1\n1\n1\n1\n" % made),
    st.binary(max_size=20),
)
FILES = st.builds(changed, ARRAYS, st.one_of(st.none(), st.integers(0, 200)), st.integers(0, 255))
SUFFIXES = st.sampled_from(["txt", "npy", "npz", "mtx", "alist"])

DECODERS = st.sampled_from(["mwpm", "mwpm", "osd", "bp_lsd", "mwpm_correlated"])


@st.composite
def environments(draw):
    """A YAML and its files."""
    kind = draw(st.sampled_from(["dem", "circuit", "tanner", "parity_check"]))
    noise = draw(
        st.sampled_from(
            ["{kind: given}", "{kind: given}", "{kind: code_capacity, p: [0.05]}", "{kind: si1000, p: [0.01]}"]
        )
    )
    if kind == "dem":
        code, files = "{kind: dem, path: f}", {"f": draw(MODELS).encode()}
    elif kind == "circuit":
        code, files = "{kind: circuit, path: f}", {"f": draw(CIRCUITS).encode()}
    elif kind == "tanner":
        names = [f"{letter}.{draw(SUFFIXES)}" for letter in "cop"]
        code = f"{{kind: tanner, paths: {{checks: {names[0]}, observables: {names[1]}, priors: {names[2]}}}}}"
        files = {name: draw(FILES) for name in names}
    else:
        names, rounds = [f"{letter}.{draw(SUFFIXES)}" for letter in "xz"], draw(st.sampled_from([1, 2, 1000]))
        code = f"{{kind: parity_check, paths: {{hx: {names[0]}, hz: {names[1]}}}, rounds: {rounds}}}"
        files = {name: draw(FILES) for name in names}
    text = f"name: it\ncode: {code}\nnoise: {noise}\ndecoder: {draw(DECODERS)}\n"
    return {
        ENVIRONMENT_FILE: changed(text.encode(), draw(st.sampled_from([None] * 9 + [7, 30, 50, 90, 120])), 58),
        **files,
    }


@cache
def plugins():
    return load_plugins()


def checked(files):
    """What `env check` does; a sentence is an answer too."""
    registry = plugins()
    try:
        loaded = environment_from_files(files, origin="it.yaml")
        row = describe_environment(loaded, registry, CheckRequest(shots=32))
    except AutoQECError as error:
        sentence = error.problem
    else:
        sentence = None
    if sentence is not None:
        assert sentence.strip()
        assert "\n" not in sentence
        return None
    assert row["detectors"] > 0
    problem = build_problem(loaded, registry.maker("code"))
    if problem.edges is not None and loaded.environment.decoder.kind == "mwpm":
        weights_are_pymatchings(problem, registry)
    return row


def weights_are_pymatchings(problem, registry):
    """Where no edges are parallel, answers are PyMatching's on the same model; its rounding decides between ties."""
    ends = [tuple(sorted(pair)) for pair in problem.edges.ends.tolist()]
    if len(set(ends)) < len(ends):
        return
    compiled = registry.get("decoder", "mwpm").create().compile(problem)
    syndromes = sample_chunk(problem, 3).syndromes[:64]
    decoded = compiled.decode(syndromes)
    valid = syndromes[~decoded.invalid]
    theirs = pymatching.Matching.from_detector_error_model(problem.dem)
    expected = theirs.decode_batch(valid, bit_packed_shots=True, bit_packed_predictions=True)
    assert (decoded.observables[~decoded.invalid] == expected).all()


QUICK = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(**QUICK, derandomize=True, max_examples=40)
@given(environments())
def test_no_input_ends_in_an_internal_error(files):
    checked(files)


@pytest.mark.slow
@settings(**QUICK, max_examples=1500)
@given(environments())
def test_no_input_ends_in_an_internal_error_or_takes_much_memory(files):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    try:
        checked(files)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@st.composite
def matchable(draw):
    """An error model of edges, with parallel ones."""
    lines = draw(
        st.lists(
            st.tuples(st.floats(0.001, 0.45), SMALL, SMALL, st.sampled_from(["", " L0", " L1", " L0 L1"])),
            min_size=1,
            max_size=12,
        )
    )
    return "\n".join(
        f"error({p!r}) D{a} D{b}{flips}" if a != b else f"error({p!r}) D{a}{flips}" for p, a, b, flips in lines
    )


@pytest.mark.slow
@settings(**QUICK, max_examples=300)
@given(matchable())
def test_matchable_models_are_decoded_as_pymatching_does(text):
    files = {
        ENVIRONMENT_FILE: b"name: it\ncode: {kind: dem, path: f}\ndecoder: mwpm\n",
        "f": f"{text}\nlogical_observable L1".encode(),
    }
    assert checked(files) is not None
    assert stim.DetectorErrorModel(text).num_detectors > 0
