"""How the judge cuts shots into batches: by chance, and by one rule for everything that a candidate is asked.

A candidate that knew from the size of a batch whether it is scored, checked or asked again could answer accordingly.
"""

from __future__ import annotations

from itertools import pairwise
from math import log2

import numpy as np

from autoqec.problem.sampling import CHUNK_SHOTS

#: Small batches in each chunk, besides the rest of it.
_SMALL = 2

#: Their largest size, as a part of the chunk.
_LARGEST = 1 / 4


def batches(sent: np.ndarray, seed: int) -> list[slice]:
    """Cut the shots that a candidate is sent, a chunk at a time, into two batches of random sizes and the rest, in random order.

    Args:
        sent: Which shots of all it is sent, bool `[shots]`; those are cut in their order. A chunk is so many of all shots, so
            that behind a gate, too, the sizes do not tell how many shots were asked about at once.
        seed: Of the sizes, which differ by orders of magnitude.
    """
    rng = np.random.default_rng([seed, 1])
    sizes: list[int] = []
    for first in range(0, len(sent), CHUNK_SHOTS):
        chunk = int(sent[first : first + CHUNK_SHOTS].sum())
        most = log2(max(1.0, chunk * _LARGEST))
        small = [int(size) for size in 2.0 ** rng.uniform(0.0, most, _SMALL)] if chunk > _SMALL + 1 else []
        sizes += [int(size) for size in rng.permutation([*small, chunk - sum(small)])]
    ends = np.cumsum([0, *sizes]).tolist()
    return [slice(begin, end) for begin, end in pairwise(ends) if begin < end]
