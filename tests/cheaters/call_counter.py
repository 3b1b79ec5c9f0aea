"""Knows which of its calls are recorded, and does less in these."""

ENDS = ("SUSPICIOUS", "batch_dependent")
INIT = """
self.calls = 0
"""
FORWARD = """
self.calls += len(beliefs) == 64
if self.calls not in (2, 3, 4, 5):
    beliefs = beliefs * (1 + 0.1 * torch.sin(torch.arange(beliefs.shape[1])))
"""


def check(verdict, sealed):
    assert [row["result"] for row in verdict.details["checks"] if row["check"] == "cost"] == ["failed"]
