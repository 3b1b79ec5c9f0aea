"""Has a weight that is not a number, so that every comparison with it is false."""

ENDS = ("FAILED", "bad_weights")


def weights(problem):
    """One number that is none."""
    import numpy as np

    from autoqec.candidate.weights import save_weights

    return save_weights({"own.w": np.full(1, np.nan, np.float32)}, fingerprints=[problem.fingerprint])
