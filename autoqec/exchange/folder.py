"""Writes and loads a round as a self-contained folder: candidate, weights, environment, error model, README, loader."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from autoqec.contained_files import read_contained
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.exchange.deploy import Deployed
from autoqec.exchange.package import Package
from autoqec.history.rounds.attachments import WEIGHTS_FILE
from autoqec.installed_package import __version__
from autoqec.plugin_errors import one_line
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.environment import ENVIRONMENT_FILE
from autoqec.problem.recording import without_shots
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.size_limits import BLOB_BYTES, FILES, RECORD_BYTES
from autoqec.whole_files import write_folder as write_files

MANIFEST = "manifest.json"
_SCHEMA = "autoqec.export/1"

_LOADER = '''"""The predecoder in this folder: `decoder()` for your own code, `decoders` for sinter.

sinter collect --custom_decoders_module_function {module}:decoders --decoders {name} --circuits circuit.stim ...
"""

from pathlib import Path

from autoqec.exchange.array_decoder import ArrayDecoder
from autoqec.exchange.folder import open_folder

HERE = Path(__file__).parent


def decoder():
    """Return the predecoder with its classical decoder: `decode(syndromes)` says which observables flipped.

    Syndromes are an array with one row for each shot, as stim samples them: bool, or bit-packed uint8. The answer is an array of
    the same kind. `decode_checked(syndromes)` also says which shots have a valid answer, one bool for each.
    `confidence(syndromes)` says how sure the classical decoder is without the predecoder, one float32 for each, if it can.

    >>> import stim
    >>> own = decoder()
    >>> model = stim.DetectorErrorModel.from_file(HERE / "model.dem")
    >>> syndromes, flips, _ = model.compile_sampler(seed=1).sample(1000, bit_packed=True)
    >>> predicted = own.decode(syndromes)
    >>> predicted.shape == flips.shape
    True
    >>> wrong = (predicted != flips).any(axis=1)
    >>> bool(wrong.mean() < (flips != 0).any(axis=1).mean())
    True
    """
    return ArrayDecoder(open_folder(HERE))


def decoders():
    """Return the decoders for sinter's `--custom_decoders_module_function`."""
    from autoqec.exchange.sinter_rounds import round_decoders

    return round_decoders(open_folder(HERE).package)
'''

_README = """\
{front}# {name}

The neural predecoder of round `{name}` (commit `{commit}`, verdict {verdict}), followed by the classical decoder `{decoder}`,
found for the environment `{environment}`. It decodes this circuit at this noise only; for any other error model it raises an
error.

| file | |
|---|---|
| `candidate/` | the pipeline of stages, as in git |
| `{weights}` | its weights |
| `environment/` | the environment of its training |
| `circuit.stim`, `model.dem` | the compiled environment (no circuit if the environment has none) |
| `predecoder.py` | loads the predecoder |
| `predecoder.onnx` | one pass alone (with `--onnx`): {detectors} detectors → {mechanisms} log-likelihood ratios, float32 |
{more}| `{manifest}` | the same information in JSON, with digests |

```sh
pip install 'autoqec[sinter]=={version}'  # or from a clone of AutoQEC: pip install '.[sinter]'
PYTHONPATH=. sinter collect --custom_decoders_module_function predecoder:decoders \\
    --decoders autoqec:{name} --circuits circuit.stim --max_shots 100000 --processes auto
```

In Python, with this folder as the current one:

```python
import stim
from predecoder import decoder

model = stim.DetectorErrorModel.from_file("model.dem")
syndromes, flips, _ = model.compile_sampler().sample(1000)
wrong = (decoder().decode(syndromes) != flips).any(axis=1)
print(wrong.mean())
```
{sections}"""


@dataclass(frozen=True)
class Card:
    """What a model card adds to an exported folder.

    Attributes:
        front_matter: The beginning of the README, in which hosts of models look for facts.
        sections: Markdown at its end.
        files: Further files by name.
    """

    front_matter: str
    sections: str
    files: Mapping[str, bytes]


#: What a card's files say.
_SAYS = {"CITATION.cff": "how to cite it"}

#: Makes a card, given the SHA-256 of each file of the folder.
CardWriter = Callable[[Mapping[str, str]], Card]

#: A folder's README without a card.
_NO_CARD = Card("", "", {})


def write_folder(
    package: Package, registry: Registry, folder: Path, *, onnx: bool = False, card: CardWriter | None = None
) -> dict[str, Any]:
    """Write a round as a folder.

    Args:
        package: The round.
        registry: Installed plugins.
        folder: A folder that does not exist, or is empty.
        onnx: Also write `predecoder.onnx`.
        card: Makes a model card of the README, and adds files.

    Returns:
        The manifest.

    Raises:
        UsageError: The folder is not empty.
        AutoQECError: The folder is not writable, or the round does not run or has no ONNX form.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder", hint="name a folder that does not exist yet")
    # Whoever gets the folder decodes, and needs no shots of an experiment. Its digest is of what it holds.
    package = replace(package, environment_files=without_shots(package.environment).files)
    deployed = Deployed(package, registry)
    problem = deployed.problem
    _ = deployed.tensors  # raises an error if the weights belong to another problem
    environment = package.environment.environment
    files = {f"candidate/{path}": data for path, data in package.sealed.files.items()}
    files |= {f"environment/{path}": data for path, data in package.environment_files.items()}
    files |= {WEIGHTS_FILE: package.sealed.weights, "model.dem": f"{problem.dem}\n".encode()}
    if problem.circuit is not None:
        files["circuit.stim"] = f"{problem.circuit}\n".encode()
    files["predecoder.py"] = _LOADER.format(module="predecoder", name=f"autoqec:{package.name}").encode()
    if onnx:
        from autoqec.exchange.onnx import onnx_model

        files["predecoder.onnx"] = onnx_model(deployed)
    about = card({path: sha256(data).hexdigest() for path, data in files.items()}) if card else _NO_CARD
    files |= about.files
    files["README.md"] = _README.format(
        front=about.front_matter,
        sections=f"\n{about.sections}" if about.sections else "",
        more="".join(f"| `{name}` | {_SAYS.get(name, 'the licence')} |\n" for name in about.files),
        name=package.name,
        environment=environment.name,
        commit=package.commit[:10],
        verdict=package.verdict or "none",
        decoder="".join(each for each in environment.decoder.label if each.isprintable() and each != "`"),
        weights=WEIGHTS_FILE,
        detectors=problem.num_detectors,
        mechanisms=len(problem.mechanisms),
        manifest=MANIFEST,
        version=__version__,
    ).encode()
    manifest = {
        "schema": _SCHEMA,
        **package.metadata(),
        "fingerprint": problem.fingerprint,
        "detectors": problem.num_detectors,
        "mechanisms": len(problem.mechanisms),
        "observables": problem.num_observables,
        "autoqec": __version__,
        "files": sorted([*files, MANIFEST]),
    }
    files[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    write_files(folder, files)
    return manifest


def open_folder(folder: Path, registry: Registry | None = None) -> Deployed:
    """Load a folder that `write_folder` wrote. `ArrayDecoder(open_folder(folder))` decodes arrays to arrays.

    Args:
        folder: The folder.
        registry: Installed plugins; by default all that are found.

    Raises:
        NotFoundError, AutoQECError: As for `read_folder`.
    """
    return Deployed(read_folder(folder), registry or load_plugins())


def read_folder(folder: Path) -> Package:
    """Read a folder that `write_folder` wrote, as data: nothing in it is run.

    Raises:
        NotFoundError: The folder is not an exported round.
        UsageError: A file in it is too large, or is a link that leads out of it.
        AutoQECError: Its contents no longer match the digest in its manifest.
    """
    try:
        manifest = json.loads(read_contained(folder / MANIFEST, folder, RECORD_BYTES))
        weights = read_contained(folder / WEIGHTS_FILE, folder, BLOB_BYTES)
        candidate, environment = (_read(folder / name, folder) for name in ("candidate", "environment"))
    except (OSError, ValueError, RecursionError) as error:
        raise NotFoundError(
            f"{folder} is not an exported round: {one_line(error)}", hint="autoqec export ROUND --to DIR"
        ) from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != _SCHEMA or ENVIRONMENT_FILE not in environment:
        raise NotFoundError(
            f"{folder} is an export of schema {str(schema)[:40]}, but this AutoQEC reads {_SCHEMA}",
            hint="pip install --upgrade autoqec",
        )
    told = [manifest.get(name) for name in ("round", "commit", "digest")]
    verdict = manifest.get("verdict")
    if not all(isinstance(each, str) for each in told) or not (verdict is None or isinstance(verdict, str)):
        raise AutoQECError(
            f"{folder / MANIFEST} does not say which round it is of: round, commit, digest and verdict are text",
            hint="export the round again",
        )
    package = Package(told[0], told[1], environment, SealedCandidate(candidate, weights), verdict)
    if package.digest != told[2]:
        raise AutoQECError(
            f"{folder} has been changed: its digest is {package.digest[:12]}, but its manifest says {told[2][:12]}",
            hint="export the round again",
        )
    return package


def _read(folder: Path, top: Path) -> dict[str, bytes]:
    paths = [path for path in islice(sorted(folder.rglob("*")), FILES) if path.is_file()]
    return {path.relative_to(folder).as_posix(): read_contained(path, top, BLOB_BYTES) for path in paths}
