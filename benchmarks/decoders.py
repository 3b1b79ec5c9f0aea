"""How often the classical decoders fail, all on the same shots: ours, other people's versions of them, and the references.

A decoder whose package is not installed is left out. Intervals are exact, 99 %. Times are of one thread and no more than a hint.
"""

from __future__ import annotations

from time import perf_counter

from _common import arguments, one_thread, show

one_thread()

import numpy as np  # noqa: E402

from autoqec.errors import AutoQECError  # noqa: E402
from autoqec.plugins import load_plugins  # noqa: E402
from autoqec.problem.code_contract import build_problem  # noqa: E402
from autoqec.problem.environment import builtin_environments, find_environment  # noqa: E402
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk  # noqa: E402
from autoqec.problem.streams import derive_seed  # noqa: E402
from autoqec.results.statistics import rate_interval  # noqa: E402

SEED = 20242

_MATCHING = "sinter:sinter._decoding._decoding_pymatching:PyMatchingDecoder"
_BPOSD = "sinter:stimbposd:SinterDecoder_BPOSD"

#: Environment → what decodes it: label, kind and fields.
WAYS = {
    "surface_d5_depol": [
        ("mwpm", "mwpm", {}),
        ("sinter's pymatching", _MATCHING, {}),
        ("mwpm_correlated", "mwpm_correlated", {}),
        ("sinter's pymatching-correlated", _MATCHING, {"use_correlated_decoding": True}),
        ("belief_matching", "belief_matching", {}),
        ("tesseract, beam 15", "tesseract", {}),
    ],
    "bb72_depol": [
        ("osd, OSD-0", "osd", {}),
        ("stimbposd, OSD-0", _BPOSD, {"osd_method": "osd_0", "osd_order": 0}),
        ("osd, OSD-CS10", "osd", {"method": "osd_cs", "order": 10}),
        ("stimbposd, OSD-CS10", _BPOSD, {"osd_method": "osd_cs", "osd_order": 10}),
        ("bp_lsd", "bp_lsd", {}),
        ("relay_bp, 5 solutions", "relay_bp", {}),
        ("tesseract, beam 15", "tesseract", {}),
    ],
}


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, shots=(6000, "shots"))
    registry = load_plugins()
    rows = []
    for name, ways in WAYS.items():
        problem = build_problem(find_environment(name, [builtin_environments()]), registry.maker("code"))
        count = -(-options.shots // CHUNK_SHOTS)
        chunks = [sample_chunk(problem, derive_seed(SEED.to_bytes(32, "big"), "decoders", i)) for i in range(count)]
        syndromes = np.concatenate([chunk.syndromes for chunk in chunks])[: options.shots]
        truth = np.concatenate([chunk.observables for chunk in chunks])[: options.shots]
        for label, kind, fields in ways:
            try:
                compiled = registry.get("decoder", kind).create(**fields).compile(problem)
                compiled.decode(syndromes[:2])
            except AutoQECError:
                continue
            begin = perf_counter()
            failures = int(compiled.decode(syndromes).failures(truth).sum())
            seconds = perf_counter() - begin
            low, high = rate_interval(failures, len(truth), alpha=0.01)
            rows.append(
                {
                    "environment": name,
                    "decoder": label,
                    "failures": failures,
                    "LER": failures / len(truth),
                    "at least": low,
                    "at most": high,
                    "µs per shot": seconds / len(truth) * 1e6,
                }
            )
    show("decoders", rows, {"shots": options.shots, "seed": SEED}, as_json=options.json)


if __name__ == "__main__":
    main()
