"""Reads binary matrices and probabilities from files beside an environment; `array_files` has the formats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autoqec.errors import UsageError
from autoqec.problem.array_files import numbers_in_text, read_array, require_size


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
    found = read_array(data, path, field, _rows_in_text)
    if found.ndim != 2 or 0 in found.shape:
        raise UsageError(f"{field}: {path} has shape {found.shape}, but must be a non-empty matrix")
    dense = isinstance(found, np.ndarray)
    entries = found if dense else found.data
    wrong = (entries != 0) & (entries != 1)
    if wrong.any():
        place = np.argwhere(wrong)[0]
        row, column = place if dense else (found.row[place[0]], found.col[place[0]])
        raise UsageError(
            f"{field}: {path}: entry {entries[tuple(place)]:g} at row {row}, column {column} is neither 0 nor 1"
        )
    matrix = found.astype(np.uint8)
    return np.asarray(matrix if dense else matrix.toarray())


def read_priors(data: bytes, path: str, field: str, count: int) -> np.ndarray:
    """Read the probability of each mechanism; the formats are those of `read_matrix`, and text may have any layout.

    Args:
        data: Contents of the file.
        path: Its name, for the extension and for messages.
        field: The field that names it, for messages.
        count: How many mechanisms there are.

    Returns:
        As `checked_priors`.

    Raises:
        UsageError: The file cannot be read, or as `checked_priors`.
    """
    found = read_array(data, path, field, numbers_in_text)
    dense = found if isinstance(found, np.ndarray) else found.toarray()
    if dense.ndim > 2 or (dense.ndim == 2 and 1 not in dense.shape):
        raise UsageError(f"{field}: {path} has shape {dense.shape}, but must be a list of {count} probabilities")
    return checked_priors(dense.reshape(-1), f"{field}: {path}", count)


def checked_priors(values: Sequence[float] | np.ndarray, name: str, count: int) -> np.ndarray:
    """Check the probability of each mechanism.

    Args:
        values: The probabilities. A mechanism of probability 0 never fires; it is left out of the problem.
        name: The source, for messages.
        count: How many mechanisms there are.

    Returns:
        float64 `[count]`, each at least 0 and below 1.

    Raises:
        UsageError: Their number is wrong, or one is no probability below 1; the message has its place, from 0.
    """
    priors = np.asarray(values, dtype=np.float64)
    if len(priors) != count:
        raise UsageError(f"{name} has {len(priors)} numbers for {count} mechanisms")
    wrong = np.flatnonzero(~((priors >= 0) & (priors < 1)))
    if len(wrong):
        value = priors[wrong[0]]
        why = "always fires" if value == 1 else "is not at least 0 and below 1"
        raise UsageError(
            f"{name}: mechanism {wrong[0]} has probability {value:g}, which {why}",
            hint="a mechanism that never fires has probability 0; one that always fires is no error",
        )
    return priors


def _rows_in_text(text: str) -> np.ndarray:
    rows: list[np.ndarray] = []
    for number, line in enumerate(text.splitlines(), start=1):
        entries = "".join(line.partition("#")[0].replace(",", " ").split())
        if not entries:
            continue
        if set(entries) - {"0", "1"}:
            raise UsageError(
                f"line {number} has characters other than 0 and 1", hint="write one row per line, for example 1 0 1 1"
            )
        if rows and len(entries) != len(rows[0]):
            raise UsageError(f"line {number} has {len(entries)} entries, but the first row has {len(rows[0])}")
        rows.append(np.frombuffer(entries.encode("ascii"), dtype=np.uint8) - ord("0"))
    require_size(len(rows), len(rows[0]) if rows else 0)
    return np.array(rows, dtype=np.uint8).reshape(len(rows), -1 if rows else 0)
