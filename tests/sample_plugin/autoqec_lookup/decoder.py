"""Most likely error of at most two mechanisms, by table: good for small codes, and short enough to read in a minute."""

from itertools import combinations
from math import inf

import numpy as np

from autoqec.decoding import Decoded
from autoqec.errors import UsageError

MAX_MECHANISMS = 500


class LookupDecoder:
    """See the module."""

    takes_beliefs = True

    def compile(self, problem):
        """Tabulate every error of weight at most two by its syndrome."""
        if len(problem.mechanisms) > MAX_MECHANISMS:
            raise UsageError(
                f"lookup tabulates at most {MAX_MECHANISMS} mechanisms, {problem.name} has {len(problem.mechanisms)}"
            )
        return _Compiled(problem)


class _Compiled:
    confidence_kind = "tabulated"

    def __init__(self, problem):
        self.problem = problem
        mechanisms = problem.mechanisms
        bits = np.zeros((len(mechanisms), problem.num_detectors), dtype=np.uint8)
        for m in range(len(mechanisms)):
            bits[m, mechanisms.detector[mechanisms.start[m] : mechanisms.start[m + 1]]] = 1
        syndromes = np.packbits(bits, axis=1, bitorder="little")
        self.table = {bytes(problem.syndrome_bytes): [()]}
        for size in (1, 2):
            for error in combinations(range(len(mechanisms)), size):
                key = np.bitwise_xor.reduce(syndromes[list(error)], axis=0).tobytes()
                self.table.setdefault(key, []).append(error)

    def decode(self, syndromes, beliefs=None):
        """The lightest tabulated error of each syndrome; a syndrome that is not in the table has no valid answer."""
        return self._look_up(syndromes, beliefs)[0]

    def confidence(self, syndromes, at_most=inf):
        """How much heavier, in nats, the lightest tabulated error with other flips is than the answer."""
        return self._look_up(syndromes, None)[1]

    def decode_with_confidence(self, syndromes, at_most=inf):
        """Both."""
        return self._look_up(syndromes, None)

    def _look_up(self, syndromes, beliefs):
        observables = np.zeros((len(syndromes), self.problem.observable_bytes), dtype=np.uint8)
        invalid = np.zeros(len(syndromes), dtype=bool)
        confidence = np.zeros(len(syndromes), dtype=np.float32)
        for shot, syndrome in enumerate(syndromes):
            weights = self.problem.priors_llr if beliefs is None else beliefs[shot]
            errors = self.table.get(syndrome.tobytes())
            if errors is None:
                invalid[shot] = True
                continue
            lightest = {}
            for error in errors:
                flips = np.bitwise_xor.reduce(self.problem.mechanisms.observables[list(error)], axis=0, initial=0)
                weight = float(sum(weights[m] for m in error))
                lightest[flips.tobytes()] = min(weight, lightest.get(flips.tobytes(), inf))
            best, *others = sorted(lightest, key=lightest.get)
            observables[shot] = np.frombuffer(best, dtype=np.uint8)
            confidence[shot] = lightest[others[0]] - lightest[best] if others else inf
        return Decoded(observables, invalid), confidence
