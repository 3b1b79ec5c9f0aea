# fmt: off
"""Check verdicts of an AutoQEC lab without AutoQEC: this one file, Python's standard library, git and ssh-keygen.
A verdict is JSON in a git note: counts, and figures that must follow from them. They are worked out again, by code of its own.
"""
import argparse
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import exp, isclose, lgamma, log, log1p
from shutil import which
from typing import Any, NamedTuple

Note = dict[str, Any]
Found = Iterator[tuple[str, list[str] | None]]  # the name of a check, and what is wrong; None where it could not be made
BETS = [0.004 * 225 ** (i / 23) for i in range(24)]  # from 0.004 to 0.9, evenly spaced in the logarithm
FAULTS = {"hostile_syscall": "SUSPICIOUS", **dict.fromkeys(("crash", "timeout", "bad_output", "bad_weights"), "FAILED")}
SUBJECT = ("run", "round", "commit", "environment", "candidate", "weights_sha256", "metrics", "attempt", "look", "recording")
OWN_OBJECTS = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}
NOT_CHECKED = """not checked: the shots, which autoqec verify ROUND --audit --replay draws again; tests by strata (--audit);
costs, references, slope, composition, ablation; which of several verdicts counts; what the holder of the only copy left out"""

class Counts(NamedTuple):
    """Baseline and candidate on the same shots: `both` failed, or only one of them. Evidence is a natural logarithm."""
    shots: int
    both: int
    baseline_only: int
    candidate_only: int

    def log_e(self, baseline: float, candidate: float, shot: float, scale: float) -> float:
        """Evidence against "the mean payoff is at most 0", where a shot pays so much and a side's failure so much more.
        Bet a part L / scale of your wealth on each shot. The mean over the 24 bets L is a nonnegative supermartingale: it ever
        exceeds 1/a with probability at most a (Ville 1939; Waudby-Smith and Ramdas 2024, "... means ... by betting").
        """
        pays = (shot, shot + baseline + candidate, shot + baseline, shot + candidate)
        shots = (self.shots - sum(self[1:]), *self[1:])
        logs = [sum(n * log1p(bet / scale * x) for n, x in zip(shots, pays, strict=True) if n) for bet in BETS]
        return min(700.0, max(logs) + log(sum(exp(each - max(logs)) for each in logs) / len(logs)))  # e^700 is a float

    def better(self, r: float = 1.0) -> float:
        """Evidence that the candidate fails less than r times as often as the baseline."""
        return self.log_e(r, -1.0, 0.0, 1.0)

    def worse(self, r: float = 1.0) -> float:
        """Evidence that the candidate fails more than r times as often as the baseline."""
        return self.log_e(-r, 1.0, 0.0, max(1.0, r))

    def word(self, level: float, p: float | None = None) -> str:
        """The word of a test that stops here, at any time, or by p. "Not better" means that a gain of 3 % or more is excluded."""
        better = self.better() >= log(1 / level) if p is None else p <= level
        return "better" if better else "not_better" if self.worse(0.97) >= log(20) else "undecided"

    def gain_ends(self, ends: list[float]) -> bool:
        """Whether a 95 % interval of the gain ends there; the gain is the baseline's rate minus the candidate's."""
        low = ends_at(lambda m: self.log_e(1, -1, -m, 1 + abs(m)), ends[0], -1.0, -1.0)
        return low and ends_at(lambda m: self.log_e(-1, 1, -m, 1 + abs(m)), -ends[1], -1.0, -1.0)

    def ratio_ends(self, ends: list[float]) -> bool:
        """Whether a 95 % interval of the ratio of rates ends there; it may be open above."""
        return ends_at(self.worse, ends[0], 1e-6, 0.0) and ends_at(self.better, ends[1], 1e6, None)

    def figures(self) -> Note:
        """Rates, gain and ratio, with their intervals."""
        plain, own = (self.both + self.baseline_only) / self.shots, (self.both + self.candidate_only) / self.shots
        return {"shots": self.shots, "ler_baseline": plain, "ler_candidate": own, "delta_ler": plain - own,
                "delta_ler_ci": self.gain_ends, "ler_ratio": own / plain if plain else None, "ler_ratio_ci": self.ratio_ends}

def counts(note: Note | None) -> Counts:
    """The counts in a note; zeros if there are none."""
    c = Counts(*(0 if note is None else note[name] for name in Counts._fields))
    if any(type(n) is not int or not 0 <= n < 2**63 for n in c) or sum(c[1:]) > c.shots:
        raise ValueError(f"impossible counts {note!r}")
    return c

def ends_at(e: Callable[[float], float], end: float, excluded: float, open_end: float | None) -> bool:
    """Whether evidence e, from a value that it excludes, falls below 1 / 0.025 at this end, if it does so anywhere."""
    if e(excluded) < log(40):
        return end == open_end
    step = 1e-9 * max(1.0, abs(end)) * (1 if excluded < end else -1)
    return e(end - step) >= log(40) > e(end + step)

def at_most(k: int, n: int, p: float) -> float:
    """Probability of at most k failures in n shots at rate p (binomial)."""
    if k > n * p:
        return 1 - at_most(n - k - 1, n, 1 - p)  # sum the smaller tail, from its largest term
    log_term = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p) if k >= 0 else -1e9
    total, term, i = 0.0, exp(log_term), k
    while term > total * 1e-17:
        total, term, i = total + term, term * i / (n - i + 1) * (1 - p) / p, i - 1
    return total

def differ(note: Note, own: Note, tolerance: float = 1e-9) -> list[str]:
    """The fields of a note that are not what they should be, up to rounding."""
    def same(a: Any, b: Any) -> bool:
        close = {type(a), type(b)} <= {int, float} and isclose(a, b, rel_tol=1e-9, abs_tol=tolerance)
        return bool(b(a)) if callable(b) else close or (type(a) is type(b) and bool(a == b))
    wrong = [x for x in own if not same(note.get(x), own[x])]
    return [f"{x} is {note.get(x)!r}" + ("" if callable(own[x]) else f", not {own[x]!r}") for x in wrong]

def tested(note: Note, level: float, chunk_shots: int) -> list[str]:
    """A cell's test: the word from the test's shots, the figures from those of the extension, which only a "better" has."""
    test, more = counts(note["test"]), counts(note.get("extension"))
    shown, every = more if more.shots else test, Counts(*map(sum, zip(test, more, strict=True)))
    evidence = {"log_e_better": test.better(), "log_e_futile": test.worse(0.97), "log_e_needed": log(1 / level)}
    p = at_most(shown.candidate_only, shown.baseline_only + shown.candidate_only, 0.5)  # McNemar's exact one-sided test
    spare = chunk_shots if (finite := "finite" in note) else 1  # the number of recorded shots was fixed before, so p decides
    own = {"word": test.word(level, p if finite else None), **shown.figures(), "ler_ratio_ci_all_shots": every.ratio_ends,
           "mcnemar_p_fixed_n": lambda noted: isclose(noted, p, rel_tol=1e-6, abs_tol=1e-300), "shots_in_all": every.shots,
           "digests": lambda each: 0 <= len(each) * chunk_shots - every.shots < spare}
    if "flops_per_sent_shot" in note or ("attempt" in note and {"sent", "passes"} & {*note}):  # a mean of all shots, rounded up
        cost = note["flops_per_sent_shot"] * (passes := note.get("passes", note["sent"])) + note.get("gate_flops", 0)
        own |= {"flops_per_shot": -(-cost // every.shots), "sent": lambda n: 0 <= n <= every.shots and n <= passes <= 64 * n}
    return differ(note, evidence, 1e-6) + differ(note, own)

def certificate(note: Note, delta_ler: float) -> list[str]:
    """The distance certificate: whether sets of few faults that only the candidate fails outweigh its gain at lower rates."""
    wrong, lost, rows = [], 0.0, [(row, counts(row["counts"])) for row in note["rows"]]
    for row, c in rows:
        p, (low, high), drawn = row["probability"], row["excess_ci"], row["how"] == "drawn"
        excess = p * (c.candidate_only - c.baseline_only) / c.shots if drawn else row["failing"][1] - row["failing"][0]
        ends = c.gain_ends([-high / p, -low / p]) if drawn else low == high == excess  # where all sets are listed
        wrong += differ(row, {"excess": excess, "excess_ci": lambda _, ends=ends: ends})
        lost += low / note["no_fault"] * 0.1 ** row["weight"]  # at a tenth of the target's error rates
    gained = max(0.0, delta_ler) * 0.1 ** ((note["distance"] + 1) // 2)  # there, to leading order
    alone = [row["weight"] for row, c in rows if c.candidate_only]
    return wrong + differ(note, {"word": "regression" if lost > gained or 1 in alone else "traded" if alone else "kept"})

def follows(v: Note) -> Found:
    """Each part of a verdict that must follow from its own counts; `reasons` are those against "better", the gravest first."""
    attempt, before, alpha = v["attempt"], v["verified_before"], v["alpha"]
    # 64 attempts share half of the error budget, the next 128 a quarter, and so on (e-LOND; Xu and Ramdas 2024).
    level = min(alpha, alpha * 2.0 ** (-5 - 2 * ((attempt + 63) // 64).bit_length()) * (before + 1))
    level = alpha * 2.0 ** (1 - 2 * v["look"]) if "look" in v else level  # a share 2^-k; 2^(k-1) candidates could stand here
    most = 1 if "intent" in v else attempt  # successes before an attempt raised its level once; today they do not
    possible = type(attempt) is type(before) is int and 0 <= before < most <= attempt and 0 < alpha < 0.5
    possible &= ("finite" in v) == ({"look", "test"} <= {*v}) and v.get("look", 1) >= 1  # only recorded shots are looked at
    yield "level", differ(v, {"alpha_attempt": level}) if possible else ["impossible numbers"]
    old = "test" in v and "word" not in v  # version 0.1 noted neither the test's word nor its checks
    v = {**v, "word": counts(v["test"]).word(level)} if old else v
    limits = [(v.get(x) or 0, (v.get("constraints") or {}).get(f"max_{x}")) for x in ("params", "flops_per_shot")]
    over = any(limit is not None and cost > limit for cost, limit in limits) if "constraints" in v else v.get("over")
    reasons = [("FAILED", "over_budget")] if over else [(FAULTS[v["reason"]], v["reason"])] if v.get("fault") is not None else []
    for place in (v, *v.get("cells", ())):
        if "test" in place or place.get("word") == "better" or (place is v and not reasons):
            yield f"test {place.get('label', '')}", None if place.get("strata") else tested(place, level, v["chunk_shots"])
    for row in v.get("harm") or ():
        c = counts(row.get("counts"))
        word = "harm" if c.worse() >= log(20) else "no_harm" if c.better(1.1) >= log(20) else "unknown"
        wrong = differ(row, {"log_e_worse": c.worse(), "log_e_harmless": c.better(1.1)}, 1e-6)
        yield f"harm at {row['label']}", wrong + differ(row, {"word": word, **c.figures()}) if "counts" in row else None
    if "rows" in (v.get("certificate") or ()):
        yield "certificate", certificate(v["certificate"], v["delta_ler"])
    reasons += [("FAILED", part["word"]) for part in (v, *v.get("cells", ())) if part.get("word", "better") != "better"]
    if not reasons and not old:
        noted, own_code = [row["reason"] for row in v["checks"] if row["result"] == "failed"], not v["trusted_code"]
        neutral, by = counts(v["neutral"] or {}), v.get("recorded") or {}
        failed = {"batch_dependent": v["answered_again"]["differing"],
            "decoder_gain": "decoder_gain" in noted if v.get("strata") else at_most(neutral[3], sum(neutral[2:]), 0.5) > level,
            "unsandboxed_custom_code": own_code and not v["sandbox_level"],
            "cost_mismatch": own_code and (v["flops_per_shot"] < 10 * v["cpu_us_per_shot"] if not by else bool(by["differing"])
                or any(by[x] > 1.1 * (v.get(x.replace("_shot", "_sent_shot")) or v[x]) for x in ("flops_per_shot", "constants"))),
            "beats_reference_ml": "beats_reference_ml" in noted, "distance_regression": v["certificate"]["word"] == "regression",
            "harm": any(row["word"] == "harm" and row["same_shape"] for row in v["harm"]),
        }
        reasons = [("SUSPICIOUS", reason) for reason in failed if failed[reason]]
        yield "checks", differ({"failed": noted}, {"failed": [reason for _, reason in reasons]})
    behind = v.get("extension") or ("finite" in v and v["word"] == "better" and v["test"])
    if v.get("target_ler") is not None and behind:
        c, bound = counts(behind), v["ler_candidate_bound"]  # the exact bound of Clopper and Pearson (1934)
        above, below = (at_most(c.both + c.candidate_only, c.shots, bound * (1 + x)) for x in (1e-7, -1e-7))
        yield "bound of the rate", None if v.get("strata") else [] if above <= level <= below else [f"the bound is {bound!r}"]
        reasons += [("FAILED", "target_missed")] if bound > v["target_ler"] else []
    word, reason = [*reasons, ("VERIFIED", "better")][0]
    unknown = old and v["word"] == "better" and (v["verdict"] != "FAILED" or v["reason"] in ("target_missed", "constraint"))
    yield "word", None if unknown else differ(v, {"verdict": word, "reason": reason})

def run(*command: str, data: bytes = b"") -> bytes:
    """What a program prints; nothing if it fails. No git object is replaced by another, or fetched."""
    done = subprocess.run(command, env={**os.environ, **OWN_OBJECTS}, input=data, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""

def read_notes(lab: str, ref: str) -> Iterator[tuple[str, str, Note]]:
    """The records of a notes ref: the commit that each is on, and the digest of its line."""
    for facts, path in (each.split("\t", 1) for each in run("git", "-C", lab, "ls-tree", "-r", ref).decode().splitlines()):
        for line in run("git", "-C", lab, "cat-file", "blob", facts.split()[2]).split(b"\n"):
            with suppress(AttributeError, ValueError, RecursionError):
                yield path.replace("/", ""), hashlib.sha256(line).hexdigest(), dict(json.loads(line).items())

def chain(v: Note, lines: dict[str, Note]) -> list[str]:
    """What is wrong with the intent that a verdict names, and with those that were noted before it."""
    seen, todo = set(), [v["intent"]]
    while todo:
        seen.add(digest := todo.pop())
        named = lines.get(digest, {}).get("chain")  # in an old note, and in one that is malformed, it names none
        todo += {*named} - seen if type(named) is list and {*map(type, named)} <= {str} else ()
    missing = [f"no line has the digest {digest!r}" for digest in sorted(seen) if digest not in lines]
    early = [] if v["attempt"] >= len(seen) else [f"attempt {v['attempt']} follows {len(seen) - 1} others"]
    return missing or early + differ(v, {x: lines[v["intent"]].get(x) for x in SUBJECT})

def signature(v: Note, signers: str | None) -> tuple[str, list[str] | None]:
    """Whether a verdict is what was signed, and by whom."""
    outside = ["signature"] if v.get("signature_version") == 2 else ["signature", "v", "kind", "ts", "writer"]
    text = json.dumps({x: v[x] for x in v if x not in outside}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    with tempfile.NamedTemporaryFile("w") as file:
        print(v["signature"], file=file, flush=True)
        data, how = text.encode("utf-8", "surrogatepass"), ("-n", "autoqec-verdict", "-s", file.name)
        if not run("ssh-keygen", "-Y", "check-novalidate", *how, data=data):
            return "signature", ["the line is not what was signed"]
        for who in run("ssh-keygen", "-Y", "find-principals", *how, "-f", str(signers)).decode().split("\n"):
            if who and run("ssh-keygen", "-Y", "verify", *how, "-f", str(signers), "-I", who, data=data):
                return f"signature by {who}", []
    return "signer", None if signers is None else ["the key is not that of an allowed signer"]

def check(lab: str, v: Note, ref: str, commit: str, lines: dict[str, Note], signers: str | None) -> Found:
    """All checks of a verdict: its own counts, its round, the chain of attempts, the signature."""
    git, (*_, name, number) = ("git", "-C", lab, "cat-file"), ref.split("/")
    try:
        yield from follows(v)
        environment = json.loads(run(*git, "blob", f"refs/autoqec/runs/{name}:run.json"))["env"]["id"]
        message = run(*git, "commit", commit).decode("utf-8", "replace").split("\n")  # a round may have been renumbered
        yield "subject", differ({"run": name, **v}, {"run": name, "commit": commit, "environment": environment,
            "round": lambda x: "round" not in v or str(x) == number or f"AutoQEC-Round: {x}" in message})
        weights = run(*git, "blob", f"refs/autoqec/artifacts/{name}/{number}:weights.safetensors")
        yield "weights", differ(v, {"weights_sha256": hashlib.sha256(weights).hexdigest()}) if weights else None
        metrics = read_notes(lab, f"refs/notes/autoqec/{name}/metrics")
        scored = [note.get("weights_sha256") for on, _, note in metrics if on == commit and note.get("id") == v.get("metrics")]
        yield "metrics", differ(v, {"weights_sha256": scored.__contains__}) if scored else None  # anybody can add another one
        yield "chain", chain(v, lines) if "intent" in v else None
        yield signature(v, signers) if "signature" in v and which("ssh-keygen") else ("signature", None)
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        yield "form", [f"not that of a verdict: {error!r}"]

def main() -> int:
    """Check the verdicts of a round, or of all rounds of a run."""
    parser = argparse.ArgumentParser("autoqec-check", None, __doc__, "exit code 0: all is well; 1: not so; 2: nothing to check")
    parser.add_argument("lab", help="path of the repository; it may be bare")
    parser.add_argument("round", type=lambda name: name.removeprefix("exp/"), help="exp/RUN/N or RUN/N, or RUN: all its rounds")
    parser.add_argument("--signers", help="file of allowed signers, in the format of man ssh-keygen")
    asked, states = parser.parse_args(), []
    records = [*read_notes(asked.lab, f"refs/notes/autoqec/{asked.round.partition('/')[0]}/verdict")]
    where = ("--format=%(refname) %(objectname)", f"refs/heads/exp/{asked.round}", f"refs/autoqec/rounds/{asked.round}")
    for ref, commit in map(str.split, run("git", "-C", asked.lab, "for-each-ref", *where).decode().splitlines()):
        for digest, v in ((digest, v) for on, digest, v in records if on == commit and "verdict" in v):
            print(f"{ref}: {v['verdict']!r} {v.get('reason')!r}, attempt {v.get('attempt')!r}, line {digest[:12]}")
            for what, wrong in check(asked.lab, v, ref, commit, {digest: note for _, digest, note in records}, asked.signers):
                states.append("not checked" if wrong is None else "BAD" if wrong else "ok")
                print(f"  {states[-1]:12}{ascii(what)[1:-1]}{': ' if wrong else ''}{'; '.join(wrong or ())}")
    print(NOT_CHECKED if states else f"there is no verdict on {asked.round!r}")
    return 1 if "BAD" in states else 0 if states else 2

if __name__ == "__main__":
    raise SystemExit(main())
