"""`ensemble.yaml`, the optional file of a candidate that has its pipeline asked several times about a shot.

The decoders' process and the candidate's schema read it with the same model, so the candidate has no other say in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from autoqec.candidate_paths import ENSEMBLE_FILE
from autoqec.canonical import load_yaml
from autoqec.errors import UsageError
from autoqec.problem.environment import validated


class Ensemble(BaseModel):
    """How many members there are, in what they differ, and how an answer is chosen among their solutions.

    Each member is a set of beliefs about a shot, which the decoder solves in every class that it can tell apart. The first are
    passes of the pipeline, from disordered priors; the others are these passes' beliefs, disordered in turn. The first pass is
    the pipeline as it is.

    Attributes:
        members: How many there are at most.
        passes: How many of them are passes of the pipeline. Later members take turns at disordering the beliefs of these.
        prior_spread: Standard deviation of the disorder of each mechanism's prior log-likelihood ratio, in nats.
        belief_spread: The same of each mechanism's belief.
        seed: Of the disorder.
        select: `class_sum`: the logical class whose distinct solutions are the most probable in sum. `least_weight`: the class of
            the likeliest solution by the priors.
        gap_share: With `class_sum`, how much the first member's own log-likelihood of each class adds, where its decoder can
            tell classes apart. Training may learn other coefficients.
        agree: A shot is done after so many members, or any later one, if the class that all of them prefer is ahead by
            `margin`; 0 for never.
        margin: See `agree`; in nats.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: int = Field(default=8, ge=1, le=256)
    passes: int = Field(default=1, ge=1, le=64)
    prior_spread: float = Field(default=1.0, ge=0.0, le=20.0, allow_inf_nan=False)
    belief_spread: float = Field(default=1.0, ge=0.0, le=20.0, allow_inf_nan=False)
    seed: int = Field(default=1, ge=0, lt=2**32)
    select: Literal["class_sum", "least_weight"] = "class_sum"
    gap_share: float = Field(default=0.25, ge=0.0, le=4.0, allow_inf_nan=False)
    agree: int = Field(default=4, ge=0, le=256)
    margin: float = Field(default=4.0, ge=0.0, le=50.0, allow_inf_nan=False)


def read_ensemble(files: Mapping[str, bytes]) -> Ensemble | None:
    """The ensemble of a candidate; None if it has no `ensemble.yaml`.

    Args:
        files: The candidate's files by path.

    Raises:
        UsageError: The file is malformed or has an invalid field; the message names it.
    """
    if ENSEMBLE_FILE not in files:
        return None
    ensemble: Ensemble = validated(Ensemble, load_yaml(files[ENSEMBLE_FILE], name=ENSEMBLE_FILE), ENSEMBLE_FILE)
    return ensemble


def require_solutions(offered: bool, decoder: str) -> None:
    """Refuse an ensemble in front of a decoder that has no solutions to choose among.

    Args:
        offered: Whether the environment's decoder offers solutions.
        decoder: Its name, for messages.

    Raises:
        UsageError: It does not.
    """
    if offered:
        return
    problem = f"decoder {decoder!r} offers no solutions to choose among"
    raise UsageError(
        f"{ENSEMBLE_FILE}: {problem}",
        hint=f"remove {ENSEMBLE_FILE}, or use an environment whose decoder is mwpm, osd or bp_lsd",
        code="ensemble_not_offered",
        about={"file": ENSEMBLE_FILE, "problem": problem},
    )
