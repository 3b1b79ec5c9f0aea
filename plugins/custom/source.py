"""Checks the syntax tree of a candidate's `module.py` before any of it runs.

The check catches mistakes and limits what a reviewer must read. It is not a sandbox, because Python has too many ways around
it. So the code runs only in the candidate's own process, and a verdict records how well that process was sandboxed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from autoqec.errors import UsageError

#: Maximum size; nobody can review more.
MAX_BYTES = 64 * 1024
MAX_NODES = 20_000

#: The allowed imports. `torch` is large; `_FORBIDDEN` lists the parts of it that lead out of the process.
IMPORTS = frozenset(
    "__future__ dataclasses math typing torch torch.nn torch.nn.functional torch.nn.init torch.nn.parameter torch.fft "
    "torch.linalg torch.special".split()
)

#: Forbidden names, anywhere in the code: they run text, bypass attribute checks, or touch files, processes or the interpreter.
_FORBIDDEN = frozenset(
    # Python's own
    "eval exec compile open input breakpoint exit quit help getattr setattr delattr hasattr vars globals locals dir "
    "memoryview format format_map mro "
    # the standard library's, which are attributes of torch's own modules
    "sys os builtins importlib ctypes inspect warnings copyreg glob linecache platform threading traceback contextlib "
    "functools np fx ao "
    # torch's: files, processes, other languages, other backends, global settings
    "load save hub ops classes utils jit compiler serialization multiprocessing distributed package cpp_extension "
    "library export onnx func overrides profiler monitor testing storage from_file from_buffer frombuffer fromfile "
    "tofile numpy share_memory_ set_num_threads set_num_interop_threads set_default_dtype set_default_device "
    "set_default_tensor_type use_deterministic_algorithms manual_seed seed set_rng_state register_module_backward_hook "
    "register_module_forward_hook register_module_forward_pre_hook autograd cuda backends".split()
)

_TOP = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign)
_ALLOWED_DUNDERS = frozenset({"__init__", "__post_init__"})


def check_source(text: str, path: str) -> None:
    """Check a module's source without running it.

    Args:
        text: The source.
        path: Its name, for messages.

    Raises:
        UsageError: The source is too long, is not Python, uses a forbidden import or name, or has no class `Stage` with
            `__init__(self, graph)` and `forward(self, syndromes, beliefs)`. The message names the line.
    """
    if len(text.encode()) > MAX_BYTES:
        raise UsageError(
            f"{path} has {len(text.encode()):,} bytes; at most {MAX_BYTES:,} are allowed", code="custom_refused"
        )
    try:
        tree = ast.parse(text, filename=path)
    except SyntaxError as error:
        raise UsageError(f"{path}, line {error.lineno}: {error.msg}", code="custom_refused") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"cannot parse {path}: {error}", code="custom_refused") from error
    nodes = list(ast.walk(tree))
    if len(nodes) > MAX_NODES:
        raise UsageError(
            f"{path} has {len(nodes):,} syntax nodes; at most {MAX_NODES:,} are allowed", code="custom_refused"
        )
    for line, problem in _top_level(tree):
        raise UsageError(f"{path}, line {line}: {problem}", code="custom_refused")
    for node in nodes:
        for problem in _problems(node):
            raise UsageError(f"{path}, line {getattr(node, 'lineno', 1)}: {problem}", code="custom_refused")
    _check_signature(tree, path)


def _top_level(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find statements that would run code on import."""
    for node in tree.body:
        documents = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (isinstance(node, _TOP) or documents):
            yield node.lineno, "only imports, constants, functions and classes are allowed at the top level of a module"
        if isinstance(node, ast.Assign | ast.AnnAssign) and any(isinstance(n, ast.Call) for n in ast.walk(node)):
            yield node.lineno, "a constant at the top level of a module must not call anything"


def _problems(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (f"import of {name.name} is not allowed" for name in node.names if name.name not in IMPORTS)
    elif isinstance(node, ast.ImportFrom):
        if node.level or node.module not in IMPORTS:
            yield f"import from {'.' * node.level}{node.module or ''} is not allowed"
        yield from (f"import of {name.name} is not allowed" for name in node.names if _is_forbidden(name.name))
        yield from (f"import of {name.name} is not allowed" for name in node.names if name.name == "*")
    elif isinstance(node, ast.Name | ast.FunctionDef | ast.ClassDef):
        name = node.id if isinstance(node, ast.Name) else node.name
        if _is_forbidden(name):
            yield f"the name {name} is not allowed"
    elif isinstance(node, ast.Attribute):
        own = isinstance(node.value, ast.Name) and node.value.id == "self"
        if _is_forbidden(node.attr) or (node.attr.startswith("_") and node.attr != "__init__" and not own):
            yield f"the attribute {node.attr} is not allowed"
    elif isinstance(node, ast.Global | ast.Nonlocal | ast.AsyncFunctionDef | ast.Await):
        yield f"{type(node).__name__.lower()} is not allowed"


def _is_forbidden(name: str) -> bool:
    return name in _FORBIDDEN or (name.startswith("__") and name not in _ALLOWED_DUNDERS)


def _check_signature(tree: ast.Module, path: str) -> None:
    stages = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Stage"]
    if len(stages) != 1 or not any(ast.unparse(base).split(".")[-1] == "Module" for base in stages[0].bases):
        raise UsageError(f"{path} must define one class Stage(torch.nn.Module)", code="custom_refused")
    methods = {node.name: node for node in stages[0].body if isinstance(node, ast.FunctionDef)}
    for name, expected in (("__init__", ["self", "graph"]), ("forward", ["self", "syndromes", "beliefs"])):
        if name not in methods:
            raise UsageError(f"{path}: class Stage has no {name}({', '.join(expected)})", code="custom_refused")
        given = methods[name].args
        plain = not (given.vararg or given.kwarg or given.kwonlyargs or given.posonlyargs or given.defaults)
        if [argument.arg for argument in given.args] != expected or not plain:
            line = methods[name].lineno
            raise UsageError(
                f"{path}, line {line}: {name} must have exactly the arguments {', '.join(expected)}",
                code="custom_refused",
            )
