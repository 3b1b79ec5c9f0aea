"""Noise models: the channels of each kind of noise, and where they act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

from autoqec.problem.noise import Noise

#: A stim noise instruction and its arguments.
Channel = tuple[str, tuple[float, ...]]


@dataclass(frozen=True)
class Model:
    """The channels of a noise model. None and 0 mean no noise.

    Attributes:
        waiting: Channel on the data qubits at the start of every round.
        pausing: Channel on idle data qubits, where the circuit marks them with `I[pause]`; models with `idle` find idle
            qubits without marks.
        once: Whether `waiting` acts in the first round only.
        single: Channel after each one-qubit gate.
        double: Channel after each two-qubit gate, on pairs.
        prepared: Probability that a reset prepares the opposite state.
        measured: Probability that a measurement result flips.
        idle: Depolarization of each qubit that is idle in a layer.
        bystander: Depolarization, in a layer with measurements or resets, of each qubit not measured or reset.
        erased: Probability of a heralded erasure of a data qubit at the start of every round.
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
    """Return the model of a kind of noise at physical error rate p; see `docs/environments.md` for the kinds."""
    return _MODELS[noise.kind](noise, p)


def _depolarizing(noise: Noise, p: float) -> Model:
    one: Channel = ("DEPOLARIZE1", (p,))
    return Model(waiting=one, pausing=one, single=one, double=("DEPOLARIZE2", (p,)), prepared=p, measured=p)


def _biased(noise: Noise, p: float) -> Model:
    # Two qubits: IZ, ZI and ZZ share the probability that Z has on one qubit; the other twelve errors share the rest.
    assert noise.eta is not None  # validated by `Noise`
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
    assert noise.erased is not None  # validated by `Noise`
    return replace(_depolarizing(noise, p * (1 - noise.erased)), erased=p * noise.erased)


_MODELS: dict[str, Callable[[Noise, float], Model]] = {
    "depolarizing": _depolarizing,
    "biased": _biased,
    "phenomenological": _phenomenological,
    "code_capacity": _code_capacity,
    "si1000": _si1000,
    "erasure": _erasure,
}
