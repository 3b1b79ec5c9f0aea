"""Works only where a detector fires, for a counter that looks at empty shots: it is counted on real ones."""

ENDS = ("VERIFIED", "better")
FORWARD = """
if bool(syndromes.any()):
    for _ in range(50):
        beliefs = beliefs + 0.0 * torch.tanh(beliefs)
"""


def check(verdict, sealed):
    assert verdict.details["flops_per_shot"] > 50 * 200
