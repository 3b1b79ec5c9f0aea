"""Rounds, a sweep and a comparison to print, with names and figures as long as they get."""

from autoqec.results.decoder_comparison import (
    ComparedDecoder,
    ComparedPart,
    ComparedShots,
    ComparedSource,
    Comparison,
    DecodingTime,
    Failed,
    Spread,
)
from autoqec.results.piece_rates import shot_rate
from autoqec.results.sweep_records import LeftOut, Place, Sweep, SweepPoint
from autoqec.testing import figures
from autoqec.views.round_json import RoundRow

FIGURES = figures()


def item(number, **changes):
    base = {
        "run": "surface-d5-depol-iyfh", "round": number, "branch": "b", "commit": "c" * 40, "env": "surface_d5_depol",
        "env_id": "0" * 64,
        "status": "ok", "reason": None, "verdict": "VERIFIED", "metrics": FIGURES, "references": {}, "holdout": FIGURES,
        "hypothesis": "words " * 30, "fork_from": [], "compose": "none", "dominates": [], "confirmed": False,
    }  # fmt: skip
    told = base | changes
    return RoundRow.from_json(told)


GATED = FIGURES | {"sent_on": 0.104}


ROUND = "exp/bp/3@abcdef012345"
RATES = (0.002, 0.003, 0.004, 0.006, 0.009, 0.014)


def place_of(p, d, rounds=None):
    values = {"noise.p": p, "code.distance": d} | ({} if rounds is None else {"code.rounds": rounds})
    return Place("surface_d5_depol", values, p, d, rounds or d, f"{p}/{d}/{rounds}")


def point(place, decoder, threshold, shots=20_000):
    rate = min(0.4, 0.03 * (place.p / threshold) ** ((place.distance + 1) / 2))
    errors = round(shots * shot_rate(rate, place.rounds, 1))
    ended = "relative_error" if errors >= 100 else "max_shots"
    return SweepPoint(place, decoder, 1, shots, errors, shots * 3e-6, ended, ("ab" * 16,))


def swept(rates=RATES, distances=(3, 5), decoders=("mwpm", ROUND), rounds=(None,), per="shot"):
    points, left = [], []
    for p in rates:
        for d in distances:
            for each in rounds:
                place = place_of(p, d, each)
                for number, decoder in enumerate(decoders):
                    if decoder == ROUND and d != 5:
                        sizes = f"({d} detectors, 7 mechanisms here)"
                        problem = f"it was trained for d5, and its weights fit no other problem {sizes}"
                        left.append(LeftOut(place, decoder, "unusable", problem, "train it"))
                    else:
                        points.append(point(place, decoder, 0.007 + 0.001 * number))
    axes = ("noise.p", "code.distance") + (("code.rounds",) if rounds != (None,) else ())
    return Sweep("surface_d5_depol", tuple(decoders), axes, tuple(points), tuple(left), per=per)


def large_comparison():
    """Five decoders with long names, of which one failed, one had fewer shots and one is carried; counts of many digits."""
    times = Spread(12345.678, 12000.0, 99999.9)
    time = DecodingTime(5, 2000, {"p50": times, "p99.9": times}, 1024, times)
    decoders = (
        ComparedDecoder("mwpm", {}, time=time, fits="rate"),
        ComparedDecoder("sinter:a_module_of_a_package:AndAClassThatIsLong:x=[1, 2]", {}, time=time),
        ComparedDecoder("exp/run/3", {}, fits="family"),
        ComparedDecoder(
            "osd\x1b[31m", {}, failed=Failed("hang", "no progress " * 12, "wait", "/a/b/their.py", 7, 4096)
        ),
        ComparedDecoder("bp_lsd", {}, most_shots=4096),
    )
    failed = {str(mask): 1234567 + mask for mask in range(1, 24)}
    part = ComparedPart(987654321, "0" * 64, 0b10111, failed, ("",) * 5, (0, 3, 0, 0, 0), (1.0,) * 5)
    source = ComparedSource("circuit", "/a/path/" + "long/" * 20 + "it.stim", "ab" * 32, "f", 200000, 10**6, 12)
    machine = {"processor": "A processor of " + "a maker " * 12, "system": "Linux", "cores": "2", "python": "3"}
    versions = {f"package-{n}": "1.2.3" for n in range(9)}
    shots = ComparedShots("keyed", "cd" * 32)
    return Comparison(decoders, source, shots, (part,), 1, "", "seconds", "", machine, versions)
