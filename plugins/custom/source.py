"""Checks the syntax tree of a candidate's `module.py` before any of it runs.

The check catches mistakes and limits what a reviewer must read. It is not a sandbox, because Python has too many ways around
it. So the code runs only in the candidate's own process, and a verdict records how well that process was sandboxed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from autoqec.errors import UsageError

from .known_names import OBJECTS, PARTS

#: Maximum size; nobody can review more.
MAX_BYTES = 64 * 1024
MAX_NODES = 20_000

#: The allowed imports. Of each only the names in `known_names.PARTS` may be taken.
IMPORTS = frozenset(
    "__future__ dataclasses math typing torch torch.nn torch.nn.functional torch.nn.init torch.nn.parameter torch.fft "
    "torch.linalg torch.special".split()
)

#: Names that nothing may have, not even what a module defines itself: they run text, bypass attribute checks, lead to a frame or
#: to a module, or touch files, processes or the interpreter.
FORBIDDEN = frozenset(
    # Python's own
    "eval exec compile open input breakpoint exit quit help getattr setattr delattr hasattr vars globals locals dir "
    "memoryview format format_map mro get_type_hints make_dataclass "
    # frames and code
    "gi_frame gi_code gi_yieldfrom cr_frame cr_code cr_await cr_origin ag_frame ag_code ag_await f_back f_builtins f_code "
    "f_globals f_locals f_trace tb_frame tb_next tb_lasti tb_lineno co_code co_consts co_names func_globals func_code "
    "with_traceback "
    # the standard library's, which are attributes of torch's own modules
    "sys os builtins importlib ctypes inspect warnings copyreg glob linecache platform threading traceback contextlib "
    "functools operator collections types re abc copy keyword itertools weakref gc np fx ao attrgetter methodcaller itemgetter "
    # torch's: files, processes, other languages, other backends, global settings
    "load save hub ops classes utils jit compiler serialization multiprocessing distributed package cpp_extension "
    "library export onnx func overrides profiler monitor testing storage from_file from_buffer frombuffer fromfile "
    "tofile numpy share_memory_ set_num_threads set_num_interop_threads set_default_dtype set_default_device "
    "set_default_tensor_type use_deterministic_algorithms manual_seed seed set_rng_state register_module_backward_hook "
    "register_module_forward_hook register_module_forward_pre_hook autograd cuda backends".split()
)

#: Builtin names that a module may use. Any other name must be one that it defines.
_BUILTINS = frozenset(
    "abs all any bool bytes complex dict divmod enumerate filter float frozenset hash id int isinstance issubclass "
    "iter len list map max min next object pow print property range repr reversed round set slice sorted staticmethod "
    "classmethod str sum super tuple type zip Ellipsis NotImplemented ArithmeticError AssertionError Exception "
    "FloatingPointError IndexError KeyError LookupError NotImplementedError OverflowError RuntimeError StopIteration "
    "TypeError ValueError ZeroDivisionError".split()
)

#: Names that may be imported from Python's modules; their other names are modules, or evaluate text.
_PYTHON = {
    "__future__": frozenset({"annotations"}),
    "dataclasses": frozenset("dataclass field fields replace asdict astuple is_dataclass KW_ONLY".split()),
    "typing": frozenset(
        "Any Callable ClassVar Dict Final FrozenSet Generic Iterable Iterator List Literal Mapping NamedTuple Optional Protocol "
        "Sequence Self Set Sized Tuple Type TypeAlias TypeVar Union TYPE_CHECKING Annotated cast final overload".split()
    ),
}

#: The kinds of syntax that a module may use; whatever Python gains later is refused until somebody has looked at it.
_SYNTAX = (
    ast.Module, ast.Import, ast.ImportFrom, ast.alias, ast.ClassDef, ast.FunctionDef, ast.Lambda, ast.arguments,
    ast.arg, ast.Return, ast.Delete, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.While, ast.If, ast.With,
    ast.withitem, ast.Raise, ast.Try, ast.ExceptHandler, ast.Assert, ast.Expr, ast.Pass, ast.Break, ast.Continue,
    ast.Match, ast.match_case, ast.pattern, ast.BoolOp, ast.NamedExpr, ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Dict,
    ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.Yield, ast.YieldFrom,
    ast.Compare, ast.Call, ast.keyword, ast.FormattedValue, ast.JoinedStr, ast.Constant, ast.Attribute, ast.Subscript,
    ast.Starred, ast.Name, ast.List, ast.Tuple, ast.Slice, ast.expr_context, ast.operator, ast.unaryop, ast.cmpop,
    ast.boolop,
)  # fmt: skip

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
    nodes = sorted(ast.walk(tree), key=_place)
    if len(nodes) > MAX_NODES:
        raise UsageError(
            f"{path} has {len(nodes):,} syntax nodes; at most {MAX_NODES:,} are allowed", code="custom_refused"
        )
    for line, problem in _top_level(tree):
        raise UsageError(f"{path}, line {line}: {problem}", code="custom_refused")
    names = _Names(nodes)
    for node in nodes:
        for problem in _problems(node, names):
            raise UsageError(f"{path}, line {getattr(node, 'lineno', 1)}: {problem}", code="custom_refused")
    _check_signature(tree, path)


def _place(node: ast.AST) -> tuple[int, ...]:
    """Where a node is; of two that begin at one place the inner one comes first."""
    return tuple(getattr(node, name, 0) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"))


def _top_level(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find statements that would run code on import."""
    for node in tree.body:
        documents = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (isinstance(node, _TOP) or documents):
            yield node.lineno, "only imports, constants, functions and classes are allowed at the top level of a module"
        if isinstance(node, ast.Assign | ast.AnnAssign) and any(isinstance(n, ast.Call) for n in ast.walk(node)):
            yield node.lineno, "a constant at the top level of a module must not call anything"


class _Names:
    """What names mean in a module.

    Attributes:
        modules: Names that an import binds to a module, with that module.
        defined: All other names that it defines.
        own: Attributes that it defines: it assigns them, defines them in a class, or registers them by name.
        bases: Expressions whose attribute is taken.
    """

    def __init__(self, nodes: Sequence[ast.AST]):
        self.modules: dict[str, str] = {}
        self.defined: set[str] = set()
        self.own: set[str] = set()
        self.bases = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        for node in nodes:
            self._add(node)
        self.defined -= self.modules.keys()

    def _add(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for each in node.names:
                whole = each.name if each.asname else each.name.partition(".")[0]
                self.modules[each.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                whole = f"{node.module}.{each.name}"
                if whole in IMPORTS:
                    self.modules[each.asname or each.name] = whole
                else:
                    self.defined.add(each.asname or each.name)
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            self.own.add(node.attr)
        elif isinstance(node, ast.ClassDef):
            self.own |= {name for each in node.body for name in _bound(each)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _REGISTERING:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                self.own.add(first.value)
        self.defined |= set(_bound(node))

    def module_of(self, node: ast.AST) -> str | None:
        """The module that an expression is, by its dotted name; None if it is something else."""
        if isinstance(node, ast.Name):
            return self.modules.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self.module_of(node.value)
            return f"{base}.{node.attr}" if base is not None and f"{base}.{node.attr}" in IMPORTS else None
        return None


#: Methods that make an attribute of a module by its name.
_REGISTERING = ("register_buffer", "register_parameter", "register_module", "add_module")


def _bound(node: ast.AST) -> list[str]:
    """The names that a node binds, but for imports."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return [node.name] if node.name else []
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    return []


def _problems(node: ast.AST, names: _Names) -> Iterator[str]:
    if not isinstance(node, _SYNTAX):
        yield f"{type(node).__name__.lower()} is not allowed"
    elif isinstance(node, ast.Import):
        yield from (f"import of {each.name} is not allowed" for each in node.names if each.name not in IMPORTS)
        yield from (f"the name {each.asname} is not allowed" for each in node.names if _is_forbidden(each.asname or ""))
    elif isinstance(node, ast.ImportFrom):
        yield from _from_problems(node)
    elif isinstance(node, ast.Name):
        yield from _name_problems(node, names)
    elif isinstance(node, ast.Attribute):
        yield from _attribute_problems(node, names)
    elif isinstance(node, ast.MatchClass):
        yield from (f"the attribute {name} is not allowed" for name in node.kwd_attrs if not _may_take(name, names))
    elif isinstance(node, ast.ClassDef) and node.keywords:
        yield "keywords of a class, such as metaclass, are not allowed"
    if not isinstance(node, ast.Name):  # whatever binds a name: an argument, a handler, a pattern, a definition
        for name in _bound(node) if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) else ():
            if _is_forbidden(name) or name in names.modules:
                yield f"the name {name} is not allowed"


def _from_problems(node: ast.ImportFrom) -> Iterator[str]:
    module = node.module or ""
    if node.level or module not in IMPORTS:
        yield f"import from {'.' * node.level}{module} is not allowed"
    for each in node.names:
        inside = f"{module}.{each.name}" in IMPORTS or each.name in _exports(module)
        if not inside or _is_forbidden(each.asname or each.name):
            yield f"import of {each.name} is not allowed"


def _name_problems(node: ast.Name, names: _Names) -> Iterator[str]:
    if _is_forbidden(node.id):
        yield f"the name {node.id} is not allowed"
    elif node.id in names.modules:
        if id(node) not in names.bases or not isinstance(node.ctx, ast.Load):
            yield f"the module {node.id} may only stand before a dot"
    elif node.id not in names.defined and node.id not in _BUILTINS:
        yield f"the name {node.id} is not allowed"


def _attribute_problems(node: ast.Attribute, names: _Names) -> Iterator[str]:
    module = names.module_of(node.value)
    if module is None:
        on_self = isinstance(node.value, ast.Name) and node.value.id == "self"
        allowed = _may_take(node.attr, names) or (on_self and not node.attr.startswith("_"))
        if (
            _is_forbidden(node.attr)
            or not allowed
            or (node.attr.startswith("_") and not on_self and node.attr != "__init__")
        ):
            yield f"the attribute {node.attr} is not allowed"
    elif names.module_of(node) is not None:
        if id(node) not in names.bases:
            yield f"the module {ast.unparse(node)} may only stand before a dot"
    elif node.attr not in _exports(module) or not isinstance(node.ctx, ast.Load):
        yield f"the attribute {node.attr} is not allowed"


def _exports(module: str) -> frozenset[str]:
    """The names that may be taken from a module."""
    return _PYTHON.get(module) or PARTS.get(module, frozenset())


def _may_take(name: str, names: _Names) -> bool:
    """Whether an attribute is known of the values that modules handle, or is one that the module defines."""
    return not _is_forbidden(name) and (name in OBJECTS or name in names.own or name == "__init__")


def _is_forbidden(name: str) -> bool:
    return name in FORBIDDEN or (name.startswith("__") and name not in _ALLOWED_DUNDERS)


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
