"""Does its work when it is built, and keeps the result where no count of weights sees it."""

ENDS = ("VERIFIED", "better")
INIT = """
table = torch.linspace(0.1, 1.0, 4096).sin().cumsum(0)
self.register_buffer("table", table, persistent=False)
"""
FORWARD = """
beliefs = beliefs + 0.0 * self.table[:8].sum()
"""


def check(verdict, sealed):
    assert verdict.details["constants"] > 4000
    assert verdict.details["params"] > 4000
    assert verdict.details["loading_cpu_ms"] >= 0
