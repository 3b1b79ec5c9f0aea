"""The errors of a flattened detector error model as flat arrays, in a few passes over its text.

An object of stim for each target takes longer than everything that is done with it: 13 s for a surface code of distance 21.
The text has every digit of a probability, so reading it loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import stim

from autoqec.problem.model_size import TAG

#: What a target is, in the first of two numbers.
_DETECTOR, _OBSERVABLE, _SEPARATOR, _END = 0, 1, 2, 3


@dataclass(frozen=True, eq=False)
class FlatErrors:
    """The errors of a model, and the pieces that it suggests to decompose them into.

    A target is a detector's number, or an observable's plus `base`. Targets of a piece or an error ascend, and one that is
    there an even number of times is left out, because its flips cancel.

    Attributes:
        probability: Of each error, float64 `[errors]`.
        whole: Targets of all errors, concatenated, int32.
        whole_start: Targets of error e are `whole[whole_start[e]:whole_start[e + 1]]`, int64 `[errors + 1]`.
        piece: Targets of all pieces, concatenated, int32.
        piece_start: Targets of piece k are `piece[piece_start[k]:piece_start[k + 1]]`, int64 `[pieces + 1]`.
        owner_start: Pieces of error e are `owner_start[e]` to `owner_start[e + 1]`, int64 `[errors + 1]`. One may be empty.
        base: The number of detectors.
        cancels: Whether a piece has a target more than once.
    """

    probability: np.ndarray
    whole: np.ndarray
    whole_start: np.ndarray
    piece: np.ndarray
    piece_start: np.ndarray
    owner_start: np.ndarray
    base: int
    cancels: bool

    def __len__(self) -> int:
        return len(self.probability)

    @property
    def pair_like(self) -> bool:
        """Whether no error as a whole flips more than two detectors."""
        return bool((self.detectors_of(self.whole, self.whole_start) <= 2).all())

    @property
    def decomposed(self) -> bool:
        """Whether the model suggests a decomposition of any error, or an error has targets that cancel."""
        return self.cancels or len(self.piece_start) - 1 > len(self)

    def named(self, targets: np.ndarray) -> str:
        """Targets as a model writes them, such as `D0 D3 L1`."""
        return " ".join(f"D{each}" if each < self.base else f"L{each - self.base}" for each in targets.tolist())

    def detectors_of(self, targets: np.ndarray, start: np.ndarray) -> np.ndarray:
        """How many detectors each error, or each piece, flips, int64."""
        before = np.concatenate([[0], np.cumsum(targets < self.base)])
        return np.asarray(before[start[1:]] - before[start[:-1]])


def flat_errors(dem: stim.DetectorErrorModel) -> FlatErrors:
    """Read the errors of a flattened model.

    Args:
        dem: Flattened, and within the limits of `model_size.check_model`.
    """
    text = str(dem)
    if "[" in text:
        text = TAG.sub(r"\1", text)
    lines = [line for line in text.split("\n") if line.startswith("error(")]
    cuts = [line.index(")") for line in lines]
    probability = np.array([float(line[6:cut]) for line, cut in zip(lines, cuts, strict=True)], dtype=np.float64)
    body = "\n".join([line[cut + 1 :] for line, cut in zip(lines, cuts, strict=True)]) + "\n" if lines else ""
    base = dem.num_detectors
    kind, value = _numbers(body)
    ends = kind == _END
    error = np.cumsum(ends) - ends
    breaks = ends | (kind == _SEPARATOR)
    piece = np.cumsum(breaks) - breaks
    real = kind <= _OBSERVABLE
    target = np.where(kind[real] == _DETECTOR, value[real], value[real] + base)
    wholes, whole_start = _odd(error[real], target, len(lines))
    pieces, piece_start = _odd(piece[real], target, int(breaks.sum()))
    owner_start = np.concatenate([[0], np.cumsum(breaks)[ends]])
    return FlatErrors(
        probability, wholes, whole_start, pieces, piece_start, owner_start, base, len(pieces) < len(target)
    )


def without_pieces(errors: FlatErrors) -> FlatErrors:
    """The same errors, each in one piece."""
    places = np.arange(len(errors) + 1)
    return replace(errors, piece=errors.whole, piece_start=errors.whole_start, owner_start=places)


def _numbers(body: str) -> tuple[np.ndarray, np.ndarray]:
    """Kind and number of each target, separator and end of a line, in their order."""
    if not body:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for letters, kind in (("D", "0 "), ("L", "1 "), ("^", "2 0"), ("\n", " 3 0\n")):
        body = body.replace(letters, kind)
    pairs = np.fromstring(body, dtype=np.int64, sep=" ").reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _odd(group: np.ndarray, target: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """The targets that each group has an odd number of times, ascending, and where each group starts."""
    size = int(target.max(initial=0)) + 1
    key = np.sort(group * size + target)
    first = np.concatenate([[True], key[1:] != key[:-1]])[: len(key)]
    if not first.all():
        places = np.flatnonzero(first)
        times = np.diff(np.append(places, len(key)))
        key = key[places[times % 2 == 1]]
    group, target = np.divmod(key, size)
    start = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))])
    return target.astype(np.int32), start
