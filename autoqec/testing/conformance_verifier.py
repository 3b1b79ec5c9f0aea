"""Conformance check for verifiers: never verify without a gain, same verdict for the same key, a verdict on broken weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_args

from autoqec.errors import AutoQECError
from autoqec.plugins import load_plugins
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.results.verdict import Verdict, Word
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.executor_contract import Executor
from autoqec.scoring.verifier_contract import VerificationRequest, Verifier
from autoqec.testing.tiny import TINY_ENVIRONMENT, tiny_proposal

_SHOTS = 16_384


def check_verifier(verifier: Verifier, executor: Executor | None = None) -> None:
    """Check a verifier in the tiny environment, on a candidate that is the baseline itself and on one with broken weights.

    Its verdicts can be kept as JSON, the one has no gain and is never VERIFIED, the same request with the same key has the same
    verdict, and the other is a verdict too and not an error. That a real gain is VERIFIED is not checked: it takes minutes.

    Args:
        verifier: The verifier.
        executor: Where shots are scored; processes of this machine by default.

    Raises:
        AssertionError: It does not conform; the message says how.
    """
    with _executor(executor) as used:
        empty = SealedCandidate({}, b"")
        first, again = (_judge(verifier, empty, used) for _ in range(2))
        assert first.verdict != "VERIFIED", "a candidate that is the baseline itself has no gain, and is VERIFIED"
        assert (first.verdict, first.reason) == (again.verdict, again.reason), (
            f"the same request with the same key is {first.verdict} ({first.reason}), then {again.verdict} ({again.reason})"
        )
        files = {path: text.encode() for path, text in tiny_proposal()["files"].items()}
        broken = _judge(verifier, SealedCandidate(files, b"not safetensors"), used)
        assert broken.verdict != "VERIFIED", "a candidate whose weights cannot be read is VERIFIED"


@contextmanager
def _executor(given: Executor | None) -> Iterator[Executor]:
    if given is not None:
        yield given
        return
    with load_plugins().get("executor", "local").create(jobs=1) as made:
        yield made


def _judge(verifier: Verifier, sealed: SealedCandidate, executor: Executor) -> Verdict:
    told: list[Mapping[str, Any]] = []
    loaded = environment_from_files({ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}, origin="the tiny environment")
    request = VerificationRequest(loaded, sealed, "0" * 40, seed_key=bytes(32), max_shots=_SHOTS)
    try:
        verdict = verifier.verify(request, executor, told.append)
    except AutoQECError as error:
        raise AssertionError(f"a candidate's failure is a verdict, and no error: {error.problem}") from error
    assert isinstance(verdict, Verdict), f"verify must return a Verdict, not {type(verdict).__name__}"
    assert verdict.verdict in get_args(Word), f"{verdict.verdict!r} is none of {', '.join(get_args(Word))}"
    assert isinstance(verdict.reason, str), "a verdict's reason is a code"
    assert verdict.reason, "a verdict's reason is a code, and not empty"
    try:
        kept = json.loads(json.dumps([verdict.to_dict(), *told], allow_nan=False))[0]
    except (TypeError, ValueError) as error:
        raise AssertionError(f"a verdict and its progress must be JSON: {error}") from error
    assert Verdict.from_dict(kept).verdict == verdict.verdict, "a verdict must be the same once it is read back"
    return verdict
