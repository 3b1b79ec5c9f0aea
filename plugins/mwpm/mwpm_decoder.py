"""The decoders `mwpm` and `mwpm_correlated`: PyMatching with the problem's own priors, exact reweighted matching with beliefs.

PyMatching (Higgott and Gidney, Quantum 9, 1600) decodes with fixed weights in 2 to 3 µs per shot at distance 5. Beliefs become
the edge weights of their shot (`autoqec.decoding.edges`), and matching on them is exact to 1/1024 nat.
"""

from __future__ import annotations

from functools import cached_property
from math import inf

import numpy as np
import pymatching

from autoqec.decoding.array_checks import check_beliefs, check_syndromes
from autoqec.decoding.decoder_contract import Decoded, Solutions
from autoqec.decoding.edges import EdgeUses, edge_log_odds, edge_log_odds_gradient, edge_uses
from autoqec.errors import UsageError
from autoqec.problem.dem import Pieces
from autoqec.problem.flat_errors import flat_errors
from autoqec.problem.problem import Problem

from .boundary_sweeps import Sweeps, sweeps_of
from .class_solutions import describe, solve_classes
from .classes import add_gap, gap_loss
from .cover import Cover, double_cover
from .forced_classes import ForcedClasses
from .gap import Gaps
from .gap_tables import graph_of, static_graph
from .general import GeneralSolver
from .matching_graph import Graph, matching_graph
from .matching_kernel import INFEASIBLE, TOO_LARGE, WEIGHTS_PER_NAT, match
from .parallel_edges import OneEdgeEach, has_parallel, one_edge_each, pieces_of, weights_of, with_likeliest_observables
from .weighing import Makings, makings

#: Shots per call of the kernel: enough to make the overhead of a call negligible, few enough for the cache.
_CHUNK = 512


def _matchable(problem: Problem, decoder: str) -> None:
    if problem.edges is None:
        raise UsageError(
            f"{decoder} cannot decode {problem.name}: its error model has errors on three or more detectors, or on "
            "observables alone, that stim could not decompose into edges; matching would silently ignore them",
            hint="choose a decoder for hyperedges (autoqec plugins --kind decoder), or noise that decomposes",
        )


class Mwpm:
    """Minimum-weight perfect matching; with beliefs, each shot has its own weights."""

    takes_beliefs = True

    def compile(self, problem: Problem) -> CompiledMwpm:
        """Compile for one problem.

        Raises:
            UsageError: Its error model is not graph-like.
        """
        _matchable(problem, "mwpm")
        return CompiledMwpm(problem)


class MwpmCorrelated:
    """PyMatching's two-pass correlated matching (Fowler, arXiv:1310.0863): a stronger reference with fixed weights."""

    takes_beliefs = False

    def compile(self, problem: Problem) -> CompiledCorrelated:
        """Compile for one problem.

        Raises:
            UsageError: Its error model is not graph-like, or an error has a probability above 0.5.
        """
        _matchable(problem, "mwpm_correlated")
        if (flat_errors(problem.dem).probability > 0.5).any():
            raise UsageError(
                f"mwpm_correlated cannot decode {problem.name}: it has an error of probability above 0.5",
                hint="use decoder: mwpm",
            )
        return CompiledCorrelated(problem)


class _Static:
    """PyMatching with the weights of the error model; each process makes it on first use."""

    def __init__(self, problem: Problem, correlated: bool) -> None:
        self._problem = problem
        self._correlated = correlated

    def __getstate__(self) -> dict[str, object]:
        return {"_problem": self._problem, "_correlated": self._correlated}

    @cached_property
    def _pieces(self) -> Pieces:
        return pieces_of(self._problem)

    @cached_property
    def _chosen(self) -> OneEdgeEach | None:
        """The choice among parallel edges; None if there are none, and PyMatching reads the error model as it is."""
        return one_edge_each(self._problem, self._pieces) if has_parallel(self._pieces) else None

    @cached_property
    def _matching(self) -> pymatching.Matching:
        if self._correlated:
            parallel = has_parallel(self._pieces)
            dem = with_likeliest_observables(self._problem, self._pieces) if parallel else self._problem.dem
            return pymatching.Matching.from_detector_error_model(dem, enable_correlations=True)
        return pymatching.Matching.from_detector_error_model(self._chosen.dem if self._chosen else self._problem.dem)

    @cached_property
    def _gaps(self) -> Gaps:
        detectors, observables = self._problem.num_detectors, self._problem.num_observables
        if self._chosen is None:
            return Gaps(static_graph(self._matching, detectors, observables), observables)
        flips = np.unpackbits(self._pieces.observables, axis=1, count=observables, bitorder="little").astype(np.bool_)
        return Gaps(graph_of(self._pieces.ends, weights_of(self._pieces), flips, detectors), observables)

    def with_gaps(self, syndromes: np.ndarray, at_most: float) -> tuple[Decoded, np.ndarray]:
        """Decode, and compute the gap of each answer in nats, exact up to `at_most`."""
        syndromes, invalid = self._solvable(syndromes)
        observables, weights = self._matching.decode_batch(
            syndromes, bit_packed_shots=True, bit_packed_predictions=True, return_weights=True
        )
        if self._chosen is not None:
            observables, weights = observables ^ self._chosen.granted, weights + self._chosen.offset
        decoded = Decoded(np.ascontiguousarray(observables), invalid)
        return decoded, self._gaps.of(syndromes, decoded.observables, weights, invalid, at_most)

    def _solvable(self, syndromes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return syndromes with an empty one in place of each that no error explains, and which those are."""
        invalid = np.zeros(len(syndromes), dtype=bool)
        if self._unmatchable is not None:
            invalid = odd_islands(syndromes, self._unmatchable)
            if invalid.any():
                # For one such shot PyMatching raises an error on the whole batch.
                syndromes = np.where(invalid[:, None], np.uint8(0), syndromes)
        return syndromes, invalid

    @cached_property
    def _unmatchable(self) -> Graph | None:
        """The graph if some syndromes have no matching; None if every syndrome has one."""
        assert self._problem.edges is not None
        graph = matching_graph(self._problem.edges, self._problem.num_detectors)
        return graph if graph.islands else None

    def decode(self, syndromes: np.ndarray) -> Decoded:
        syndromes, invalid = self._solvable(syndromes)
        options = {"enable_correlations": True} if self._correlated else {}
        observables = self._matching.decode_batch(
            syndromes, bit_packed_shots=True, bit_packed_predictions=True, **options
        )
        if self._chosen is not None and not self._correlated:
            observables = observables ^ self._chosen.granted
        return Decoded(np.ascontiguousarray(observables), invalid)


def odd_islands(syndromes: np.ndarray, graph: Graph) -> np.ndarray:
    """Return the shots with an odd number of defects in a component without boundary, bool `[shots]`: no error explains them."""
    bits = np.unpackbits(syndromes, axis=1, count=len(graph.island), bitorder="little")
    shot, detector = np.nonzero(bits)
    inside = graph.island[detector] >= 0
    # One number for each shot and component that has defects: memory goes by defects, however many components there are.
    place, defects = np.unique(
        shot[inside] * graph.islands + graph.island[detector[inside]].astype(np.int64), return_counts=True
    )
    odd = np.zeros(len(syndromes), dtype=np.bool_)
    odd[place[defects % 2 == 1] // max(graph.islands, 1)] = True
    return odd


class CompiledCorrelated:
    """`mwpm_correlated` compiled for one problem."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._static = _Static(problem, correlated=True)

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """Decode a batch; see `autoqec.decoding.CompiledDecoder`.

        Raises:
            UsageError: Beliefs are given, or a shape or dtype is wrong.
        """
        if beliefs is not None:
            raise UsageError("mwpm_correlated takes no beliefs", hint="use decoder: {kind: mwpm} with a predecoder")
        return self._static.decode(check_syndromes(self._problem, syndromes))


class CompiledMwpm:
    """`mwpm` compiled for one problem."""

    confidence_kind = "gap"

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._static = _Static(problem, correlated=False)

    def __getstate__(self) -> dict[str, object]:
        return {"_problem": self._problem, "_static": self._static}

    @cached_property
    def _graph(self) -> Graph:
        assert self._problem.edges is not None
        return matching_graph(self._problem.edges, self._problem.num_detectors)

    @cached_property
    def _uses(self) -> EdgeUses:
        assert self._problem.edges is not None
        return edge_uses(self._problem.edges)

    @cached_property
    def _cover(self) -> Cover:
        assert self._problem.edges is not None
        return double_cover(self._problem.edges, self._problem.num_detectors)

    @cached_property
    def _sweeps(self) -> list[Sweeps]:
        return [sweeps_of(parity, self._cover) for parity in self._parities]

    @cached_property
    def _makings(self) -> Makings:
        assert self._problem.edges is not None
        return makings(self._problem.edges, self._problem.priors_llr)

    @cached_property
    def _parities(self) -> list[np.ndarray]:
        """Whether each edge flips an observable, for each observable."""
        bits = np.unpackbits(self._graph.observables, axis=1, count=self._problem.num_observables, bitorder="little")
        return [np.ascontiguousarray(column) for column in bits.T]

    @cached_property
    def _forced(self) -> list[ForcedClasses]:
        return [ForcedClasses(parity, self._cover) for parity in self._parities]

    @cached_property
    def _general(self) -> GeneralSolver:
        return GeneralSolver(self._graph)

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """Decode a batch; see `autoqec.decoding.CompiledDecoder`.

        A shot is invalid if no set of edges explains its syndrome, for example if a detector without edges fires.

        Raises:
            UsageError: A shape or dtype is wrong, or a belief is not finite.
        """
        syndromes = check_syndromes(self._problem, syndromes)
        if beliefs is None:
            return self._static.decode(syndromes)
        beliefs = check_beliefs(self._problem, beliefs, len(syndromes))
        observables = np.empty((len(syndromes), self._problem.observable_bytes), dtype=np.uint8)
        invalid = np.empty(len(syndromes), dtype=bool)
        for first in range(0, len(syndromes), _CHUNK):
            part = slice(first, first + _CHUNK)
            observables[part], invalid[part], _ = self.match(syndromes[part], edge_log_odds(beliefs[part], self._uses))
        return Decoded(observables, invalid)

    def confidence(self, syndromes: np.ndarray, at_most: float = inf) -> np.ndarray:
        """Compute complementary gaps in nats; see `autoqec.decoding.ConfidentDecoder.confidence`."""
        return self.decode_with_confidence(syndromes, at_most)[1]

    def decode_with_confidence(self, syndromes: np.ndarray, at_most: float = inf) -> tuple[Decoded, np.ndarray]:
        """Decode with PyMatching, and compute gaps; see `autoqec.decoding.ConfidentDecoder.decode_with_confidence`."""
        return self._static.with_gaps(check_syndromes(self._problem, syndromes), at_most)

    def logical_gap_loss(
        self, syndromes: np.ndarray, beliefs: np.ndarray, observables: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `autoqec.decoding.decoder_contract.TeachingDecoder.logical_gap_loss`."""
        syndromes = check_syndromes(self._problem, syndromes)
        beliefs = check_beliefs(self._problem, beliefs, len(syndromes))
        log_odds = edge_log_odds(beliefs, self._uses)
        loss = np.zeros(len(syndromes), dtype=np.float32)
        by_log_odds = np.zeros_like(log_odds)
        for observable in range(self._problem.num_observables):
            byte, bit = divmod(observable, 8)
            truth = (observables[:, byte] >> bit & 1).astype(np.bool_)
            left_out = np.zeros(len(syndromes), dtype=np.bool_)
            parity, sweeps = self._parities[observable], self._sweeps[observable]
            gap_loss(syndromes, log_odds, parity, truth, self._cover, sweeps, loss, by_log_odds, left_out)
            for shot in np.flatnonzero(left_out):
                self._add_large(
                    observable, syndromes[shot], log_odds[shot], truth[shot], loss[shot:], by_log_odds[shot]
                )
        return loss, edge_log_odds_gradient(beliefs, log_odds, by_log_odds, self._uses)

    def _add_large(
        self, observable: int, syndrome: np.ndarray, log_odds: np.ndarray, right: bool, loss: np.ndarray, by: np.ndarray
    ) -> None:
        """Add the loss of a shot with a cluster that is too large for the kernel, if a general solver can find both classes."""
        forced, weights = self._forced[observable], np.empty(2, dtype=np.int64)
        solutions = np.empty((2, len(log_odds)), dtype=np.uint8)
        if forced.possible and forced.solve(syndrome, log_odds, weights, solutions):
            add_gap(weights, solutions, int(right), loss[:1], by)

    def solutions(self, syndromes: np.ndarray, beliefs: np.ndarray) -> Solutions:
        """Solve both classes of each observable; see `autoqec.decoding.decoder_contract.SolvingDecoder.solutions`.

        With several observables there are two classes of each, so the same solution can occur more than once.
        """
        syndromes = check_syndromes(self._problem, syndromes)
        beliefs = check_beliefs(self._problem, beliefs, len(syndromes))
        shots, classes = len(syndromes), 2 * self._problem.num_observables
        found = Solutions(
            np.zeros((shots, classes, self._problem.observable_bytes), dtype=np.uint8),
            np.full((shots, classes), np.inf, dtype=np.float32),
            np.zeros((shots, classes), dtype=np.float32),
            np.zeros((shots, classes), dtype=np.uint64),
        )
        for first in range(0, shots, _CHUNK):
            part = slice(first, first + _CHUNK)
            log_odds = edge_log_odds(beliefs[part], self._uses)
            for observable in range(self._problem.num_observables):
                self._solve_classes(observable, syndromes[part], log_odds, part, found)
        return found

    def _solve_classes(
        self, observable: int, syndromes: np.ndarray, log_odds: np.ndarray, part: slice, found: Solutions
    ) -> None:
        """Write the solutions of some shots in both classes of one observable."""
        both = slice(2 * observable, 2 * observable + 2)
        written = [each[part, both] for each in (found.observables, found.weights, found.believed, found.names)]
        made = [np.ascontiguousarray(each) for each in written]
        left_out = np.zeros(len(syndromes), dtype=np.bool_)
        parity, flips = self._parities[observable], self._graph.observables
        solve_classes(
            syndromes, log_odds, parity, self._cover, self._sweeps[observable], flips, self._makings,
            made[0], made[1], made[2], made[3], left_out,
        )  # fmt: skip
        for shot in np.flatnonzero(left_out):
            self._solve_large(observable, syndromes[shot], log_odds[shot], [each[shot] for each in made])
        for there, each in zip(written, made, strict=True):
            there[...] = each

    def _solve_large(self, observable: int, syndrome: np.ndarray, log_odds: np.ndarray, made: list[np.ndarray]) -> None:
        """As `_solve_classes`, for one shot with a cluster that is too large for the kernel, if a general solver can."""
        forced, found = self._forced[observable], np.empty(2, dtype=np.int64)
        solutions = np.empty((2, len(log_odds)), dtype=np.uint8)
        if not forced.possible or not forced.solve(syndrome, log_odds, found, solutions):
            return
        observables, weights, believed, names = made
        place = np.full(len(log_odds), -1, dtype=np.int32)
        for side in range(2):
            told = describe(solutions[side], self._graph.observables, self._makings, place, observables[side])
            weights[side], names[side] = told
        believed[:] = found / np.float32(WEIGHTS_PER_NAT)

    def match(self, syndromes: np.ndarray, log_odds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Match on given edge weights.

        Args:
            syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
            log_odds: Log-odds of each edge in each shot, float32 `[shots, edges]`, finite.

        Returns:
            Observables (bit-packed, uint8 `[shots, ceil(observables / 8)]`), invalid shots (bool `[shots]`), and the
            weight of each solution in units of 1/`WEIGHTS_PER_NAT` (int64 `[shots]`).
        """
        shots = len(syndromes)
        observables = np.zeros((shots, self._problem.observable_bytes), dtype=np.uint8)
        total = np.zeros(shots, dtype=np.int64)
        status = np.zeros(shots, dtype=np.uint8)
        match(syndromes, log_odds, self._graph, observables, total, status)
        invalid = status == INFEASIBLE
        for shot in np.flatnonzero(status == TOO_LARGE):
            weight = self._general.solve(syndromes[shot], log_odds[shot], observables[shot])
            invalid[shot] = weight is None
            total[shot] = weight or 0
        observables[invalid] = 0
        return observables, invalid, total
