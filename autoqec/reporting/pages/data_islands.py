"""Data inside a page: JSON that no element can end, and texts that a script unpacks when they are asked for.

Neither runs: a browser does not execute an element `script` whose type is no script's. JSON is written without `<`, `>` and `&`,
so that nothing in it ends the element; what is packed is base64 of raw DEFLATE, which `DecompressionStream` reads.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from typing import Any

from markupsafe import Markup

#: Characters that could end an element or begin a comment; JSON has codes for them.
_ESCAPES = {ord(each): f"\\u{ord(each):04x}" for each in "<>&"}

#: zlib's name of DEFLATE without a header, and its best level.
_RAW, _LEVEL = -15, 9


def json_text(value: Any) -> Markup:
    """A value as JSON that can stand in an element of a page.

    Raises:
        ValueError: It has a number that JSON lacks.
    """
    return Markup(json.dumps(value, allow_nan=False).translate(_ESCAPES))  # noqa: S704 - no markup is left


def packed(text: str) -> str:
    """A text as base64 of raw DEFLATE. Half of a surrogate pair, which UTF-8 lacks, becomes a question mark."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    return b64encode(deflate.compress(text.encode("utf-8", "replace")) + deflate.flush()).decode()


def unpacked(text: str) -> str:
    """The inverse of `packed`."""
    return zlib.decompress(b64decode(text), _RAW).decode()
