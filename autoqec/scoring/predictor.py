"""The judge's side of a candidate's process: it sends syndromes, receives beliefs, and checks every answer.

Whatever the candidate's process does (wrong shape, NaN, silence, death), the result is well defined: a shot is "invalid", which
counts as a failure, or the whole attempt ends with a `CandidateFault`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from autoqec.errors import AutoQECError
from autoqec.problem.dem import LLR_BOUND
from autoqec.problem.problem import Problem
from autoqec.sandbox.channel import ChannelClosed, ChannelTimeout
from autoqec.sandbox.child import Child, ChildFailed
from autoqec.sandbox.lock import Lock
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.work_clock import processor_seconds
from autoqec.sandbox.worker_requests import CandidateRequest, PredictionRequest, Preparation, ProgramRequest
from autoqec.scoring.candidate_workers import Workers

#: Seconds a candidate may take to load, and per shot to answer (with a floor for the first, compiling, call). Those in which its
#: process waits for a processor do not count; those in which it sleeps do (`autoqec.sandbox.work_clock`).
_LOAD_SECONDS = 180.0
_FLOOR_SECONDS = 120.0
_SECONDS_PER_SHOT = 0.02

#: Upper bound for counts of operations and parameters; it fits a double and a JSON number in any language.
_MOST_OPERATIONS = 2**53

#: Upper bound for the bytes of a candidate's recorded operations.
_MOST_PROGRAM_BYTES = 256 * 2**20

#: Beliefs are rounded to this step before they are matched, so that honest float noise cannot change an answer and a
#: replay on another machine can be held to the bit.
BELIEF_STEP = 1.0 / 1024

#: Rows to process at once: few enough to stay in the processor's cache through all passes.
_BLOCK = 64


class CandidateFault(AutoQECError):
    """The candidate broke its contract; `reason` is `crash`, `timeout`, `bad_output`, `bad_weights` or `hostile_syscall`.

    Its code is the reason, or says more exactly what is wrong with the weights.
    """

    def __init__(self, reason: str, problem: str, *, code: str | None = None, about: Mapping[str, Any] | None = None):
        super().__init__(f"{reason}: {problem}", code=code or reason, about={**(about or {}), "reason": reason})
        self.reason = reason


def fault_from(error: ChildFailed) -> AutoQECError:
    """Restore a candidate's fault that was raised in another process; any other error stays as it is."""
    if error.kind != CandidateFault.__name__:
        return error
    reason = str(error.about.get("reason", "crash"))
    return CandidateFault(reason, error.problem.removeprefix(f"{reason}: "), code=error.code, about=error.about)


#: The code of a crash for want of memory: the reason of the fault is `crash`, as for any other.
OUT_OF_MEMORY = "out_of_memory"

#: The code of a machine without the GPU that is asked for.
NO_GPU = "no_gpu"

#: Codes of errors that are about weights.
_WEIGHTS = frozenset(
    {
        "weights_unreadable",
        "weights_not_finite",
        "weights_of_another_problem",
        "weights_of_another_family",
        "weights_do_not_fit",
    }
)


@dataclass(frozen=True)
class Output:
    """How beliefs reach the decoder: `soft_priors`, or `hard_flip` of mechanisms likelier than `threshold`."""

    mode: str
    threshold: float


def _output(fields: Any) -> Output:
    try:
        output = Output(str(fields["mode"]), float(fields["threshold"]))
    except (TypeError, KeyError, ValueError) as error:
        raise CandidateFault("bad_output", "the candidate does not say how its beliefs are to be used") from error
    if output.mode not in ("soft_priors", "hard_flip") or not 0.0 < output.threshold < 1.0:
        raise CandidateFault("bad_output", f"beliefs cannot be used as {output.mode} with threshold {output.threshold}")
    return output


def _fault(error: ChannelClosed) -> CandidateFault:
    """Convert the end of the candidate's process to a fault."""
    if error.status == -signal.SIGSYS:
        said = "the candidate made a forbidden system call, and was killed by SIGSYS"
        return CandidateFault("hostile_syscall", said, about=error.about)
    return CandidateFault("crash", error.problem, about=error.about)


@dataclass(frozen=True)
class Recorded:
    """The operations of a candidate: the slugs of its stages in order, and the programs of those with code of others."""

    stages: tuple[str, ...]
    programs: Mapping[str, bytes]


class Predictor:
    """A candidate in a process of its own; use as a context manager.

    Args:
        sealed: The candidate.
        problem: What it is to answer for; only its error model is sent.
        locked: Whether the process is locked before it receives the candidate.
        stages: What such a process warms up with; see `autoqec.sandbox.stage_files.stages_to_warm_up`.
        workers: Where its process comes from; None for one of its own.
        recorded: Its recorded operations, to be loaded instead of its code; the process is then ours, and locked.
        waiting: Called about once a second while its answer is awaited.
        device: Where its stages are computed, if it is not locked; see `CandidateRequest`.

    Attributes:
        lock: The layers around the process, as it said before it had the candidate.
        loading_cpu_seconds: Processor time that a locked process took to load the candidate.
    """

    def __init__(
        self,
        sealed: SealedCandidate,
        problem: Problem,
        *,
        locked: bool = False,
        stages: tuple[str, ...] = (),
        workers: Workers | None = None,
        recorded: Recorded | None = None,
        waiting: Callable[[], None] | None = None,
        device: str = "cpu",
    ):
        self._sealed, self._problem, self._recorded, self._waiting = sealed, problem, recorded, waiting
        self.loading_cpu_seconds = 0.0
        self._output: Output | None = None  # The child loads while its judge prepares; see `wait`.
        self.lock: Lock | None = None
        self._locked = locked
        self._child = (workers or Workers()).take(locked=locked)
        self._released = False
        try:
            self._child.tell(Preparation(stages=stages, dem=str(problem.dem).encode(), lock=locked).to_message())
            if not locked:
                self._child.tell(CandidateRequest(sealed, device).to_message())
        except BaseException:
            self._child.kill()
            raise

    def wait(self) -> Output:
        """Wait until the candidate is loaded.

        Returns:
            How its beliefs are to reach the classical decoder.

        Raises:
            CandidateFault: It cannot be loaded, or not in time, or says something else.
            AutoQECError: The process cannot be locked, or something ended it before it was.
        """
        if self._output is None:
            if self._locked and self.lock is None:
                self.lock = Lock.from_dict(self._child.answer(_LOAD_SECONDS, waiting=self._waiting).fields["lock"])
                send = partial(self._child.tell, self._to_load().to_message())
                before = self.cpu_seconds
                fields, _ = self._reply(_LOAD_SECONDS, ask=send)
                self.loading_cpu_seconds = self.cpu_seconds - before
            else:
                fields, _ = self._reply(_LOAD_SECONDS)
            self._output = _output(fields.get("output"))
        return self._output

    def _to_load(self) -> CandidateRequest | ProgramRequest:
        if self._recorded is None:
            return CandidateRequest(self._sealed)
        return ProgramRequest(sealed=self._sealed, stages=self._recorded.stages, programs=self._recorded.programs)

    def _request(
        self, request: PredictionRequest, timeout: float, most_bytes: int = 0
    ) -> tuple[dict[str, object], dict[str, bytes]]:
        self.wait()
        return self._reply(timeout, most_bytes, lambda: self._child.tell(request.to_message()))

    def _reply(
        self, timeout: float, most_bytes: int = 0, ask: Callable[[], None] = lambda: None
    ) -> tuple[dict[str, object], dict[str, bytes]]:
        try:
            ask()  # a process that has ended can be found out here as well as below, and for the same reason
            message = self._child.answer(timeout, most_bytes, self._waiting)
        except ChannelTimeout as error:
            said = f"the candidate gave no answer within {timeout:.0f} s in which its process ran or slept"
            raise CandidateFault("timeout", said) from error
        except ChildFailed as error:
            if error.code in _WEIGHTS:
                raise CandidateFault("bad_weights", error.problem, code=error.code) from error
            if error.code == NO_GPU and not self._locked:
                raise  # the machine's lack, whatever the candidate is
            if error.code == "uncounted_operation":
                raise CandidateFault("bad_output", error.problem, code=error.code) from error
            code = error.code if error.code == OUT_OF_MEMORY else None
            raise CandidateFault("crash", error.problem, code=code) from error
        except ChannelClosed as error:
            raise _fault(error) from error
        return dict(message.fields), dict(message.blobs)

    def predict(self, syndromes: np.ndarray, priors: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Ask for beliefs.

        Args:
            syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
            priors: What the pipeline starts from, float32 `[mechanisms]`; None for the problem's own.

        Returns:
            Beliefs, float32 `[shots, mechanisms]`, finite, clipped and rounded to `BELIEF_STEP`; and which shots had an
            answer that was not finite, bool `[shots]` (their beliefs are the priors).

        Raises:
            CandidateFault: No answer, or one of the wrong size.
        """
        shots, mechanisms = len(syndromes), len(self._problem.mechanisms)
        timeout = _FLOOR_SECONDS + _SECONDS_PER_SHOT * shots
        size = shots * mechanisms * 4
        start = b"" if priors is None else np.ascontiguousarray(priors, dtype=np.float32).tobytes()
        asked = PredictionRequest("predict", np.ascontiguousarray(syndromes).tobytes(), start)
        # Up to twice as much is read, so that the error for a wrong shape can say so.
        _, blobs = self._request(asked, timeout, 2 * size)
        data = blobs.get("beliefs", b"")
        if len(data) != size:
            raise CandidateFault(
                "bad_output", f"the candidate answered {len(data)} bytes for {shots} x {mechanisms} beliefs"
            )
        beliefs = np.frombuffer(data, dtype=np.float32).reshape(shots, mechanisms)
        if not beliefs.flags.writeable:  # a small batch; a large one is ours to write already
            beliefs = beliefs.copy()
        return beliefs, settle_beliefs(beliefs, self._problem.priors_llr)

    def cost(self, syndromes: np.ndarray | None = None, priors: np.ndarray | None = None) -> dict[str, int]:
        """FLOPs per shot, and parameters and labels (`autoqec.candidate.cost.Cost`) as the candidate's process says.

        Of a recorded candidate, FLOPs per shot and the numbers that its programs hold, `constants`.

        Args:
            syndromes: For a recorded candidate: the shots to count on; None for a sample.
            priors: What the pipeline starts from on these, as for `predict`.
        """
        shots = b"" if syndromes is None else np.ascontiguousarray(syndromes).tobytes()
        start = b"" if priors is None else np.ascontiguousarray(priors, dtype=np.float32).tobytes()
        asked = PredictionRequest("cost", shots, start)
        fields, _ = self._request(asked, _LOAD_SECONDS)
        names = ("flops_per_shot", *(("constants",) if self._recorded else ("params", "labels")))
        found = {name: fields.get(name) for name in names}
        if not all(isinstance(value, int) and 0 <= value < _MOST_OPERATIONS for value in found.values()):
            raise CandidateFault("bad_output", "the candidate does not say what it costs")
        return {name: int(str(value)) for name, value in found.items()}

    def record(self) -> Recorded:
        """Have the candidate's process record the operations of its stages. What it says is data from untrusted code."""
        fields, programs = self._request(PredictionRequest("program"), _LOAD_SECONDS, _MOST_PROGRAM_BYTES)
        stages = fields.get("stages")
        if not isinstance(stages, list) or not all(isinstance(slug, str) for slug in stages):
            raise CandidateFault("bad_output", "the candidate does not say which stages it has")
        named = {name.removeprefix("program:"): data for name, data in programs.items() if name.startswith("program:")}
        return Recorded(tuple(stages), {slug: bytes(data) for slug, data in named.items()})

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the process so far, as the kernel counts it: no clock inside it is asked."""
        return processor_seconds(self._child.pid)

    def release(self) -> Child | None:
        """Release the process for the next candidate; None for a locked one, which ends with its candidate."""
        self._released = not self._locked
        return self._child if self._released else None

    def close(self) -> None:
        """End the process, unless it was released."""
        if not self._released:
            self._child.kill()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def settle_beliefs(beliefs: np.ndarray, priors: np.ndarray) -> np.ndarray:
    """Clip and round beliefs in place; rows that are not finite become the priors.

    Returns:
        Which rows were not finite, bool `[shots]`.
    """
    invalid = np.zeros(len(beliefs), dtype=bool)
    for first in range(0, len(beliefs), _BLOCK):
        block = beliefs[first : first + _BLOCK]
        bad = ~np.isfinite(block.sum(axis=1, dtype=np.float64))
        if bad.any():
            invalid[first : first + _BLOCK] = bad
            block[bad] = priors
        np.clip(block, -LLR_BOUND, LLR_BOUND, out=block)
        np.multiply(block, 1.0 / BELIEF_STEP, out=block)
        np.rint(block, out=block)
        np.multiply(block, BELIEF_STEP, out=block)
    return invalid
