"""Reads binary matrices from files: text, Matrix Market, alist, NumPy. None of these formats can run code."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath

import numpy as np

from autoqec.errors import UsageError

#: Maximum size of a dense matrix (64 MB); a laptop cannot decode larger codes.
_MAX_ENTRIES = 64 * 1024 * 1024


def read_matrix(data: bytes, path: str, field: str) -> np.ndarray:
    """Read a matrix of 0 and 1; the file extension determines the format.

    | extension | format |
    |---|---|
    | `.mtx` | Matrix Market, coordinate or array |
    | `.alist` | MacKay's alist: sizes, largest weights, weights, then for each column the rows of its ones, from 1 |
    | `.npz` | `scipy.sparse.save_npz`, or `numpy.savez` of one array |
    | `.npy` | `numpy.save` |
    | other | text, one row per line, entries 0 and 1 with or without spaces; `#` starts a comment |

    Args:
        data: Contents of the file.
        path: Its name, for the extension and for messages.
        field: The field that names it, for messages.

    Returns:
        uint8 `[rows, columns]`, at least one row and one column.

    Raises:
        UsageError: The file has none of these formats, is too large or empty, or has an entry other than 0 and 1.
    """
    reader = _READERS.get(PurePosixPath(path).suffix, _text)
    try:
        matrix = reader(data)
    except UsageError as error:
        raise UsageError(f"{field}: {path}: {error.problem}", hint=error.hint) from error
    except (ValueError, IndexError, KeyError, OSError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{field}: {path} is not a readable matrix: {reason}") from error
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise UsageError(f"{field}: {path} has shape {matrix.shape}, but must be a non-empty matrix")
    if not np.isin(matrix, (0, 1)).all():
        row, column = np.argwhere(~np.isin(matrix, (0, 1)))[0]
        raise UsageError(
            f"{field}: {path}: entry {matrix[row, column]} at row {row}, column {column} is neither 0 nor 1"
        )
    return matrix.astype(np.uint8)


def _text(data: bytes) -> np.ndarray:
    rows: list[list[int]] = []
    for number, line in enumerate(data.decode("ascii").splitlines(), start=1):
        entries = "".join(line.partition("#")[0].replace(",", " ").split())
        if not entries:
            continue
        if set(entries) - {"0", "1"}:
            raise UsageError(
                f"line {number} has characters other than 0 and 1", hint="write one row per line, for example 1 0 1 1"
            )
        if rows and len(entries) != len(rows[0]):
            raise UsageError(f"line {number} has {len(entries)} entries, but the first row has {len(rows[0])}")
        rows.append([int(entry) for entry in entries])
    return np.array(rows, dtype=np.uint8).reshape(len(rows), -1 if rows else 0)


def _matrix_market(data: bytes) -> np.ndarray:
    from scipy.io import mminfo, mmread

    rows, columns, *_ = mminfo(io.BytesIO(data))
    _require_size(rows, columns)
    matrix = mmread(io.BytesIO(data))
    return np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray())


def _alist(data: bytes) -> np.ndarray:
    # http://www.inference.org.uk/mackay/codes/alist.html; short columns may be padded with zeros.
    lines = [[int(word) for word in line.split()] for line in data.decode("ascii").splitlines() if line.strip()]
    columns, rows = lines[0]
    _require_size(rows, columns)
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


def _npz(data: bytes) -> np.ndarray:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        if "format" not in archive.files:
            if len(archive.files) != 1:
                raise UsageError(f"it has the arrays {archive.files}, but must have exactly one")
            return np.asarray(archive[archive.files[0]])
        _require_size(*(int(size) for size in archive["shape"]))
    from scipy.sparse import load_npz

    return np.asarray(load_npz(io.BytesIO(data)).toarray())


def _npy(data: bytes) -> np.ndarray:
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))


_READERS: dict[str, Callable[[bytes], np.ndarray]] = {
    ".mtx": _matrix_market,
    ".alist": _alist,
    ".npz": _npz,
    ".npy": _npy,
}


def _require_size(rows: int, columns: int) -> None:
    if rows * columns > _MAX_ENTRIES:
        raise UsageError(f"{rows} by {columns} is too large: at most {_MAX_ENTRIES:,} entries")
