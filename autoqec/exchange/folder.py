"""A round as a folder that stands alone: candidate, weights, environment, error model, a README, and a file that loads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoqec import __version__
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.exchange.deploy import Deployed
from autoqec.exchange.package import Package
from autoqec.history.rounds.attachments import WEIGHTS_FILE
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.environment import ENVIRONMENT_FILE
from autoqec.sandbox.sealed import SealedCandidate

MANIFEST = "manifest.json"
_SCHEMA = "autoqec.export/1"

_LOADER = '''"""The predecoder in this folder: `decoder()` for your own code, `decoders` for sinter.

sinter collect --custom_decoders_module_function {module}:decoders --decoders {name} --circuits circuit.stim ...
"""

from pathlib import Path

from autoqec.exchange.folder import open_folder


def decoder():
    """An object whose `decode(syndromes)` takes and gives bit-packed little-endian uint8 arrays, one row a shot."""
    return open_folder(Path(__file__).parent)


def decoders():
    """What sinter's `--custom_decoders_module_function` asks for."""
    from autoqec.exchange.sinter_rounds import round_decoders

    return round_decoders(decoder().package)
'''

_README = """\
# {name}

{story}

A neural predecoder of the round `{name}` (commit `{commit}`, verdict {verdict}), with the classical decoder `{decoder}` behind
it. It decodes this circuit at this noise and no other: loaded for another error model, it refuses.

| file | |
|---|---|
| `candidate/` | the pipeline of stages, as in git |
| `{weights}` | its weights |
| `environment/` | what it was trained for |
| `circuit.stim`, `model.dem` | what that compiles to (no circuit where the environment has none) |
| `predecoder.py` | loads it |
| `predecoder.onnx` | the predecoder alone, if asked for: {detectors} detectors → {mechanisms} log-likelihood ratios, float32 |
| `{manifest}` | the same in JSON, with digests |

```sh
pip install autoqec=={version}
PYTHONPATH=. sinter collect --custom_decoders_module_function predecoder:decoders \\
    --decoders autoqec:{name} --circuits circuit.stim --max_shots 100000 --processes auto
```
"""


def write_folder(package: Package, registry: Registry, folder: Path, *, onnx: bool = False) -> dict[str, Any]:
    """Write a round.

    Args:
        package: The round.
        registry: Installed plugins.
        folder: A folder that does not exist, or is empty.
        onnx: Whether to write `predecoder.onnx`, too.

    Returns:
        The manifest.

    Raises:
        UsageError: The folder holds something.
        AutoQECError: It cannot be written, the round cannot be run, or has no ONNX form.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} holds something else", hint="name a folder that does not exist yet")
    deployed = Deployed(package, registry)
    problem = deployed.problem
    _ = deployed.tensors  # raises where the weights are not this problem's
    environment = package.environment.environment
    files = {f"candidate/{path}": data for path, data in package.sealed.files.items()}
    files |= {f"environment/{path}": data for path, data in package.environment_files.items()}
    files |= {WEIGHTS_FILE: package.sealed.weights, "model.dem": f"{problem.dem}\n".encode()}
    if problem.circuit is not None:
        files["circuit.stim"] = f"{problem.circuit}\n".encode()
    files["predecoder.py"] = _LOADER.format(module="predecoder", name=f"autoqec:{package.name}").encode()
    files["README.md"] = _README.format(
        name=package.name,
        story=environment.story or environment.name,
        commit=package.commit[:10],
        verdict=package.verdict or "none",
        decoder=environment.decoder.label,
        weights=WEIGHTS_FILE,
        detectors=problem.num_detectors,
        mechanisms=len(problem.mechanisms),
        manifest=MANIFEST,
        version=__version__,
    ).encode()
    if onnx:
        from autoqec.exchange.onnx import onnx_model

        files["predecoder.onnx"] = onnx_model(deployed)
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
    _write(files, folder)
    return manifest


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    try:
        for path, data in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    except OSError as error:
        raise AutoQECError(f"cannot write {error.filename or folder}: {error.strerror}") from error


def open_folder(folder: Path, registry: Registry | None = None) -> Deployed:
    """Load what `write_folder` wrote.

    Args:
        folder: The folder.
        registry: Installed plugins; found by default.

    Raises:
        NotFoundError: It is no such folder.
        AutoQECError: Something in it was changed: it no longer is the round its manifest names.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        weights = (folder / WEIGHTS_FILE).read_bytes()
        candidate, environment = (_read(folder / name) for name in ("candidate", "environment"))
    except (OSError, ValueError) as error:
        raise NotFoundError(f"{folder} is no exported round: {error}", hint="autoqec export ROUND --to DIR") from error
    if manifest.get("schema") != _SCHEMA or ENVIRONMENT_FILE not in environment:
        raise NotFoundError(
            f"{folder} is an export of schema {manifest.get('schema')}, and this AutoQEC reads {_SCHEMA}",
            hint="pip install --upgrade autoqec",
        )
    package = Package(
        manifest["round"], manifest["commit"], environment, SealedCandidate(candidate, weights), manifest["verdict"]
    )
    if package.digest != manifest["digest"]:
        raise AutoQECError(
            f"{folder} has been changed: its digest is {package.digest[:12]}, and its manifest says "
            f"{str(manifest['digest'])[:12]}",
            hint="export the round again",
        )
    return Deployed(package, registry or load_plugins())


def _read(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
