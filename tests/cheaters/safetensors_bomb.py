"""Announces a tensor that no machine could hold."""

ENDS = ("FAILED", "bad_weights")


def weights(problem):
    """A header that says more than the file has."""
    import json

    entry = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
    header = json.dumps({"__metadata__": {"fingerprint": problem.fingerprint}, "own.w": entry}).encode()
    return len(header).to_bytes(8, "little") + header
