"""A stage as a straight program of tensor operations: recorded where its code runs, and run again where it does not.

Code of others can do anything, also to a counter in its own process. Its program is data. A process that holds none of that code
runs the program: it counts the operations from the shapes that it sees, and its answers can be compared with those of the code.
What the code prepared when it was built is in the program as constants, and is counted too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoqec.candidate.operation_counts import COUNTS, made_of_others, name_of, uncounted
from autoqec.errors import UsageError

if TYPE_CHECKING:
    import torch

#: Limits of a program that is read.
MAX_BYTES = 256 * 2**20
MAX_STEPS = 100_000

#: The form of an operation's name with its overload.
_NAME = re.compile(r"[A-Za-z0-9_]{1,80}\.[A-Za-z0-9_]{1,40}")

#: Numbers of the two inputs; other values follow.
_SYNDROMES, _BELIEFS = 0, 1

#: Objects of torch that may be arguments, by the class that their name begins with.
_SPELLED = ("dtype", "layout", "memory_format")


def _refused(problem: str) -> UsageError:
    return UsageError(f"the operations of a stage cannot be recorded: {problem}", code="uncounted_operation")


@dataclass(frozen=True)
class Step:
    """One operation: its name with its overload, its arguments as JSON (see `_encoded`), and the numbers of its results."""

    operation: str
    args: Any
    kwargs: Mapping[str, Any]
    results: Any


@dataclass(frozen=True)
class Weight:
    """One of a stage's saved tensors: its name, and whether it is trained, by which torch chooses how to compute."""

    name: str
    trained: bool

    def of(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The tensor, as the module has it."""
        import torch

        tensor = tensors[self.name].detach()
        return torch.nn.Parameter(tensor) if self.trained else tensor


@dataclass(frozen=True)
class Program:
    """The operations of a stage on a block of shots.

    Attributes:
        steps: In order.
        constants: Tensors that are neither inputs, nor weights, nor made by a step, by number.
        weights: The stage's weights, by number.
        result: The number of the beliefs.
    """

    steps: tuple[Step, ...]
    constants: Mapping[int, torch.Tensor]
    weights: Mapping[int, Weight]
    result: int

    def runner(self, tensors: Mapping[str, torch.Tensor]) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Return a function of syndromes and beliefs that runs the steps, given the stage's weights."""
        import torch

        kept = {number: weight.of(tensors) for number, weight in self.weights.items()} | dict(self.constants)
        calls = [(find_operation(step.operation), step) for step in self.steps]

        def run(syndromes: torch.Tensor, beliefs: torch.Tensor) -> torch.Tensor:
            values: dict[int, Any] = {**kept, _SYNDROMES: syndromes, _BELIEFS: beliefs}
            for operation, step in calls:
                named = {name: _decoded(each, values) for name, each in step.kwargs.items()}
                out = operation(*_decoded(step.args, values), **named)
                _assign(step.results, out, values)
            answer = values[self.result]
            if not isinstance(answer, torch.Tensor):
                raise _refused("the result is not a tensor")
            return answer

        return run

    @property
    def shape(self) -> tuple[Any, ...]:
        """The program without its constants' values: equal for two recordings that do the same."""
        return (tuple((s.operation, repr(s.args), repr(s.kwargs)) for s in self.steps), self.result)

    def to_bytes(self) -> bytes:
        """Write the program: the length of a JSON header, the header, and the constants."""
        data, places, first = [], [], 0
        for number, tensor in self.constants.items():
            raw = _bytes_of(tensor)
            places.append(
                [number, str(tensor.dtype).removeprefix("torch."), list(tensor.shape), first, first + len(raw)]
            )
            data.append(raw)
            first += len(raw)
        header = {
            "steps": [[step.operation, step.args, step.kwargs, step.results] for step in self.steps],
            "constants": places,
            "weights": [[number, each.name, each.trained] for number, each in self.weights.items()],
            "result": self.result,
        }
        text = json.dumps(header, separators=(",", ":")).encode()
        return b"".join([len(text).to_bytes(8, "little"), text, *data])

    @staticmethod
    def from_bytes(data: bytes) -> Program:
        """Read what `to_bytes` wrote, whoever wrote it.

        Raises:
            UsageError: It is no program, or uses an operation that has no count.
        """
        try:
            return _read(data)
        except UsageError:
            raise
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, RecursionError) as error:
            raise _refused(f"not a program ({type(error).__name__})") from error


def _read(data: bytes) -> Program:
    import torch

    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise _refused("the program has no header")
    if len(data) > MAX_BYTES:
        raise _refused(f"the program has {len(data):,} bytes; at most {MAX_BYTES:,} are allowed")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    if len(header["steps"]) > MAX_STEPS:
        raise _refused(f"the program has {len(header['steps']):,} operations; at most {MAX_STEPS:,} are allowed")
    steps = tuple(Step(str(name), args, dict(kwargs), results) for name, args, kwargs, results in header["steps"])
    for step in steps:
        find_operation(step.operation)
    constants = {}
    for number, kind, shape, first, last in header["constants"]:
        dtype = getattr(torch, str(kind))
        raw = bytearray(body[int(first) : int(last)])
        flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
        constants[int(number)] = flat.reshape([int(side) for side in shape])
    weights = {int(number): Weight(str(name), bool(trained)) for number, name, trained in header["weights"]}
    return Program(steps, constants, weights, int(header["result"]))


def find_operation(name: str) -> Any:
    """One of torch's operations by its name with its overload.

    Raises:
        UsageError: There is none, or it has no count.
    """
    import torch

    packet, _, overload = name.partition(".")
    if not _NAME.fullmatch(name):
        raise uncounted("of an unknown name")
    try:
        found = getattr(getattr(torch.ops.aten, packet), overload)
    except (AttributeError, RuntimeError) as error:
        raise uncounted(name) from error
    if not _countable(found):
        raise uncounted(name)
    return found


def _countable(operation: Any) -> bool:
    """Whether an operation has a count, or is made of others, which are looked at when they are counted."""
    return name_of(operation) in COUNTS or made_of_others(operation)


def record(
    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    syndromes: torch.Tensor,
    beliefs: torch.Tensor,
    weights: Mapping[str, torch.Tensor],
) -> Program:
    """Record the operations of one call, in the mode that inference runs in.

    Args:
        function: The call.
        syndromes, beliefs: A block of shots.
        weights: The stage's tensors that are saved, by name.

    Raises:
        UsageError: It uses an operation that has no count, or a tensor that is not dense and on the CPU.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = _Seen(syndromes, beliefs, weights)

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # as for the counter

        def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if op.namespace != "aten" or not _countable(op):
                raise uncounted(str(op).removeprefix("aten."))
            told = (
                seen.encoded(args),
                {name: seen.encoded(each) for name, each in kwargs.items()},
            )  # before it runs: it may write into a constant
            out = op(*args, **kwargs)
            seen.add(f"{op._schema.name.split('::')[1]}.{op._overloadname}", told, out)
            return out

    with torch.inference_mode(), Recorder():  # type: ignore[no-untyped-call]
        answer = function(syndromes, beliefs)
    return Program(tuple(seen.steps), seen.constants, seen.weights, seen.encoded(answer)["t"])


class _Seen:
    """The tensors that a recording has met. It holds them all, so that no two have one address."""

    def __init__(self, syndromes: torch.Tensor, beliefs: torch.Tensor, weights: Mapping[str, torch.Tensor]):
        self.steps: list[Step] = []
        self.constants: dict[int, torch.Tensor] = {}
        self.weights: dict[int, Weight] = {}
        self._named = {id(tensor): name for name, tensor in weights.items()}
        self._numbers: dict[int, int] = {}
        self._held: list[Any] = [*weights.values()]
        self._number(syndromes)
        self._number(beliefs)

    def _number(self, tensor: torch.Tensor) -> int:
        self._held.append(tensor)
        return self._numbers.setdefault(id(tensor), len(self._numbers))

    def encoded(self, value: Any) -> Any:
        """A value as JSON: a tensor by its number, a sequence, a scalar, or one of torch's own by its name."""
        import torch

        if isinstance(value, torch.Tensor):
            return {"t": self._known(value)}
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return {"f": value.hex()}
        if isinstance(value, list | tuple):
            return [self.encoded(each) for each in value]
        if isinstance(value, torch.device):
            if value.type != "cpu":
                raise _refused(f"device {value} is not the CPU")
            return {"device": "cpu"}
        kind = type(value).__name__
        if kind in _SPELLED:
            return {kind: str(value).removeprefix("torch.")}
        raise _refused(f"an argument of type {kind}")

    def _known(self, tensor: torch.Tensor) -> int:
        import torch

        if id(tensor) in self._numbers:
            return self._numbers[id(tensor)]
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.layout is not torch.strided:
            raise _refused(f"a tensor of type {type(tensor).__name__} and layout {tensor.layout}")
        if tensor.is_quantized or tensor.is_nested or tensor.device.type != "cpu":
            raise _refused("a tensor that is quantized, nested or not on the CPU")
        number = self._number(tensor)
        if id(tensor) in self._named:
            self.weights[number] = Weight(self._named[id(tensor)], tensor.requires_grad)
        else:
            self.constants[number] = tensor.detach().resolve_conj().resolve_neg().clone().contiguous()
        return number

    def add(self, name: str, told: tuple[Any, Any], out: Any) -> None:
        """Note an operation that has run."""
        results = self._results(out)
        self.steps.append(Step(name, told[0], told[1], results))

    def _results(self, out: Any) -> Any:
        import torch

        if isinstance(out, torch.Tensor):
            return self._number(out)
        if isinstance(out, list | tuple):
            return [self._results(each) for each in out]
        return None


def _decoded(value: Any, values: Mapping[int, Any]) -> Any:
    """The inverse of `_Seen.encoded`, but for mappings, which no operation takes."""
    import torch

    if isinstance(value, list):
        return [_decoded(each, values) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, told),) = value.items()
    if kind == "t":
        return values[told]
    if kind == "f":
        return float.fromhex(told)
    if kind == "device":
        return torch.device("cpu")
    if kind not in _SPELLED:
        raise _refused("an argument of unknown type")
    return getattr(torch, str(told))


def _assign(results: Any, out: Any, values: dict[int, Any]) -> None:
    if isinstance(results, list):
        for each, made in zip(results, out, strict=True):
            _assign(each, made, values)
    elif results is not None:
        values[int(results)] = out


def _bytes_of(tensor: torch.Tensor) -> bytes:
    import torch

    return bytes(tensor.reshape(-1).view(torch.uint8).numpy().tobytes()) if tensor.numel() else b""


def stored_numbers(tensor: torch.Tensor) -> int:
    """How many numbers of four bytes a constant holds, without those that have its commonest value.

    So a table counts by what is in it, whatever its type. Upper halves of small whole numbers and the zeros of a mask are free.
    """
    raw = _bytes_of(tensor.contiguous())
    words = np.frombuffer(raw + bytes(-len(raw) % 4), dtype=np.uint32)
    if not len(words):
        return 0
    return int(len(words) - np.unique(words, return_counts=True)[1].max())
