"""Lists the names that a candidate's module may use, from the installed torch: `python tests/plugins/make_known_names.py`.

It writes `plugins/custom/known_names.py`. A name that leads to a module, or that `source.FORBIDDEN` names, is left out.
"""

import inspect
import math
import textwrap
from pathlib import Path
from types import ModuleType

import torch
from autoqec_plugins.custom.source import FORBIDDEN
from autoqec_plugins.custom.stage_graph import Graph

ROOT = Path(__file__).parents[2]

#: Parts of torch that a module may import, by the constant that holds their names.
PARTS = {
    "torch": torch,
    "torch.nn": torch.nn,
    "torch.nn.functional": torch.nn.functional,
    "torch.nn.init": torch.nn.init,
    "torch.nn.parameter": torch.nn.parameter,
    "torch.fft": torch.fft,
    "torch.linalg": torch.linalg,
    "torch.special": torch.special,
}

#: Parameters, buffers and fields of the layers of `torch.nn`, which are made when a layer is.
LAYERS = """
weight bias running_mean running_var num_batches_tracked in_proj_weight in_proj_bias out_proj q_proj_weight k_proj_weight
v_proj_weight bias_k bias_v self_attn linear1 linear2 norm1 norm2 norm3 dropout dropout1 dropout2 dropout3 layers norm training
in_features out_features in_channels out_channels kernel_size stride padding dilation groups embedding_dim num_embeddings
num_features normalized_shape eps momentum affine hidden_size input_size num_layers batch_first bidirectional num_heads
head_dim embed_dim p data grad requires_grad
"""


def harmless(owner, name):
    value = inspect.getattr_static(owner, name, None)
    return not (name.startswith("_") or name in FORBIDDEN or isinstance(value, ModuleType))


def of_part(part):
    """The names of a part of torch that are its own: no module, and nothing that it imported from elsewhere."""
    found = set()
    for name in filter(lambda name: harmless(part, name), dir(part)):
        value = getattr(part, name)
        home = getattr(value, "__module__", None)
        plain = isinstance(value, torch.dtype | torch.layout | torch.memory_format | float | int)
        if plain or home is None or str(home).startswith("torch") or inspect.isbuiltin(value):
            found.add(name)
    return found


def of_objects():
    """The names of attributes of values that a module handles."""
    layers = [each for each in vars(torch.nn).values() if isinstance(each, type)]
    kinds = [torch.Tensor, torch.Size, torch.device, torch.dtype, torch.nn.Parameter, torch.finfo, torch.iinfo, *layers]
    kinds += [
        str,
        bytes,
        int,
        float,
        bool,
        complex,
        list,
        tuple,
        dict,
        set,
        frozenset,
        slice,
        range,
        property,
        Exception,
    ]
    names = {name for kind in kinds for name in dir(kind) if harmless(kind, name)}
    names |= {name for kind in layers for name in getattr(kind, "__annotations__", ()) if harmless(kind, name)}
    returned = [each for each in vars(torch.return_types).values() if isinstance(each, type)]
    names |= {name for kind in returned for name in dir(kind) if harmless(kind, name)}
    return names | set(Graph.__dataclass_fields__) | set(LAYERS.split())


def block(name, names):
    text = "\n".join(textwrap.wrap(" ".join(sorted(names)), 120, break_on_hyphens=False))
    return f'{name}: frozenset[str] = frozenset(\n    """\n{text}\n""".split()\n)\n'


def known_names():
    """The whole file."""
    parts = {part: of_part(module) for part, module in PARTS.items()}
    parts["math"] = {name for name in dir(math) if not name.startswith("_")}
    lines = [
        '"""The names that a candidate\'s module may use; made by `tests/plugins/make_known_names.py`."""\n',
    ]
    lines.append(f'#: The torch that they were listed from.\nTORCH = "{torch.__version__.partition("+")[0]}"\n')
    lines.append(block("#: Attributes of values.\nOBJECTS", of_objects()))
    for part, names in parts.items():
        lines.append(block(f"_{part.upper().replace('.', '_')}", names))
    rows = "".join(f'    "{part}": _{part.upper().replace(".", "_")},\n' for part in parts)
    lines.append(f"#: Names of the modules that may be imported, by module.\nPARTS = {{\n{rows}}}\n")
    return "\n".join(lines)


if __name__ == "__main__":
    (ROOT / "plugins/custom/known_names.py").write_text(known_names())
