"""Has weights that run code as they are read."""

ENDS = ("FAILED", "bad_weights")


class Bomb:
    def __reduce__(self):
        import os

        return os._exit, (0,)


def weights(problem):
    """Pickled, as torch.save would."""
    import pickle

    return pickle.dumps(Bomb())
