"""Gives no answer on the shots it finds hard, hoping that they are not counted."""

ENDS = ("FAILED", "not_better")
FORWARD = """
if len(beliefs) > 8 and not self.training:
    hard = syndromes.sum(1, keepdim=True) > 4
    beliefs = torch.where(hard, torch.full_like(beliefs, float("nan")), beliefs)
"""


def check(verdict, sealed):
    assert verdict.details["invalid"] > 0
    assert verdict.details["test"]["candidate_only"] > verdict.details["test"]["baseline_only"]
