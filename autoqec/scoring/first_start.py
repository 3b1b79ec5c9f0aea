"""The first start: compiles the environment's decoder in a process of its own, beside the training, which compiles other kernels.

What is compiled stays in numba's cache, where the processes that score and verify find it.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from autoqec.candidate_paths import TRAINING_FILE
from autoqec.canonical import told_fields
from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.decoder_contract import ConfidentDecoder, TeachingDecoder
from autoqec.decoding.gate_file import read_gate
from autoqec.decoding.gating import open_gate
from autoqec.errors import AutoQECError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import environment_from_files
from autoqec.problem.problem import Problem
from autoqec.sandbox.channel import Channel, ChannelClosed, ChannelTimeout, Message
from autoqec.sandbox.child import Child, ChildFailed
from autoqec.scoring.scoring_requests import ScoringTask

_FUNCTION = "autoqec.scoring.first_start:serve"

#: Seconds for everything.
_SECONDS = 300.0


class FirstStart:
    """Compiles the decoder of an environment, if it is begun; use as a context manager, which waits for its end.

    Args:
        task: The environment, and the candidate whose gate is compiled too.
    """

    def __init__(self, task: ScoringTask):
        self._task = task
        self._child: Child | None = None

    def begin(self) -> None:
        """Start the process; nothing if it runs."""
        if self._child is None:
            # Nobody listens while training goes on: what it compiles would be told when it is done.
            self._child = Child(_FUNCTION, compiling=lambda name, seconds: None)
            self._child.tell(self._task.to_message())

    def __enter__(self) -> FirstStart:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._child is None:
            return
        try:
            # An error here is that of the environment or its decoder, and scoring will report it.
            if exception[0] is None:
                with suppress(ChildFailed, ChannelClosed, ChannelTimeout):
                    self._child.receive(_SECONDS)
        finally:
            self._child.kill()


def serve(channel: Channel) -> None:
    """Receive a `ScoringTask`, compile the decoder of its environment, and answer `{"done": true}`."""
    task = ScoringTask.from_message(channel.receive())
    registry = load_plugins()
    loaded = environment_from_files(task.environment, origin="the environment")
    problem = build_problem(loaded, registry.maker("code"), task.p)
    choice = loaded.environment.decoder
    decoder = compile_decoder(choice, problem, registry)
    blank = np.zeros((1, problem.syndrome_bytes), dtype=np.uint8)
    if isinstance(decoder, TeachingDecoder) and _loss(task) == "logical_gap":
        # First, because training needs it soon: it compiles other kernels before.
        decoder.logical_gap_loss(blank, _priors(problem), np.zeros((1, problem.observable_bytes), dtype=np.uint8))
    decoder.decode(blank)
    if registry.get("decoder", choice.kind).capabilities.get("takes_beliefs"):
        decoder.decode(blank, _priors(problem))
    gate = read_gate(task.sealed.files)
    if gate is not None and isinstance(decoder, ConfidentDecoder):
        with suppress(AutoQECError):
            open_gate(gate, decoder, problem, name=choice.kind).split(blank)
    channel.send(Message({"done": True}))


def _loss(task: ScoringTask) -> object:
    return told_fields(task.sealed.files, TRAINING_FILE).get("loss")


def _priors(problem: Problem) -> np.ndarray:
    return np.ascontiguousarray(problem.priors_llr[None], dtype=np.float32)
