"""What the kernels of exact matching share: records of each detector, defect and pair of defects, and compiler options.

One array of records is one argument of a kernel, and what is read together lies together.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: A detector, for the searches. `rank` is its place among the defects, -1 for none; `to_boundary` its distance to the boundary,
#: on which `exit_slot` is the first slot; `distance` is from the defect of a search, which reached it by the slot `arrival`.
#: Between searches every `distance` is `FAR`, and between shots every `rank` is -1.
VERTEX = np.dtype(
    [
        ("to_boundary", np.int64),
        ("distance", np.int64),
        ("exit_slot", np.int32),
        ("arrival", np.int32),
        ("rank", np.int32),
        ("_", np.int32),
    ]
)

#: A detector to be matched. `leader` leads to the lowest of its cluster, whose `size` is the cluster's; `place` is where it is
#: among the members of the cluster.
DEFECT = np.dtype([("detector", np.int32), ("leader", np.int32), ("size", np.int32), ("place", np.int32)])

#: Two defects worth matching, the lower first.
PAIR = np.dtype([("distance", np.int64), ("first", np.int32), ("second", np.int32)])

#: The compiler options of the pieces of a kernel. They are inlined: a call would count the references to every array, twice,
#: which costs as much as a small search. For the same reason no piece breaks out of a loop or raises: it can be pruned then.
piece = njit(cache=True, nogil=True, forceinline=True)
