"""Mutation testing of the code that decides what a record is worth: changes it in small ways and sees whether a test notices.

    python tests/mutate.py [--sample 60] [--seed 1] [--seconds 1800] [--only statistics]

A mutant is one changed comparison, operator, boolean or number of a module. Its tests run in a process of their own, in which the
changed source is compiled in place of the file; no file is written. A mutant that no test notices survives, and is printed. The
sample is drawn with the seed, so the same call makes the same mutants; it ends after the given time, and says how far it came.
`tests/mutants.md` lists the survivors that were looked at, each with the reason why no test notices.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).parent.parent

#: The modules, and the tests that are about each; the quickest first.
AGREE = "tests/trust/test_autoqec_check.py"
TESTS = {
    "autoqec/results/statistics.py": ["tests/results/test_statistics.py", "tests/results/test_chain.py", AGREE],
    "autoqec/results/decision.py": ["tests/results/test_reasons.py", AGREE],
    "autoqec/results/harm.py": ["tests/results/test_harm.py", AGREE],
    "autoqec/results/distance.py": ["tests/results/test_distance.py", AGREE],
    "autoqec/results/audit.py": ["tests/results/test_reasons.py", "tests/results/test_chain.py", AGREE],
    "autoqec/results/interval_ends.py": ["tests/results/test_trust.py", AGREE],
    "autoqec/results/chain.py": ["tests/results/test_chain.py", "tests/trust/test_check_of_labs.py"],
    "autoqec/results/trust/line_trust.py": ["tests/results/test_trust.py", "tests/trust/test_check_of_labs.py"],
    "autoqec/history/rounds/signatures.py": ["tests/history/test_signatures.py", "tests/trust/test_check_of_labs.py"],
}

_COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}


def changes(tree: ast.AST) -> Iterator[tuple[ast.AST, str, object]]:
    """Every node that can be changed, with the field to change and its new value."""
    hints = {id(inner) for node in ast.walk(tree) for hint in _hints(node) for inner in ast.walk(hint)}
    for node in ast.walk(tree):
        if id(node) in hints:
            continue
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
            yield node, "ops", [_COMPARISONS[type(node.ops[0])](), *node.ops[1:]]
        elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            yield node, "op", _OPERATORS[type(node.op)]()
        elif isinstance(node, ast.BoolOp):
            yield node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And()
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node, "op", ast.UAdd()  # `+x` of a bool is as true as x
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield node, "value", not node.value
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            yield node, "value", node.value + 1 if isinstance(node.value, int) else node.value * 1.5


def _hints(node: ast.AST) -> list[ast.AST]:
    return [found for name in ("annotation", "returns") if (found := getattr(node, name, None)) is not None]


def mutant(source: str, number: int) -> tuple[str, str]:
    """The source with its change of this number made, and a description of it."""
    tree = ast.parse(source)
    node, field, value = list(changes(tree))[number]
    place, before = node.lineno, ast.unparse(node)  # type: ignore[attr-defined]
    setattr(node, field, value)
    return ast.unparse(ast.fix_missing_locations(tree)), f"line {place}: {before}  ->  {ast.unparse(node)}"


class _Changed(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Loads one module from a changed source, and leaves the others to those who load them."""

    def __init__(self, name: str, path: str, source: str):
        super().__init__(name, path)
        self._source = source

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> object:
        """The module's spec; None for others."""
        return importlib.machinery.ModuleSpec(fullname, self, origin=self.path) if fullname == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        """The code of the changed source."""
        return compile(self._source, self.path, "exec")


def run_tests(path: str, number: int, tests: Sequence[str]) -> int:
    """In a process of its own: run tests against a mutant; the exit code is pytest's."""
    import pytest

    name = path.removesuffix(".py").replace("/", ".")
    sys.meta_path.insert(0, _Changed(name, str(ROOT / path), mutant((ROOT / path).read_text(), number)[0]))
    return int(pytest.main(["-x", "-q", "-n0", "-p", "no:cacheprovider", "--no-header", *tests]))


def notices(path: str, number: int, seconds: float) -> bool:
    """Whether a test fails, or does not end in time, with this mutant in the module's place."""
    command = [sys.executable, __file__, "--run", path, str(number)]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main() -> int:
    """Draw mutants, run their tests and print those that survive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sample", type=int, default=60, help="mutants to make")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1800.0, help="time after which no further mutant is made")
    parser.add_argument("--only", default="", help="part of a module's path")
    parser.add_argument("--run", nargs=2, metavar=("PATH", "NUMBER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        return run_tests(asked.run[0], int(asked.run[1]), TESTS[asked.run[0]])
    modules = [path for path in TESTS if asked.only in path]
    every = [(path, n) for path in modules for n in range(len(list(changes(ast.parse((ROOT / path).read_text())))))]
    chosen = random.Random(asked.seed).sample(every, min(asked.sample, len(every)))
    began, made, survived = time.monotonic(), 0, 0
    for path, number in chosen:
        if time.monotonic() - began > asked.seconds:
            break
        made += 1
        if not notices(path, number, 600.0):
            survived += 1
            print(f"survives: {path} {mutant((ROOT / path).read_text(), number)[1]}", flush=True)
    print(
        f"{made} of {len(every)} mutants made with seed {asked.seed}; tests noticed {made - survived}, {survived} survived"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
