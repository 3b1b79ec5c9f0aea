"""Verdicts with one value forged, what program and checker find in them, and where they look at different things."""

import copy

from autoqec import autoqec_check
from autoqec.results.audit import audit
from autoqec.results.interval_ends import EVALUATED
from autoqec.results.verdict import parse_verdict

#: What a forger writes in place of a word.
WORDS = (
    "VERIFIED", "SUSPICIOUS", "FAILED", "better", "not_better", "undecided", "harm", "no_harm", "unknown", "kept", "traded",
    "regression", "passed", "failed", "warned", "listed", "drawn", "crash", "hostile_syscall", "target_missed", "decoder_gain",
    "over_budget", "text",
)  # fmt: skip

#: Where the program finds something and the checker does not, and why. It prints most of these as not checked.
ONLY_THE_PROGRAM = {
    r"ablation.*|two_p_slope.*|cell|cell\..*|harm\.\*(\.cell.*|\.counts|\.why)?|harm": "ablation and slope decide no word",
    r"references.*|cells\.\*\.references.*|near_ml.*": "reference decoders are not part of the paired counts",
    r"checks(\.\*(\.check|\.result|\.says)?)?|harm\.\*\.label|harm\.\*\.word": "of the checks, only failed ones are compared",
    r"neutral\..*|answered_again\..*|flops_per_shot|cpu_us_per_shot|trusted_code|sandbox_level": "figures in sentences",
    r"certificate\.(break_even|no_fault|distance|regressions.*)": "the break-even decides no word",
    r"over": "the checker works out whether a limit is exceeded, and reads no list of them if it knows the limits",
    r"certificate\.rows.*": "of the certificate, rows are compared that are there; a row's `failing` only in its difference",
}

#: Where the checker finds something and the program does not, and why.
ONLY_THE_CHECKER = {
    r"reason": "the program lets a verifier of others have reasons of its own",
    r"constraints": "the program believes costs over a limit that the note does not name",
    r"intent": "of verdicts that name no intent, the program does not demand checks: verifiers of others may make none",
}

#: A finding that is about the type of a value alone. The checker looks at the types of what it reckons with.
TYPES = "does not match the schema"


def program(note):
    """What the program finds in a verdict."""
    parsed = parse_verdict(note)
    return [parsed.problem] if parsed.record is None else audit(parsed.record, EVALUATED)


def checker(note):
    """What the checker finds in a verdict's own counts, as `check` would print it."""
    try:
        return [name for name, wrong in autoqec_check.follows(note) if wrong]
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        return [repr(error)]


def places(value, path=()):
    """Where a value of JSON holds other values."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*path, key)
        if key != "digests":
            yield from places(each, (*path, key))


def forged(rng, note):
    """A note with one value changed or left out, and where."""
    note = copy.deepcopy(note)
    path = rng.choice([*places(note)])
    at = note
    for key in path[:-1]:
        at = at[key]
    old, name = at[path[-1]], ".".join("*" if isinstance(key, int) else key for key in path)
    if rng.random() < 0.1:
        del at[path[-1]]
    elif isinstance(old, bool):
        at[path[-1]] = not old
    elif isinstance(old, int | float):
        at[path[-1]] = rng.choice([old + 1, old * 1.01 + 0.001, -old, 0, old * 2, round(old * 1.5), 1e300])
    elif isinstance(old, str):
        at[path[-1]] = rng.choice(WORDS)
    elif isinstance(old, list):
        at[path[-1]] = old[1:] or [1]
    else:
        at[path[-1]] = rng.choice([0.01, 1, "text"]) if old is None else None
    return note, name
