"""Works only in the mode in which shots are scored, for a counter that runs in another."""

ENDS = ("VERIFIED", "better")
FORWARD = """
if torch.is_inference_mode_enabled():
    for _ in range(50):
        beliefs = beliefs + 0.0 * torch.tanh(beliefs)
"""


def check(verdict, sealed):
    assert verdict.details["flops_per_shot"] > 50 * 3 * 200
