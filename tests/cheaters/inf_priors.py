"""Answers with infinities, on which matching finds no solution, past the worker that would have cut them."""

REFUSED = "import of sys"
ENDS = ("FAILED", "not_better")
IMPORTS = """
import sys
"""
INIT = """
worker = sys.modules["autoqec.runner.worker"]
Message = worker.Message

def forged(fields, blobs=None):
    if "beliefs" not in (blobs or {}):
        return Message(fields, blobs or {})
    infinite = float("inf") * torch.ones(sum(map(len, (blobs or {}).values())) // 4)
    return Message(fields, {name: infinite.numpy().tobytes() for name in blobs or {}})

worker.Message = forged
"""


def check(verdict, sealed):
    assert verdict.details["invalid"] == verdict.details["test"]["shots"]
