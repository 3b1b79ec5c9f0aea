"""Seeds: every stream of shots is keyed, cut into chunks, and separated from every other by its domain.

A chunk's seed is the first 8 bytes of HMAC-SHA256(key, domain and index): without the key it cannot be guessed, and no
two domains share a seed except by a 64-bit accident.
"""

from __future__ import annotations

import hashlib
import hmac


def derive_key(key: bytes, *parts: str | int | bytes) -> bytes:
    """A 32-byte key for one purpose, from a parent key and length-prefixed parts (so that no two lists collide)."""
    encoded = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    message = b"".join(len(part).to_bytes(8, "big") + part for part in encoded)
    return hmac.new(key, message, hashlib.sha256).digest()


def derive_seed(key: bytes, domain: str, index: int) -> int:
    """A 64-bit seed for chunk `index` of a domain such as `train`, `dev` or `holdout`."""
    return int.from_bytes(derive_key(key, domain, index)[:8], "big")
