"""Ordered-statistics decoding: what ldpc says where ldpc can say it, the cheapest of what it searches, any error model."""

import dataclasses
import itertools
import pickle
from threading import Thread

import numpy as np
import pytest
import stim
from autoqec_plugins.osd import osd_decoder
from autoqec_plugins.osd.ldpc_propagation import LdpcPropagation
from autoqec_plugins.osd.lsd import BpLsd
from autoqec_plugins.osd.osd_config import OsdConfig, check_matrix
from autoqec_plugins.osd.osd_decoder import Osd
from autoqec_plugins.osd.shots import ByShot
from ldpc.bp_decoder import BpDecoder
from ldpc.bposd_decoder import BpOsdDecoder

from autoqec.decoding import ConfidentDecoder, Decoder, SharingDecoder, SolvingDecoder
from autoqec.decoding.flipping import syndromes_of_mechanisms
from autoqec.decoding.sum_product import SumProduct
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import builtin_environments, find_environment
from autoqec.problem.problem import problem_from_dem
from autoqec.problem.sampling import sample_chunk
from autoqec.testing import check_decoder

RING = "error(0.1) D0 D1\nerror(0.1) D1 D2\nerror(0.1) D2 D0 L0"


def hypergraph(seed, *, detectors=70, errors=260, observables=9, stray=0):
    """A random error model of errors on one to five detectors, which no matching can decode; `stray` detectors see none."""
    rng = np.random.default_rng(seed)
    lines = [f"error(0.01) D{d}" for d in range(0, detectors, 7)]
    for _ in range(errors):
        chosen = rng.choice(detectors, size=rng.integers(2, 6), replace=False)
        flipped = rng.choice(observables, size=rng.integers(0, 3), replace=False)
        targets = [f"D{d}" for d in sorted(chosen)] + [f"L{o}" for o in flipped]
        lines.append(f"error({rng.uniform(0.002, 0.03):.6f}) {' '.join(targets)}")
    lines.append(f"detector D{detectors + stray - 1}\nlogical_observable L{observables - 1}")
    return problem_from_dem(stim.DetectorErrorModel("\n".join(lines)), name=f"hypergraph{seed}")


@pytest.fixture(scope="module")
def problem():
    found = hypergraph(1)
    assert found.edges is None
    return found


def ldpc_says(problem, syndromes, method, order):
    """Shots on which ldpc's belief propagation did not converge: their posteriors, and what OSD made of them."""
    decoder = BpOsdDecoder(
        check_matrix(problem),
        error_channel=problem.mechanisms.priors.tolist(),
        max_iter=5,
        bp_method="product_sum",
        osd_method=method,
        osd_order=order,
    )
    bits = np.unpackbits(syndromes, axis=1, count=problem.num_detectors, bitorder="little")
    shots, posteriors, corrections = [], [], []
    for shot in np.flatnonzero(bits.any(axis=1)):
        correction = decoder.decode(bits[shot])
        if not decoder.converge and np.isfinite(decoder.log_prob_ratios).all():
            shots.append(shot)
            posteriors.append(decoder.log_prob_ratios)
            corrections.append(correction)
    return np.array(shots), np.array(posteriors, dtype=np.float32), np.array(corrections, dtype=bool)


@pytest.mark.parametrize(("method", "order"), [("osd_0", 0), ("osd_cs", 6), ("osd_e", 5)])
def test_it_says_what_ldpc_says_of_the_same_posteriors(problem, method, order):
    syndromes = sample_chunk(problem, 5).syndromes[:400]
    shots, posteriors, corrections = ldpc_says(problem, syndromes, method, order)
    assert len(shots) > 20
    _, fired = (
        Osd(method=method, order=order).compile(problem).order_and_solve(syndromes[shots], posteriors, corrections=True)
    )
    same = (fired == corrections).all(axis=1)
    if method == "osd_0":
        assert same.all()
        return
    # ldpc sums log(1 / p) where we sum log((1 - p) / p), so a near tie may fall the other way, and never to a costlier one.
    cost = problem.priors_llr.astype(np.float64)
    assert (fired[~same] @ cost <= corrections[~same] @ cost + 1e-9).all()
    assert same.mean() > 0.9


def explanations(problem, syndrome, belief, search, order):
    """All that is searched, by the textbook: eliminate with columns in order of belief, then set others by hand."""
    matrix = check_matrix(problem).toarray()
    ranked = np.argsort(belief, kind="stable")
    rows, pivots = np.concatenate([matrix[:, ranked], syndrome[:, None]], axis=1), []
    for column in range(len(ranked)):
        below = [row for row in range(len(pivots), len(rows)) if rows[row, column]]
        if below:
            rows[[len(pivots), below[0]]] = rows[[below[0], len(pivots)]]
            others = np.flatnonzero(rows[:, column])
            for row in others[others != len(pivots)]:
                rows[row] ^= rows[len(pivots)]
            pivots.append(column)
    assert not rows[len(pivots) :, -1].any()
    rest = [column for column in range(len(ranked)) if column not in pivots]
    sets = [()]
    if search == "osd_cs":
        sets += [(column,) for column in rest] + list(itertools.combinations(rest[:order], 2))
    if search == "osd_e":
        sets += [s for size in range(1, order + 1) for s in itertools.combinations(rest[:order], size)]
    for chosen in sets:
        answer = np.zeros(len(ranked), dtype=bool)
        answer[ranked[pivots]] = (rows[: len(pivots), -1] + rows[: len(pivots), list(chosen)].sum(axis=1)) % 2
        answer[ranked[list(chosen)]] = True
        yield answer


@pytest.mark.parametrize(("method", "order"), [("osd_0", 0), ("osd_cs", 4), ("osd_e", 4)])
@pytest.mark.parametrize("costs", ["priors", "beliefs"])
def test_it_finds_the_cheapest_of_what_the_textbook_searches(method, order, costs):
    problem = hypergraph(2, detectors=20, errors=60, observables=3)
    syndromes = sample_chunk(problem, 6).syndromes
    syndromes = syndromes[syndromes.any(axis=1)][:12]
    rng = np.random.default_rng(7)
    # Whole numbers tie, which the mechanism's number decides; none is negative, so no hard decision cuts it short.
    beliefs = rng.integers(0, 6, size=(len(syndromes), len(problem.mechanisms))).astype(np.float32)
    answer, fired = (
        Osd(method=method, order=order, costs=costs)
        .compile(problem)
        .order_and_solve(syndromes, beliefs, corrections=True)
    )
    bits = np.unpackbits(syndromes, axis=1, count=problem.num_detectors, bitorder="little")
    flips = np.unpackbits(problem.mechanisms.observables, axis=1, count=3, bitorder="little")
    for shot in range(len(syndromes)):
        price = (beliefs[shot] if costs == "beliefs" else problem.priors_llr).astype(np.float64)
        searched = list(explanations(problem, bits[shot], beliefs[shot], method, order))
        least = min(float(price[found].sum()) for found in searched)
        assert float(price[fired[shot]].sum()) == pytest.approx(least, abs=1e-9)
        assert any((fired[shot] == found).all() for found in searched)
        assert answer.observables[shot, 0] == np.packbits(fired[shot] @ flips % 2, bitorder="little")[0]
    assert not answer.invalid.any()


def test_beliefs_that_explain_the_syndrome_are_taken_at_their_word(problem):
    rng = np.random.default_rng(8)
    fired = rng.random((64, len(problem.mechanisms))) < 0.02
    bits = fired @ check_matrix(problem).toarray().T % 2
    flips = np.unpackbits(problem.mechanisms.observables, axis=1, count=problem.num_observables, bitorder="little")
    told = np.where(fired, -rng.random(fired.shape), rng.random(fired.shape)).astype(np.float32)
    for method, order in (("osd_0", 0), ("osd_cs", 4)):
        decoded = (
            Osd(method=method, order=order)
            .compile(problem)
            .decode(np.packbits(bits.astype(np.uint8), axis=1, bitorder="little"), told)
        )
        assert (decoded.observables == np.packbits(fired @ flips % 2, axis=1, bitorder="little")).all()


@pytest.mark.parametrize("decoder", [Osd(), BpLsd()], ids=["osd", "bp_lsd"])
def test_what_nothing_explains_is_invalid(decoder):
    problem = hypergraph(3, detectors=20, errors=40, observables=2, stray=3)
    syndromes = np.zeros((3, problem.syndrome_bytes), dtype=np.uint8)
    syndromes[0, 2] = 1 << 6  # detector 22, which no error touches
    syndromes[1] = sample_chunk(problem, 1).syndromes[0]
    compiled = decoder.compile(problem)
    beliefs = np.repeat(problem.priors_llr[None], 3, axis=0)
    for given in (None, beliefs):
        decoded = compiled.decode(syndromes, given)
        assert decoded.invalid.tolist() == [True, False, False]
        assert not decoded.observables[[0, 2]].any()


ENTRIES = [("osd", {}), ("osd", {"method": "osd_cs", "order": 5}), ("bp_lsd", {"bp_method": "minimum_sum"})]


@pytest.mark.parametrize(("kind", "fields"), ENTRIES)
def test_they_conform_without_edges(kind, fields, problem):
    entry = load_plugins().get("decoder", kind)
    assert entry.capabilities["takes_beliefs"]
    decoder = entry.create(**fields)
    assert isinstance(decoder, Decoder)
    check_decoder(decoder, problem)


@pytest.mark.parametrize("decoder", [Osd(), BpLsd()], ids=["osd", "bp_lsd"])
def test_an_odd_syndrome_of_a_ring_is_invalid(decoder):
    """Every detector has errors, and yet a sum of errors has an even number of detectors."""
    problem = problem_from_dem(stim.DetectorErrorModel(RING), name="ring")
    syndromes = np.array([[0b001], [0b011], [0b111], [0b110]], dtype=np.uint8)
    beliefs = np.full((4, 3), 2, dtype=np.float32)
    for given in (None, beliefs):
        assert decoder.compile(problem).decode(syndromes, given).invalid.tolist() == [True, False, True, False]


@pytest.mark.parametrize("decoder", [Osd(), BpLsd()], ids=["osd", "bp_lsd"])
def test_a_copy_in_another_process_answers_alike(decoder, problem):
    syndromes = sample_chunk(problem, 9).syndromes[:64]
    compiled = decoder.compile(problem)
    before = compiled.decode(syndromes).observables  # now it holds ldpc's object, which cannot be pickled
    assert (pickle.loads(pickle.dumps(compiled)).decode(syndromes).observables == before).all()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"order": 3}, "osd_0 has no order"),
        ({"method": "osd_e", "order": 16}, "1 to 15"),
        ({"method": "osd_9"}, "method: "),
        ({"bp_iterations": 0}, "bp_iterations: "),
        ({"bp_method": "magic"}, "bp_method: "),
        ({"speed": "high"}, "speed: "),
    ],
)
def test_bad_fields_are_named(fields, words):
    with pytest.raises(UsageError, match=words) as caught:
        load_plugins().get("decoder", "osd").create(**fields)
    assert "bp_iterations" in caught.value.hint


@pytest.mark.parametrize("decoder", [Osd(), BpLsd()], ids=["osd", "bp_lsd"])
def test_bad_arrays_are_refused(decoder, problem):
    compiled = decoder.compile(problem)
    syndromes = np.zeros((2, problem.syndrome_bytes), dtype=np.uint8)
    beliefs = np.zeros((2, len(problem.mechanisms)), dtype=np.float32)
    unknown = beliefs.copy()
    unknown[1, 4] = np.inf
    for given, told, words in [
        (syndromes.astype(np.int64), None, "must be a uint8 array, not int64"),
        (syndromes[:, :-1], None, r"must have shape \(shots, 9\)"),
        (syndromes[0], None, "must have shape"),
        (syndromes | 128, None, "a bit set after detector 69"),
        (syndromes, beliefs.astype(np.float64), "must be a float32 array, not float64"),
        (syndromes, beliefs[:1], "1 rows of beliefs for 2 syndromes"),
        (syndromes, beliefs[:, 1:], "must have shape"),
        (syndromes, beliefs.tolist(), "not list"),
        (syndromes, unknown, "not finite, first at shot 1, mechanism 4"),
    ]:
        with pytest.raises(UsageError, match=words):
            compiled.decode(given, told)
    # Out of range is no error: beliefs are clipped, and a log-likelihood ratio of 1e30 says no more than 50.
    assert not compiled.decode(syndromes, beliefs + np.float32(1e30)).invalid.any()


@pytest.mark.parametrize("decoder", [Osd(), BpLsd()], ids=["osd", "bp_lsd"])
def test_they_are_sure_where_belief_propagation_finds_the_answer_itself(decoder, problem):
    syndromes = sample_chunk(problem, 4).syndromes[:400]
    syndromes[0] = 0
    compiled = decoder.compile(problem)
    assert isinstance(compiled, ConfidentDecoder)
    assert compiled.confidence_kind == "converged"
    decoded, confidence = compiled.decode_with_confidence(syndromes)
    assert (decoded.observables == compiled.decode(syndromes).observables).all()
    alone = BpDecoder(
        check_matrix(problem), error_channel=problem.mechanisms.priors.tolist(), max_iter=30, bp_method="product_sum"
    )
    bits = np.unpackbits(syndromes, axis=1, count=problem.num_detectors, bitorder="little")
    columns = check_matrix(problem).toarray()
    explained = [((columns @ alone.decode(row)) % 2 == row).all() for row in bits]
    assert confidence.tolist() == [float(found) for found in explained]
    assert confidence[0] == 1
    assert 0 < confidence.mean() < 1


def test_what_nothing_explains_is_not_converged_and_nan_is_decoded_again():
    class Ldpc:
        converge = 1
        log_prob_ratios = np.array([3.0, np.nan, 3.0])

        def decode(self, bits):
            return np.array([1, 0, 0], dtype=np.uint8)

    compiled = BpLsd().compile(problem_from_dem(stim.DetectorErrorModel(RING), name="ring"))
    syndromes = np.array([[0b011], [0b001], [0b000]], dtype=np.uint8)
    compiled.__dict__["_static"] = Ldpc()
    decoded, confidence = compiled.decode_with_confidence(syndromes)
    assert decoded.invalid.tolist() == [False, True, False]
    assert confidence.tolist() == [*Osd().compile(compiled._problem).confidence(syndromes)[:1].tolist(), 0.0, 1.0]
    Ldpc.log_prob_ratios = np.array([3.0, np.inf, 3.0])
    assert compiled.confidence(syndromes).tolist() == [1.0, 0.0, 1.0]


def test_where_ldpc_says_nan_bounded_propagation_starts_again():
    class Ldpc:
        log_prob_ratios = np.array([-np.inf, np.nan, 3.0])

        def decode(self, bits):
            return np.array([1, 0, 0], dtype=np.uint8)

    ring = problem_from_dem(stim.DetectorErrorModel(RING), name="ring")
    propagation = LdpcPropagation(ring, OsdConfig(schedule="serial"))
    propagation._ldpc = Ldpc()
    syndromes = np.array([[0b011], [0b001]], dtype=np.uint8)
    found, bounded = (each.run(syndromes, beliefs=True) for each in (propagation, SumProduct(ring, 30)))
    for name in ("explained", "observables", "beliefs"):
        assert (getattr(found, name) == getattr(bounded, name)).all()
    assert propagation.not_a_number == 2
    Ldpc.log_prob_ratios = np.array([-np.inf, 3.0, 3.0])
    found = propagation.run(syndromes, beliefs=True)
    assert found.explained.tolist() == [True, False]
    assert found.beliefs.tolist() == [[-1e4, 3.0, 3.0]]


def ldpc_decodes(problem, syndromes, fields):
    """The answers of ldpc's BP+OSD with the same fields, where its propagation converged, and where it says NaN."""
    config = OsdConfig(**fields)
    decoder = BpOsdDecoder(**config.for_ldpc(problem), osd_method=config.method, osd_order=config.order)
    converged, broken = np.ones(len(syndromes), dtype=bool), np.zeros(len(syndromes), dtype=bool)

    def correct(shot, bits):
        correction = decoder.decode(bits)
        broken[shot] = np.isnan(decoder.log_prob_ratios).any()
        converged[shot] = decoder.converge and not broken[shot]
        return correction

    return ByShot(problem).decode(syndromes, correct), converged, broken


PROPAGATIONS = [
    {},
    {"bp_iterations": 3, "method": "osd_cs", "order": 6},
    {"bp_method": "minimum_sum", "ms_scaling_factor": 0.8},
    {"schedule": "serial", "bp_iterations": 4},
]


@pytest.mark.parametrize("fields", PROPAGATIONS)
def test_plain_answers_are_those_of_ldpc(fields, problem):
    syndromes = sample_chunk(problem, 12).syndromes[:400]
    decoded, confidence = Osd(**fields).compile(problem).decode_with_confidence(syndromes)
    theirs, converged, broken = ldpc_decodes(problem, syndromes, fields)
    assert not broken.any()
    assert 20 < converged.sum() < 380
    # Rounding can decide a near tie; the combination sweep sums other prices (above).
    assert (converged != (confidence > 0)).sum() <= 1
    other = (decoded.observables != theirs.observables).any(axis=1)
    assert other.sum() <= (8 if fields.get("method") == "osd_cs" else 2)
    assert not decoded.invalid.any()


@pytest.mark.parametrize("fields", [{}, {"bp_method": "minimum_sum"}])
def test_another_search_goes_on_where_the_propagation_ended(fields, problem, monkeypatch):
    syndromes = sample_chunk(problem, 13).syndromes[:300]
    syndromes[7] = 0
    plain = Osd(**fields).compile(problem)
    sweep = Osd(**fields, method="osd_cs", order=6, costs="beliefs").compile(problem)
    assert isinstance(plain, SharingDecoder)
    assert plain.same_where_sure(sweep)
    whole = sweep.decode(syndromes)
    for bytes_at_a_time in (1, 2**26):
        monkeypatch.setattr(osd_decoder, "_MOST_BYTES", bytes_at_a_time)
        decoded, confidence, left = plain.decode_and_share(syndromes)
        unsure = confidence == 0
        assert (decoded.observables == plain.decode(syndromes).observables).all()
        assert (confidence == plain.confidence(syndromes)).all()
        assert 0 < len(left) == unsure.sum()
        assert (sweep.decode_unsure(syndromes[unsure], left).observables == whole.observables[unsure]).all()
        assert (decoded.observables[~unsure] == whole.observables[~unsure]).all()


def test_messages_do_not_become_nan_where_those_of_ldpc_do():
    """Weight-4 errors of the gross code, which a decoder of distance 12 corrects, at a low rate of data errors alone."""
    found = find_environment("bb144_depol", [builtin_environments()])
    noise = found.environment.noise.model_copy(update={"kind": "code_capacity"})
    loaded = dataclasses.replace(found, environment=found.environment.model_copy(update={"noise": noise}))
    gross = build_problem(loaded, load_plugins().maker("code"), 0.001)
    rng = np.random.default_rng(20251)
    errors = [rng.choice(len(gross.mechanisms), 4, replace=False) for _ in range(1500)]
    columns, flips = syndromes_of_mechanisms(gross), gross.mechanisms.observables
    syndromes = np.array([np.bitwise_xor.reduce(columns[error]) for error in errors])
    truth = np.array([np.bitwise_xor.reduce(flips[error]) for error in errors])
    fields = {"method": "osd_cs", "order": 10}
    theirs, _, broken = ldpc_decodes(gross, syndromes, fields)
    ours = Osd(**fields).compile(gross).decode(syndromes).failures(truth)
    assert broken.sum() >= 5
    assert ours.sum() <= 2 < theirs.failures(truth).sum()


def test_threads_do_not_read_each_others_convergence():
    """Ldpc keeps what it says of its last shot, and training asks for confidences from several threads."""
    problem = problem_from_dem(stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.1) D1"), name="x")
    shots, other = ByShot(problem), []
    fired = np.array([[1]], dtype=np.uint8), np.array([[2]], dtype=np.uint8)

    class Ldpc:
        log_prob_ratios = np.zeros(2)

        def decode(self, bits):
            self.converge = bool(bits[0])
            if bits[0]:
                other.append(Thread(target=shots.decode_with_convergence, args=(fired[1], self)))
                other[0].start()
                other[0].join(timeout=0.2)  # it waits until this shot is done; if it did not, it would be done before
            return bits

    assert shots.decode_with_convergence(fired[0], Ldpc())[1] == 1.0
    other[0].join()


def test_threads_do_not_read_each_others_beliefs():
    problem = problem_from_dem(stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.1) D1"), name="x")
    propagation, other = LdpcPropagation(problem, OsdConfig(schedule="serial")), []
    fired = np.array([[1]], dtype=np.uint8), np.array([[2]], dtype=np.uint8)

    class Ldpc:
        def decode(self, bits):
            self.log_prob_ratios = np.array([0.0, np.nan if bits[1] else 0.0])
            if bits[0]:
                other.append(Thread(target=propagation.run, args=(fired[1],)))
                other[0].start()
                other[0].join(timeout=0.2)  # it waits until this shot is done; if it did not, it would be done before
            return bits

    propagation._ldpc = Ldpc()
    assert propagation.run(fired[0]).explained.tolist() == [True]
    other[0].join()


@pytest.mark.parametrize("fields", [{}, {"method": "osd_cs", "order": 3}])
def test_explanations_are_those_of_a_wide_sweep_whatever_the_fields(problem, fields):
    assert load_plugins().get("decoder", "osd").capabilities["explains"] is True
    decoder, syndromes = Osd(**fields).compile(problem), sample_chunk(problem, 8).syndromes[:60]
    assert isinstance(decoder, SolvingDecoder)
    beliefs = np.repeat(problem.priors_llr[None], 60, axis=0) + np.random.default_rng(1).normal(size=(60, 1)).astype(
        np.float32
    )
    fired, solved = decoder.explain(syndromes, beliefs)
    wide = Osd(method="osd_cs", order=10).compile(problem)
    expected, mechanisms = wide.order_and_solve(syndromes, beliefs, corrections=True)
    assert (fired == mechanisms).all()
    assert (solved == ~expected.invalid).all()
    for row, each in zip(syndromes, fired, strict=True):
        assert (np.bitwise_xor.reduce(syndromes_of_mechanisms(problem)[each], axis=0, initial=0) == row).all()
    with pytest.raises(UsageError, match="not finite"):
        decoder.explain(syndromes, np.full_like(beliefs, np.nan))
