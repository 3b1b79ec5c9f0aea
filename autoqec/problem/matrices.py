"""Binary matrices as files beside an environment: text, Matrix Market, alist, NumPy; none of them can run code."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath

import numpy as np

from autoqec.errors import UsageError

#: A dense matrix beyond this (64 MB) is no code that a laptop decodes.
_MAX_ENTRIES = 64 * 1024 * 1024


def read_matrix(data: bytes, path: str, field: str) -> np.ndarray:
    """Read a matrix of 0 and 1; the ending of the path says how.

    | ending | is |
    |---|---|
    | `.mtx` | Matrix Market, coordinate or array |
    | `.alist` | MacKay's alist: sizes, largest weights, weights, then the rows of ones of each column, from 1 |
    | `.npz` | `scipy.sparse.save_npz`, or `numpy.savez` of one array |
    | `.npy` | `numpy.save` |
    | else | text, one row a line, entries 0 and 1 with or without spaces, `#` begins a comment |

    Args:
        data: The file.
        path: Its name, for its ending and for messages.
        field: The field that names it, for messages.

    Returns:
        uint8 `[rows, columns]`, at least one row and one column.

    Raises:
        UsageError: It is none of these, too large, empty, or has an entry other than 0 and 1.
    """
    reader = _READERS.get(PurePosixPath(path).suffix, _text)
    try:
        matrix = reader(data)
    except UsageError as error:
        raise UsageError(f"{field}: {path}: {error.problem}", hint=error.hint) from error
    except (ValueError, IndexError, KeyError, OSError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{field}: {path} cannot be read as a matrix: {reason}") from error
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise UsageError(f"{field}: {path} has shape {matrix.shape}; a matrix with rows and columns is needed")
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
                f"line {number} has something other than 0 and 1", hint="one row a line, for example 1 0 1 1"
            )
        if rows and len(entries) != len(rows[0]):
            raise UsageError(f"line {number} has {len(entries)} entries, and the first row {len(rows[0])}")
        rows.append([int(entry) for entry in entries])
    return np.array(rows, dtype=np.uint8).reshape(len(rows), -1 if rows else 0)


def _matrix_market(data: bytes) -> np.ndarray:
    from scipy.io import mminfo, mmread

    rows, columns, *_ = mminfo(io.BytesIO(data))
    _require_size(rows, columns)
    matrix = mmread(io.BytesIO(data))
    return np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray())


def _alist(data: bytes) -> np.ndarray:
    # http://www.inference.org.uk/mackay/codes/alist.html; short columns may be filled up with zeros or not.
    lines = [[int(word) for word in line.split()] for line in data.decode("ascii").splitlines() if line.strip()]
    columns, rows = lines[0]
    _require_size(rows, columns)
    weights = lines[2]
    if len(weights) != columns or len(lines) < 4 + columns:
        raise UsageError(f"its first line promises {columns} columns, and there are fewer")
    matrix = np.zeros((rows, columns), dtype=np.uint8)
    for column, (weight, ones) in enumerate(zip(weights, lines[4 : 4 + columns], strict=True)):
        places = [place for place in ones if place]
        if len(places) != weight or not all(1 <= place <= rows for place in places):
            raise UsageError(f"column {column + 1} should have {weight} rows between 1 and {rows}, and has {places}")
        matrix[[place - 1 for place in places], column] = 1
    return matrix


def _npz(data: bytes) -> np.ndarray:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        if "format" not in archive.files:
            if len(archive.files) != 1:
                raise UsageError(f"it has arrays {archive.files}; one is needed")
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
