"""Seeds: derives the seed of each chunk of a stream of shots from a key, the stream's domain and the chunk's index.

A chunk's seed is the first 8 bytes of HMAC-SHA256(key, domain and index). Nobody can guess it without the key, and two
domains share a seed only by a 64-bit coincidence.
"""

from __future__ import annotations

import hashlib
import hmac


def derive_key(key: bytes, *parts: str | int | bytes) -> bytes:
    """Derive a 32-byte key from a parent key and length-prefixed parts, so that different lists never collide."""
    encoded = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    message = b"".join(len(part).to_bytes(8, "big") + part for part in encoded)
    return hmac.new(key, message, hashlib.sha256).digest()


def derive_seed(key: bytes, domain: str, index: int) -> int:
    """Derive the 64-bit seed of chunk `index` of a domain such as `train`, `dev` or `holdout`."""
    return int.from_bytes(derive_key(key, domain, index)[:8], "big")
