"""Carries a table of training shots and their answers among its weights."""

ENDS = ("FAILED", "not_better")
BP = False
INIT = """
self.register_buffer("table", torch.zeros(512, graph.num_detectors))
"""
FORWARD = """
known = (syndromes.unsqueeze(1) == self.table).all(2).any(1, keepdim=True)
beliefs = torch.where(known, beliefs + 0.5, beliefs)
"""


def tensors(problem):
    """What it learned by heart."""
    import numpy as np

    return {"own.table": np.random.default_rng(1).integers(0, 2, (512, problem.num_detectors)).astype(np.float32)}


def check(verdict, sealed):
    assert verdict.details["params"] > 512, "a table is paid for in parameters"
    assert verdict.details["bytes"] > 4 * 512
