"""The check of a module's source: known ways around it, in many shapes, are refused, and what honest modules do is not."""

import ast
import dataclasses
import importlib.util
import math
import random
import typing
from pathlib import Path
from types import ModuleType

import pytest
import torch
from autoqec_plugins.custom import known_names
from autoqec_plugins.custom.source import _PYTHON, FORBIDDEN, IMPORTS, check_source
from autoqec_plugins.custom.stand_in import SOURCE

from autoqec.errors import UsageError
from autoqec.testing import custom_module

MAKER = Path(__file__).parent / "make_known_names.py"

#: Expressions that lead out, with what they need to be imported. Each runs, or did in some version of Python or torch.
ESCAPES = {
    "attributes by name, from a module that typing imports": (
        "from typing import operator",
        "operator.attrgetter('a')(0)",
    ),
    "the same by its alias": ("from typing import operator as op", "op.methodcaller('a')(0)"),
    "the same as an attribute": ("import typing", "typing.operator"),
    "of an alias of the module": ("import typing as t", "t.sys"),
    "a module in a variable": ("import typing", "[typing][0].operator"),
    "a part of torch in a variable": ("", "[torch.nn][0].modules.module.operator"),
    "a module as an argument": ("import math", "(lambda m: m.operator)(math)"),
    "what torch.nn.functional imports": ("from torch.nn.functional import importlib", "importlib.import_module('os')"),
    "the same as an attribute of it": ("from torch.nn import functional", "functional.importlib"),
    "text that typing evaluates": ("from typing import get_type_hints", "get_type_hints(0)"),
    "a forward reference": ("from typing import ForwardRef", "ForwardRef('a')._evaluate({}, {}, frozenset())"),
    "text that dataclasses evaluates": ("from dataclasses import make_dataclass", "make_dataclass('A', ['a'])"),
    "what dataclasses imports": ("from dataclasses import inspect", "inspect.currentframe()"),
    "what dataclasses imports by another name": ("import dataclasses", "dataclasses.builtins"),
    "a frame": ("", "(x for x in ()).gi_frame.f_back.f_globals"),
    "the code of a generator": ("", "(x for x in ()).gi_code"),
    "a traceback": ("", "ValueError().tb_frame"),
    "a function's globals": ("", "(lambda: 0).__globals__"),
    "an object's class": ("", "(0).__class__.__base__.__subclasses__()"),
    "a bound method": ("", "self.forward.__func__"),
    "a private part of torch": ("", "torch._C._get_tracing_state()"),
    "a private attribute of a module": ("", "torch.nn.Linear(1, 1)._forward_hooks"),
    "a name that looks like one's own": ("", "self.__class__"),
    "text that is formatted": ("", "'{0.__class__}'.format(0)"),
    "text that is formatted from a mapping": ("", "'{a.__class__}'.format_map({'a': 0})"),
    "an expression in text": ("", "f'{(0).__class__}'"),
    "a format in text": ("", "f'{0:{(0).__class__}}'"),
    "an attribute by its name": ("", "getattr(0, 'real')"),
    "a builtin that nobody listed": ("", "aiter(0)"),
    "a name that only the interpreter has": ("", "__builtins__"),
    "a loader": ("", "__loader__"),
    "a file, by an attribute": ("", "beliefs.numpy().tofile('x')"),
    "a library, by an attribute": ("", "torch.ops.load_library('x')"),
    "a pickle": ("", "torch.load('x')"),
    "a hook of all modules": ("from torch.nn.modules import module", "module.register_module_forward_hook(0)"),
    "a part of torch that imports others": ("import torch.utils", "torch.utils"),
    "a metaclass": ("", "type('A', (), {}).mro()"),
}

#: Statements that lead out.
STATEMENTS = {
    "a pattern that takes an attribute": "match beliefs:\n    case object(__globals__=g):\n        pass",
    "a pattern inside another": "match [beliefs]:\n    case [object(gi_frame=g)]:\n        pass",
    "a pattern of an unknown attribute": "match beliefs:\n    case object(attrgetter=g):\n        pass",
    "names of a pattern's places": "class A:\n    __match_args__ = ('__globals__',)",
    "a metaclass": "class A(metaclass=type):\n    pass",
    "a method that Python calls": "class A:\n    def __getattr__(self, name):\n        return 0",
    "a method that Python calls, by assignment": "class A:\n    __class_getitem__ = 0",
    "a method that Python calls, with a type": "class A:\n    __set_name__: int = 0",
    "a builtin in another's place": "import builtins",
    "an import inside": "from os import system",
    "a star": "from math import *",
    "a name of a handler": "try:\n    pass\nexcept ValueError as __builtins__:\n    pass",
    "a name of a loop": "for __builtins__ in ():\n    pass",
    "a name of a with": "with beliefs as sys:\n    pass",
    "a name of a walrus": "(eval := 0)",
    "a name of a pattern": "match beliefs:\n    case __builtins__:\n        pass",
    "the rest of a pattern": "match beliefs:\n    case {**__builtins__}:\n        pass",
    "an argument": "def f(eval):\n    return eval",
    "an argument's default": "def f(a=(lambda: 0).__globals__):\n    return a",
    "a decorator": "@(0).__class__\ndef f():\n    pass",
    "a decorator from torch": "@torch.jit.script\ndef f():\n    pass",
    "an annotation": "def f(a: (0).__class__):\n    pass",
    "an attribute that is set": "torch.sin = 0",
    "an attribute of a part that is set": "torch.nn.functional.relu = 0",
    "an attribute that is deleted": "del torch.sin",
    "an attribute that is added to": "torch.pi += 0",
    "an own attribute with a bad name": "self.__class__ = 0",
    "an own attribute that would make it known": "self.gi_frame = 0\n(x for x in ()).gi_frame",
    "a registered attribute that would make it known": "self.register_buffer('operator', beliefs)\nself.operator",
    "a module that is renamed": "torch = 0",
    "a module in a variable": "t = torch",
    "a part of torch in a variable": "f = torch.nn.functional",
    "a global": "global beliefs",
    "something asynchronous": "async def f():\n    pass",
}

#: How an expression can be dressed up.
SHAPES = (
    "{0}", "return {0}", "x = {0}", "x: object = {0}", "(x := {0})", "[{0} for x in ()]", "[x for x in [{0}]]", "(lambda: {0})()",
    "{{'a': {0}}}", 'f"{{({0})}}"', "x = [0]\nx[{0}] = 0", "def f(a={0}):\n    return a", "class A:\n    a = {0}", "assert {0}",
    "raise ValueError({0})", "if {0}:\n    pass", "while {0}:\n    break", "with {0}:\n    pass", "for x in {0}:\n    pass",
    "try:\n    {0}\nexcept ValueError:\n    {0}", "match {0}:\n    case x:\n        pass",
    "match 0:\n    case x if {0}:\n        pass",
    "print(*{0}, **{0})", "x = {0} if {0} else {0}", "del [{0}][0]", "x = 0\nx += {0}", "def f():\n    yield {0}",
)  # fmt: skip


def refused(source):
    ast.parse(source)  # a test of what is no Python would show nothing
    with pytest.raises(UsageError) as caught:
        check_source(source, "module.py")
    assert caught.value.code == "custom_refused"
    return caught.value.problem


def source_of(imports, forward):
    return imports + "\n" + custom_module(forward)


@pytest.mark.parametrize("name", ESCAPES)
def test_a_known_escape_is_refused(name):
    imports, expression = ESCAPES[name]
    refused(source_of(imports, f"{expression}\nreturn beliefs"))


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_known_statement_is_refused(name):
    refused(source_of("", STATEMENTS[name] + "\nreturn beliefs"))


@pytest.mark.parametrize("seed", range(20))
def test_an_escape_is_refused_in_whatever_shape(seed):
    rng = random.Random(seed)
    for _ in range(30):
        imports, expression = rng.choice(list(ESCAPES.values()))
        for _ in range(rng.randrange(3)):
            expression = rng.choice(
                [f"({expression})", f"[{expression}][0]", f"(0, {expression})[1]", f"(lambda: {expression})()"]
            )
        lines = rng.choice(SHAPES).format(expression)
        refused(source_of(imports, lines + "\nreturn beliefs"))


def test_the_two_that_were_found_are_named():
    said = refused(source_of("from typing import operator", "return beliefs"))
    assert said == "module.py, line 1: import of operator is not allowed"
    said = refused(source_of("", STATEMENTS["a pattern that takes an attribute"]))
    assert said == "module.py, line 9: the attribute __globals__ is not allowed"


def owners():
    parts = {name: importlib.import_module(name) for name in IMPORTS if name.startswith("torch")}
    return parts | {"math": math, "typing": typing, "dataclasses": dataclasses}


def test_no_name_that_may_be_taken_from_a_module_is_a_module():
    """Whatever the installed torch and Python put there: a re-export of a module is a way out."""
    for name, owner in owners().items():
        exports = _PYTHON.get(name) or known_names.PARTS[name]
        for each in exports:
            whole = f"{name}.{each}"
            assert whole in IMPORTS or not isinstance(getattr(owner, each, None), ModuleType), whole
        assert not exports & FORBIDDEN


def test_no_known_attribute_is_private_or_forbidden():
    assert not known_names.OBJECTS & FORBIDDEN
    assert not [name for name in known_names.OBJECTS if name.startswith("_")]


def test_the_names_are_those_of_the_torch_they_were_listed_from():
    if torch.__version__.partition("+")[0] != known_names.TORCH:
        pytest.skip("they were listed from another torch")
    spec = importlib.util.spec_from_file_location("make_known_names", MAKER)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.of_objects() == known_names.OBJECTS
    assert {name: maker.of_part(part) for name, part in maker.PARTS.items()} == {
        name: names for name, names in known_names.PARTS.items() if name.startswith("torch")
    }


HONEST = '''
"""A module that uses much of what a module may."""
from __future__ import annotations

import math
import torch.nn.functional as F
from dataclasses import dataclass, field
from typing import Any, Callable

import torch
from torch import Tensor, nn
from torch.nn import Linear, functional, init
from torch.nn.parameter import Parameter

SIZE = 8


@dataclass
class Options:
    width: int = SIZE
    names: list[str] = field(default_factory=list)

    @property
    def double(self) -> int:
        return 2 * self.width


def halved(value: float, *, by: float = 2.0) -> float:
    try:
        return value / by
    except ZeroDivisionError as error:
        raise ValueError(f"no half of {value:.3f}") from error


class Block(nn.Module):
    def __init__(self, width: int, act: Callable[[Tensor], Tensor] = F.relu):
        super().__init__()
        self.lin, self.act = Linear(width, width, bias=False), act
        self._scale = Parameter(torch.ones(1))
        init.xavier_uniform_(self.lin.weight, gain=math.sqrt(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.lin(x)) * self._scale


class Stage(torch.nn.Module):
    def __init__(self, graph):
        super().__init__()
        self.options = Options()
        self.register_buffer("edge", graph.detector.long(), persistent=False)
        self.blocks = nn.ModuleList([Block(self.options.width) for _ in range(2)])
        self.out = nn.Sequential(nn.LayerNorm(SIZE), nn.GELU(), nn.Linear(SIZE, 1))
        self.gru = nn.GRU(SIZE, SIZE, batch_first=True)
        self.w = nn.Parameter(graph.priors.new_zeros(graph.num_mechanisms))

    def forward(self, syndromes, beliefs):
        x = beliefs.unsqueeze(-1).expand(-1, -1, SIZE).clone()
        for i, block in enumerate(self.blocks):
            x = x + block(x) * halved(1.0, by=float(i + 1))
        match x.dim():
            case 3 if x.shape[0] > 0:
                x, _ = self.gru(x)
            case _:
                x = x.contiguous()
        values, indices = x.topk(2, dim=-1)
        best = x.max(dim=-1)
        gathered = torch.gather(x, -1, indices).sum(-1) + best.values + values.mean(-1)
        lit = syndromes[:, self.edge].float().mean(dim=1, keepdim=True)
        probs = torch.sigmoid(-gathered).clamp_(1e-6, 1 - 1e-6)
        y = functional.softplus(torch.logit(probs)) + torch.linalg.norm(x, dim=-1) + torch.special.expit(lit)
        with torch.no_grad():
            scale = torch.tensor([y.shape[-1]], dtype=beliefs.dtype, device=beliefs.device).sqrt_()
        return torch.where(lit > 0.5, beliefs, beliefs + self.w * y / scale) + self.out(x).squeeze(-1) * 0
'''


def test_what_honest_modules_do_is_allowed():
    check_source(HONEST, "module.py")
    check_source(SOURCE, "module.py")
    check_source(custom_module(), "module.py")
