"""Runs slow reference decoders on the shots that the plain decoder is least sure of; the others keep the plain answer.

A random sample of the others is decoded too, and only compared: it says how many answers are missed. Which shots these are
depends on the shots of a chunk and the judge's seed alone, never on a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf

import numpy as np

from autoqec.decoding.compile_decoder import GATE
from autoqec.decoding.decoder_contract import ConfidentDecoder, Decoded, SharingDecoder
from autoqec.plugins import Registry
from autoqec.problem.environment import Choice
from autoqec.scoring.plain_answers import PlainAnswers
from autoqec.scoring.reference_runs import GateCounts

#: The part of a chunk that is sent, and of the others that is sampled.
SENT, SAMPLED = 1 / 10, 1 / 32

#: Of a gap in nats: no surer shot is sent. The search goes to the first of these values, and on where it found too few.
GAPS = (6.0, 12.0)

#: Where belief propagation converged or did not, all shots on which it did not are sent.
_NOT_CONVERGED = 0.5

#: The capability of decoders that run behind a gate.
_SLOW = "slow"


def runs_behind_gate(choice: Choice, registry: Registry) -> bool:
    """Whether a reference runs behind a gate if the environment's decoder has a confidence."""
    return GATE not in choice.fields and bool(registry.get("decoder", choice.kind).capabilities.get(_SLOW))


@dataclass(frozen=True)
class Chosen:
    """Which shots a slow reference decodes.

    Attributes:
        plain: The plain answers to all shots.
        sent, sampled: Their places.
    """

    plain: Decoded
    sent: np.ndarray
    sampled: np.ndarray


def choose(decoder: ConfidentDecoder, syndromes: np.ndarray, seed: int) -> Chosen:
    """Choose the shots of a chunk that slow references decode.

    Args:
        decoder: The environment's decoder.
        syndromes: Of a whole chunk.
        seed: Of the sample; nobody but the judge can know it.
    """
    shots = len(syndromes)
    most = ceil(SENT * shots)
    if decoder.confidence_kind == "converged":
        plain, confidence = decoder.decode_with_confidence(syndromes, 1.0)
        sent = np.flatnonzero(confidence <= _NOT_CONVERGED)
    else:
        plain, confidence = _least_sure(decoder, syndromes, most)
        largest = GAPS[-1] if decoder.confidence_kind == "gap" else inf
        order = np.argsort(confidence, kind="stable")[:most]
        sent = np.sort(order[confidence[order] <= largest])
    others = np.setdiff1d(np.arange(shots), sent)
    sampled = np.random.default_rng(seed).choice(others, ceil(SAMPLED * len(others)), replace=False)
    return Chosen(plain, sent, np.sort(sampled))


def _least_sure(decoder: ConfidentDecoder, syndromes: np.ndarray, most: int) -> tuple[Decoded, np.ndarray]:
    """Confidences, exact as far as the least sure of so many shots."""
    if decoder.confidence_kind != "gap":
        return decoder.decode_with_confidence(syndromes)
    for at_most in GAPS:
        plain, confidence = decoder.decode_with_confidence(syndromes, at_most)
        if int((confidence <= at_most).sum()) >= most:
            break
    return plain, confidence


class FromLeft:
    """A decoder that begins where the first part of another one ended, of which each shot's row is its beliefs.

    Args:
        decoder: One with the same first part.
    """

    def __init__(self, decoder: SharingDecoder):
        self._decoder = decoder

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """See `SharingDecoder.decode_unsure`."""
        return self._decoder.decode(syndromes) if beliefs is None else self._decoder.decode_unsure(syndromes, beliefs)


def decode_unsure(
    plain: PlainAnswers,
    syndromes: np.ndarray,
    left: np.ndarray | None,
    decode: Callable[[np.ndarray, np.ndarray | None], Decoded],
) -> Decoded:
    """The answers of a decoder that gives the plain ones where the plain decoder is sure: it need not decode these again.

    Args:
        plain: The environment's decoder, a `SharingDecoder`.
        syndromes: Of a whole chunk.
        left: What its first part left of those that it is not sure of; None if that is not known.
        decode: Decodes some with the other decoder, from what is left of them if it is given.
    """
    assert isinstance(plain, ConfidentDecoder)
    decoded, confidence = plain.decode_with_confidence(syndromes)
    unsure = confidence <= 0
    if not unsure.any():
        return decoded
    observables, invalid = decoded.observables.copy(), decoded.invalid.copy()
    found = decode(syndromes[unsure], left)
    observables[unsure], invalid[unsure] = found.observables, found.invalid
    return Decoded(observables, invalid)


def decode_chosen(
    chosen: Chosen, syndromes: np.ndarray, decode: Callable[[np.ndarray], Decoded]
) -> tuple[Decoded, GateCounts]:
    """A slow reference's answers to a chunk.

    Args:
        chosen: Which shots it decodes.
        syndromes: All of them.
        decode: Decodes some.

    Returns:
        The answers, and how many shots it decoded.
    """
    observables, invalid = chosen.plain.observables.copy(), chosen.plain.invalid.copy()
    both = np.concatenate([chosen.sent, chosen.sampled])
    found = decode(syndromes[both])
    sent = len(chosen.sent)
    observables[chosen.sent], invalid[chosen.sent] = found.observables[:sent], found.invalid[:sent]
    other = (found.observables[sent:] != chosen.plain.observables[chosen.sampled]).any(axis=1)
    differing = int((other | (found.invalid[sent:] != chosen.plain.invalid[chosen.sampled])).sum())
    return Decoded(observables, invalid), GateCounts(sent, len(chosen.sampled), differing)
