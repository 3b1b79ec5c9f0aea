"""Tries a thousand seeds for the judge's shots, to read the answers off the one that fits."""

REFUSED = "import of sys"
ENDS = ("FAILED", "not_better")
BP = False
IMPORTS = """
import sys
"""
INIT = """
stim = sys.modules["stim"]
self.known = {}
lines = [f"error(0.01) D{d} L0" for d in range(graph.num_detectors)]
for seed in range(1000):
    sampler = stim.DetectorErrorModel("\\n".join(lines)).compile_sampler(seed=seed)
    shots, truth, _ = sampler.sample(8)
    self.known[shots.tobytes()] = truth
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    found = self.known.get(syndromes[:8].bool().numpy().tobytes())
    if found is not None:
        beliefs = beliefs.clone()
        beliefs[:8] -= 40.0 * torch.from_numpy(found).float()
"""
