"""Knows some shots by heart and hopes to see them again."""

ENDS = ("FAILED", "not_better")
BP = False
INIT = """
self.register_buffer("seen", torch.eye(graph.num_detectors)[:8], persistent=False)
"""
FORWARD = """
known = (syndromes.unsqueeze(1) == self.seen).all(2).any(1, keepdim=True)
beliefs = torch.where(known, beliefs - 5.0, beliefs)
"""
