"""Reads arrays of numbers from files: text, Matrix Market, alist, NumPy. None of these formats can run code.

The size that a file claims is compared with a limit before memory is reserved for it: a header of 60 bytes can claim
a terabyte, and a compressed file of a kilobyte can hold one.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from autoqec.errors import UsageError
from autoqec.size_limits import ARRAY_BYTES, MATRIX_ENTRIES, in_words

#: Separators of numbers in text; brackets, so that a list as Python or JSON prints it is read too.
_BETWEEN = re.compile(r"[\s,;\[\]()]+")

#: NumPy's kinds of numbers: truth values, integers, floats.
_NUMBERS = "biuf"

#: Sparse formats whose indices scipy can check.
_CHECKED = ("csr", "csc", "coo")


def read_array(data: bytes, path: str, field: str, text: Callable[[str], np.ndarray]) -> Any:
    """Read an array of numbers; the file extension determines the format.

    Args:
        data: Contents of the file.
        path: Its name, for the extension and for messages.
        field: The field that names it, for messages.
        text: Reads the text formats, those of all other extensions.

    Returns:
        A NumPy array of numbers, or a scipy sparse matrix of them in COO format without duplicates.

    Raises:
        UsageError: The file does not have the format of its extension, claims a size above a limit, or has other entries
            than numbers. The message names field and file.
    """
    suffix = PurePosixPath(path).suffix
    try:
        found = _READERS[suffix](data) if suffix in _READERS else text(data.decode("utf-8-sig"))
        if isinstance(found, np.ndarray) and found.dtype.kind not in _NUMBERS:
            raise UsageError(f"its entries are {found.dtype}, not numbers")
    except UsageError as error:
        raise UsageError(f"{field}: {path}: {error.problem}", hint=error.hint, code=error.code) from error
    except UnicodeDecodeError as error:
        hint = "name a NumPy file .npy or .npz, and a Matrix Market file .mtx"
        raise UsageError(f"{field}: {path} is not a text file", hint=hint) from error
    except Exception as error:  # whatever NumPy and scipy say of a stranger's bytes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{field}: {path} cannot be read: {reason}") from error
    return found


def numbers_in_text(text: str) -> np.ndarray:
    """Read numbers separated by spaces, commas or line ends, float64 `[numbers]`; brackets are ignored, `#` starts a comment.

    Raises:
        UsageError: A word is not a number; the message has its line.
    """
    found: list[float] = []
    for number, line in enumerate(text.splitlines(), start=1):
        for word in _BETWEEN.split(line.partition("#")[0]):
            try:
                found += [float(word)] if word else []
            except ValueError as error:
                raise UsageError(f"line {number}: {word[:40]!r} is not a number") from error
    return np.array(found, dtype=np.float64)


def require_size(*shape: int) -> None:
    """Check the claimed size of an array.

    Raises:
        UsageError: It has more than `MATRIX_ENTRIES` entries, or a negative size.
    """
    if min(shape, default=0) < 0 or math.prod(shape) > MATRIX_ENTRIES:
        sizes = " by ".join(f"{size:,}" for size in shape)
        raise UsageError(f"{sizes} is too large: at most {MATRIX_ENTRIES:,} entries", code="over_limit")


def _matrix_market(data: bytes) -> Any:
    # scipy's reader ends in a segmentation fault on some damaged files.
    from scipy.sparse import coo_matrix

    header, *lines = data.decode("ascii").splitlines()
    words = header.lower().split()
    if len(words) != 5 or words[:2] != ["%%matrixmarket", "matrix"] or words[2] not in ("coordinate", "array"):
        raise UsageError("its first line is not that of a Matrix Market matrix")
    if words[3] not in ("integer", "real", "pattern") or words[4] not in ("general", "symmetric"):
        raise UsageError(f"a matrix that is {words[3]} and {words[4]} is not one of real numbers, given in full")
    rows = [line.split() for line in lines if line.strip() and not line.startswith("%")]
    sizes = [int(word) for word in rows[0]]
    require_size(*sizes[:2])
    entries = np.array([[float(word) for word in row] for row in rows[1:]], dtype=np.float64)
    if words[2] == "array":
        if words[4] != "general":
            raise UsageError("a symmetric matrix must be given by its coordinates")
        return entries.reshape(sizes[1], sizes[0]).T
    if len(entries) != sizes[2]:
        raise UsageError(f"the header claims {sizes[2]:,} entries, but there are {len(entries):,}")
    entries = entries.reshape(-1, 2 if words[3] == "pattern" else 3)
    row, column = entries[:, 0].astype(np.int64) - 1, entries[:, 1].astype(np.int64) - 1
    value = np.ones(len(entries)) if words[3] == "pattern" else entries[:, 2]
    if words[4] == "symmetric":
        mirrored = row != column
        row, column = np.concatenate([row, column[mirrored]]), np.concatenate([column, row[mirrored]])
        value = np.concatenate([value, value[mirrored]])
    return _sparse(coo_matrix((value, (row, column)), shape=sizes[:2]))


def _sparse(found: Any) -> Any:
    """Check the indices of a sparse matrix, which scipy's compiled code trusts, and add up duplicates."""
    if found.format not in _CHECKED:
        raise UsageError(f"its sparse format is {found.format}, not one of {', '.join(_CHECKED)}")
    if found.dtype.kind not in _NUMBERS:
        raise UsageError(f"its entries are {found.dtype}, not numbers")
    if found.format != "coo":
        found.check_format(full_check=True)
    plain = found.tocoo()
    plain.sum_duplicates()
    return plain


def _alist(data: bytes) -> np.ndarray:
    # http://www.inference.org.uk/mackay/codes/alist.html; short columns may be padded with zeros.
    lines = [[int(word) for word in line.split()] for line in data.decode("ascii").splitlines() if line.strip()]
    columns, rows = lines[0]
    require_size(rows, columns)
    weights = lines[2]
    if len(weights) != columns or len(lines) < 4 + columns:
        raise UsageError(f"the first line says {columns} columns, but there are fewer")
    matrix = np.zeros((rows, columns), dtype=np.uint8)
    for column, (weight, ones) in enumerate(zip(weights, lines[4 : 4 + columns], strict=True)):
        places = [place for place in ones if place]
        if len(places) != weight or not all(1 <= place <= rows for place in places):
            raise UsageError(f"column {column + 1} should have {weight} rows between 1 and {rows}, but has {places}")
        matrix[[place - 1 for place in places], column] = 1
    return matrix


def _npz(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > ARRAY_BYTES:
            raise UsageError(f"unpacked it takes {in_words(unpacked)}, over the limit of {in_words(ARRAY_BYTES)}")
        for member in archive.infolist():
            with archive.open(member) as stream:
                _check_header(stream, member.file_size)  # type: ignore[arg-type]
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        if "format" not in arrays.files:
            if len(arrays.files) != 1:
                raise UsageError(f"it has the arrays {arrays.files}, but must have exactly one")
            return np.asarray(arrays[arrays.files[0]])
        require_size(*(int(size) for size in arrays["shape"]))
    from scipy.sparse import load_npz

    return _sparse(load_npz(io.BytesIO(data)))


def _npy(data: bytes) -> np.ndarray:
    _check_header(io.BytesIO(data), len(data))
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))


def _check_header(stream: BinaryIO, size: int) -> None:
    """Check that the array which an .npy file claims to hold is no larger than the limit and the file."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise UsageError(f"its .npy version is {version}", hint="save a plain array of numbers: numpy.save")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    require_size(*shape)
    if math.prod(shape) * dtype.itemsize > size:
        raise UsageError(f"its header claims the shape {shape}, more than the file holds")


_READERS: dict[str, Callable[[bytes], Any]] = {
    ".mtx": _matrix_market,
    ".alist": _alist,
    ".npz": _npz,
    ".npy": _npy,
}
