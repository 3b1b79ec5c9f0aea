"""Most likely error of at most two mechanisms, by table: good for small codes, and short enough to read in a minute."""

from itertools import combinations

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
        flips = self.problem.mechanisms.observables
        observables = np.zeros((len(syndromes), self.problem.observable_bytes), dtype=np.uint8)
        invalid = np.zeros(len(syndromes), dtype=bool)
        for shot, syndrome in enumerate(syndromes):
            weights = self.problem.priors_llr if beliefs is None else beliefs[shot]
            errors = self.table.get(syndrome.tobytes())
            if errors is None:
                invalid[shot] = True
                continue
            best = min(errors, key=lambda error: float(sum(weights[m] for m in error)))
            for mechanism in best:
                observables[shot] ^= flips[mechanism]
        return Decoded(observables, invalid)
