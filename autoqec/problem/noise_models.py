"""What each kind of noise means: which error goes where, and how strong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

from autoqec.problem.noise import Noise

#: A stim noise instruction and its arguments.
Channel = tuple[str, tuple[float, ...]]


@dataclass(frozen=True)
class Model:
    """Where noise goes, and which. None and 0 mean none.

    Attributes:
        waiting: On the data qubits at the start of every round.
        pausing: On data qubits that a layer of gates leaves alone, where the circuit marks them; kinds that know `idle` qubits
            by themselves need no marks.
        once: Whether `waiting` is for the first round only.
        single: After each one-qubit gate.
        double: After each two-qubit gate, on pairs.
        prepared: Probability that a reset gives the other state.
        measured: Probability that a measurement gives the other result.
        idle: Depolarization of each qubit that a layer leaves alone.
        bystander: Depolarization, in a layer that measures or resets, of each qubit not measured or reset.
        erased: Probability that a data qubit is erased, and this is noticed, at the start of every round.
    """

    waiting: Channel | None = None
    pausing: Channel | None = None
    once: bool = False
    single: Channel | None = None
    double: Channel | None = None
    prepared: float = 0.0
    measured: float = 0.0
    idle: float = 0.0
    bystander: float = 0.0
    erased: float = 0.0


def noise_model(noise: Noise, p: float) -> Model:
    """What a kind of noise means at strength p; the kinds are explained in `docs/environments.md`."""
    return _MODELS[noise.kind](noise, p)


def _depolarizing(noise: Noise, p: float) -> Model:
    one: Channel = ("DEPOLARIZE1", (p,))
    return Model(waiting=one, pausing=one, single=one, double=("DEPOLARIZE2", (p,)), prepared=p, measured=p)


def _biased(noise: Noise, p: float) -> Model:
    # Two qubits: the three errors made of Z and identity share what Z has on one qubit; the other twelve share the rest.
    assert noise.eta is not None  # the kind needs it
    often, seldom = p * noise.eta / (noise.eta + 1), p / (noise.eta + 1)
    pairs = ["".join(pair) for pair in product("IXYZ", repeat=2)][1:]
    one: Channel = ("PAULI_CHANNEL_1", (seldom / 2, seldom / 2, often))
    two: Channel = ("PAULI_CHANNEL_2", tuple(often / 3 if set(pair) <= {"I", "Z"} else seldom / 12 for pair in pairs))
    return Model(waiting=one, pausing=one, single=one, double=two, prepared=p, measured=p)


def _phenomenological(noise: Noise, p: float) -> Model:
    return Model(waiting=("DEPOLARIZE1", (p,)), measured=p)


def _code_capacity(noise: Noise, p: float) -> Model:
    return Model(waiting=("DEPOLARIZE1", (p,)), once=True)


def _si1000(noise: Noise, p: float) -> Model:
    # Gidney, Newman, Fowler, Broughton, "A fault-tolerant honeycomb memory", Quantum 5, 605 (2021), table of SI1000.
    return Model(
        single=("DEPOLARIZE1", (p / 10,)),
        double=("DEPOLARIZE2", (p,)),
        prepared=2 * p,
        measured=5 * p,
        idle=p / 10,
        bystander=2 * p,
    )


def _erasure(noise: Noise, p: float) -> Model:
    assert noise.erased is not None  # the kind needs it
    return replace(_depolarizing(noise, p * (1 - noise.erased)), erased=p * noise.erased)


_MODELS: dict[str, Callable[[Noise, float], Model]] = {
    "depolarizing": _depolarizing,
    "biased": _biased,
    "phenomenological": _phenomenological,
    "code_capacity": _code_capacity,
    "si1000": _si1000,
    "erasure": _erasure,
}
