"""The checks of a verdict: what must hold beside the statistics, each by name, each a function of the verdict's note."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Of a check: it held; it did not, and the verdict is SUSPICIOUS; it did not, and the reader is told; it was not made; it cannot
#: fail, for the way the verifier is built.
RESULTS = ("passed", "failed", "warned", "not_made", "by_construction")


def check(name: str, result: str, says: str, reason: str | None = None) -> dict[str, Any]:
    """One line of a verdict's `checks`; `reason` is the code of a check that failed."""
    return {"check": name, "result": result, "says": says} | ({"reason": reason} if result == "failed" else {})


def run_checks(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All checks of a verdict whose tests passed, the gravest first.

    Args:
        details: What the verdict's note holds by then.
    """
    return [_batches(details), _own_code(details)]


def _batches(details: Mapping[str, Any]) -> dict[str, Any]:
    differing = details["batch_differing"]
    says = f"shots whose beliefs changed in other batches: {differing}"
    return check("batches", "failed" if differing else "passed", says, "batch_dependent")


def _own_code(details: Mapping[str, Any]) -> dict[str, Any]:
    """Code of its own could have done more than answer: what it was kept from is what it can be believed about."""
    if not details["own_code"]:
        return check("own_code", "passed", "the candidate has no code of its own")
    level = details["sandbox_level"]
    says = f"the candidate's own code ran at sandbox level {level}"
    return check("own_code", "passed" if level else "failed", says, "unsandboxed_custom_code")
