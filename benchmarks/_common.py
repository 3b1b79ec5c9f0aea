"""What the benchmarks share: one thread, the same problem, times that outliers do not move, and two ways to print."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def one_thread() -> None:
    """Keep every library on one thread; call before importing any of them."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"


def arguments(description: str, **numbers: tuple[int, str]) -> argparse.Namespace:
    """Parse `--json` and one integer flag per keyword, `name=(default, help)`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    for name, (default, text) in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} (default: {default})")
    return parser.parse_args()


def microseconds(work: Callable[[], object], shots: int, repeats: int = 5) -> float:
    """Least time of several, per shot: on a busy machine every other one measures the neighbours."""
    times = []
    for _ in range(repeats):
        begin = perf_counter()
        work()
        times.append(perf_counter() - begin)
    return min(times) / shots * 1e6


def show(title: str, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print rows as a table with the facts below, or everything as one JSON object."""
    if as_json:
        print(json.dumps({"schema": f"autoqec.benchmark.{title}/1", "rows": rows, **facts}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for name in rows[0]:
        table.add_column(name, justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    console = Console()
    console.print(table)
    for name, value in facts.items():
        console.print(f"{name}: {value}")
