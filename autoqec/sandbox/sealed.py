"""A sealed candidate: files and weights as bytes, fixed before any shot it is judged on exists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from autoqec.size_limits import WEIGHTS_HEADER_BYTES

#: Bytes of code that cost no parameters. The largest honest module that we know of takes a quarter.
FREE_CODE_BYTES = 16 * 1024

#: What comes of reading a header that is not one, or that is nested so deeply that no reader follows.
_NO_HEADER = (ValueError, TypeError, KeyError, AttributeError, RecursionError)

_FILE = "file:"
_WEIGHTS = "weights"


@dataclass(frozen=True)
class SealedCandidate:
    """What a verifier judges.

    Attributes:
        files: Contents by path relative to the candidate directory.
        weights: safetensors bytes.
    """

    files: Mapping[str, bytes]
    weights: bytes

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights, 64 hex digits."""
        return hashlib.sha256(self.weights).hexdigest()

    @property
    def digest(self) -> str:
        """SHA-256 over files and weights, 64 hex digits: changes when anything that could change an answer does."""
        whole = hashlib.sha256()
        for path in sorted(self.files):
            for part in (path.encode(), self.files[path]):
                whole.update(len(part).to_bytes(8, "big") + part)
        whole.update(self.weights)
        return whole.hexdigest()

    @property
    def numbers(self) -> int:
        """How many numbers of at most four bytes the weights hold, by their header; 0 if they are not safetensors."""
        try:
            return sum(_numbers_of(entry) for name, entry in self._header().items() if name != "__metadata__")
        except _NO_HEADER:
            return 0

    def _header(self) -> Any:
        """What the weights say of their tensors; empty if it is too long to be read."""
        length = int.from_bytes(self.weights[:8], "little")
        return json.loads(self.weights[8 : 8 + length] or b"{}") if length <= WEIGHTS_HEADER_BYTES else {}

    def floats(self, name: str) -> bytes | None:
        """The bytes of one tensor of float32 in the weights, read without a library; None if there is no tensor of this name.

        Raises:
            ValueError: The weights are not safetensors, or the tensor has another type.
        """
        try:
            entry = self._header().get(name)
            if entry is None:
                return None
            first, end = entry["data_offsets"]
            start = 8 + int.from_bytes(self.weights[:8], "little")
            if entry["dtype"] == "F32" and 0 <= first <= end <= len(self.weights) - start and (end - first) % 4 == 0:
                return self.weights[start + first : start + end]
        except _NO_HEADER as error:
            raise ValueError("the weights are not a safetensors file") from error
        raise ValueError(f"weight {name} does not hold numbers of type float32")

    @property
    def size(self) -> int:
        """Bytes of files and weights."""
        return len(self.weights) + sum(map(len, self.files.values()))

    @property
    def code_bytes(self) -> int:
        """Bytes of the candidate's own code."""
        return sum(len(data) for path, data in self.files.items() if path.endswith(".py"))

    def parameters(self, constants: int = 0) -> int:
        """The parameters that the candidate is charged.

        Args:
            constants: Numbers that its recorded stages hold besides its weights.

        Returns:
            The numbers in its weights and these, and one for each four bytes of code beyond `FREE_CODE_BYTES`: numbers can be
            written there too.
        """
        return self.numbers + constants + -(-max(0, self.code_bytes - FREE_CODE_BYTES) // 4)

    def to_blobs(self) -> dict[str, bytes]:
        """As named byte strings for a channel."""
        return {f"{_FILE}{path}": data for path, data in self.files.items()} | {_WEIGHTS: self.weights}

    @staticmethod
    def from_blobs(blobs: Mapping[str, bytes]) -> SealedCandidate:
        """The inverse of `to_blobs`; other names are ignored."""
        files = {name.removeprefix(_FILE): bytes(data) for name, data in blobs.items() if name.startswith(_FILE)}
        return SealedCandidate(files, bytes(blobs.get(_WEIGHTS, b"")))


def _numbers_of(entry: Mapping[str, Any]) -> int:
    """The numbers of one tensor in the header of a safetensors file: one of eight bytes counts as two."""
    first, last = entry["data_offsets"]
    return max(prod(entry["shape"]), -(-(last - first) // 4))
