"""Brings weights that were trained for another problem."""

ENDS = ("FAILED", "bad_weights")


def weights(problem):
    """Of a problem that is not this one."""
    import numpy as np

    from autoqec.candidate.weights import save_weights

    return save_weights({"own.w": np.zeros(1, np.float32)}, fingerprints=["0" * 64])
