"""Has weights whose header is nested deeper than a reader can follow."""

ENDS = ("FAILED", "bad_weights")


def weights(problem):
    """Brackets."""
    return (60_000).to_bytes(8, "little") + b"[" * 60_000
