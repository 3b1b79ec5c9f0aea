"""The candidate — the thing searched — as a dictionary of small canonical files under `.autoqec/candidate/`.

    output.yaml               mode: soft_priors | hard_flip, threshold
    training.yaml             learning_rate, batch_size, epochs, shots, loss, init, patience, device
    stages/<slug>/stage.yaml  kind, position and the fields of that kind
    stages/<slug>/module.py   Python, for a kind that runs what the candidate brings along, and only for such a kind

The empty pipeline (no stages) is the baseline. Reading and writing are inverse: every file is what `write_candidate` makes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autoqec.candidate.stage_contract import StageConfig, StageKind
from autoqec.canonical import content_hash, dump_yaml, load_yaml
from autoqec.errors import UsageError
from autoqec.problem.environment import explain, first_problem

_SLUG = re.compile(r"[a-z0-9_][a-z0-9_-]{0,39}")
_STAGE_FILE = re.compile(r"stages/([^/]+)/(stage\.yaml|module\.py)")

#: Says how beliefs reach the decoder.
OUTPUT_FILE = "output.yaml"

#: Says how beliefs reach the decoder.
OUTPUT_FILE = "output.yaml"

#: A pipeline longer than this is not an idea anyone can review.
MAX_STAGES = 16


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(_Strict):
    """How beliefs reach the classical decoder.

    `soft_priors`: they become its per-shot priors. `hard_flip`: mechanisms more likely than `threshold` to have fired are
    applied, and the classical decoder decodes what is left with its own static weights.
    """

    mode: Literal["soft_priors", "hard_flip"] = "soft_priors"
    threshold: float = Field(default=0.5, gt=0.0, lt=1.0)


class Training(_Strict):
    """How the weights are learned; shots are drawn fresh, `epochs` passes over `shots` of them.

    The losses `bce`, `weighted_bce` and `focal` ask which mechanisms fired; `logical_gap`, which needs a decoder that can
    teach (`mwpm`), asks in which logical class the decoder would find the lighter explanation.
    """

    learning_rate: float = Field(default=0.02, gt=0.0, le=1.0)
    batch_size: int = Field(default=256, ge=8, le=65536)
    epochs: int = Field(default=1, ge=0, le=1000)
    shots: int = Field(default=32768, ge=0, le=100_000_000)
    loss: Literal["bce", "weighted_bce", "focal", "logical_gap"] = "bce"
    init: Literal["fresh", "parents"] = "fresh"
    patience: int = Field(default=3, ge=0, le=10)
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True)
class Stage:
    """One stage of a pipeline: its directory name, its kind's plugin, its validated fields and, if it has one, its module."""

    slug: str
    kind: StageKind = field(compare=False)
    config: StageConfig
    module: str | None = None


@dataclass(frozen=True)
class Candidate:
    """A whole predecoder before it has weights; stages in the order they run."""

    output: Output
    training: Training
    stages: tuple[Stage, ...]


def _validated(model: type[BaseModel], raw: Any, path: str) -> Any:
    if not isinstance(raw, dict):
        raise UsageError(f"{path} is not a mapping of fields", code="bad_yaml", about={"file": path})
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        code, about = first_problem(error)
        raise UsageError(f"{path}: {explain(error)}", code=code, about={"file": path, **about}) from error


def read_candidate(files: Mapping[str, bytes], stage_kinds: Callable[[str], StageKind]) -> Candidate:
    """Validate a candidate's files.

    Args:
        files: Contents by path relative to the candidate directory.
        stage_kinds: Gives the stage plugin of a kind; raises NotFoundError for an unknown one.

    Raises:
        UsageError: A file is unknown, malformed or has a bad field; the message names file and field.
        NotFoundError: A stage's kind is not registered.
    """
    parts: dict[str, Any] = {OUTPUT_FILE: Output(), "training.yaml": Training()}
    stages: list[Stage] = []
    for path in sorted(files):
        match = _STAGE_FILE.fullmatch(path)
        if match and _SLUG.fullmatch(match[1]) and match[2] == "module.py":
            if path.replace("module.py", "stage.yaml") not in files:
                raise UsageError(
                    f"{path} is of no stage", hint="add stage.yaml beside it, with kind: custom", code="custom_refused"
                )
            continue  # read with its stage
        raw = load_yaml(files[path], name=path)
        if path == OUTPUT_FILE:
            parts[path] = _validated(Output, raw, path)
        elif path == "training.yaml":
            parts[path] = _validated(Training, raw, path)
        elif match and _SLUG.fullmatch(match[1]):
            stages.append(_read_stage(match[1], raw, files, stage_kinds))
        else:
            raise UsageError(
                f"{path} is not a file of a candidate",
                hint="a candidate has output.yaml, training.yaml, stages/<slug>/stage.yaml and, for kind: custom, module.py",
            )
    if len(stages) > MAX_STAGES:
        raise UsageError(f"the candidate has {len(stages)} stages; at most {MAX_STAGES} are allowed")
    stages.sort(key=lambda stage: (stage.config.position, stage.slug))
    return Candidate(parts[OUTPUT_FILE], parts["training.yaml"], tuple(stages))


def _read_stage(slug: str, raw: Any, files: Mapping[str, bytes], stage_kinds: Callable[[str], StageKind]) -> Stage:
    path, module_path = f"stages/{slug}/stage.yaml", f"stages/{slug}/module.py"
    if not isinstance(raw, dict) or not isinstance(raw.get("kind"), str):
        problem = "a stage says which kind it is"
        about = {"file": path, "field": "kind", "problem": problem}
        raise UsageError(f"{path}: kind: {problem}", code="bad_value", about=about)
    kind = stage_kinds(raw["kind"])
    config = _validated(kind.Config, raw, path)
    with_module = getattr(kind, "with_module", None)
    if with_module is None:
        if module_path in files:
            problem = f"{module_path}: a stage of kind {raw['kind']} has no module of its own"
            raise UsageError(problem, code="custom_refused")
        return Stage(slug, kind, config)
    if module_path not in files:
        problem = f"{module_path} is missing: a stage of kind {raw['kind']} is what it says there"
        raise UsageError(problem, code="custom_refused")
    module = _canonical_text(files[module_path], module_path)
    return Stage(slug, with_module(module, module_path), config, module)


def _canonical_text(data: bytes, path: str) -> str:
    """Text with one way to end a line, and to end."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8", code="custom_refused") from error
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip() + "\n"


def write_candidate(candidate: Candidate) -> dict[str, bytes]:
    """The canonical files of a candidate: every field present, one spelling."""
    files: dict[str, BaseModel] = {OUTPUT_FILE: candidate.output, "training.yaml": candidate.training}
    files |= {f"stages/{stage.slug}/stage.yaml": stage.config for stage in candidate.stages}
    modules = {f"stages/{s.slug}/module.py": s.module.encode() for s in candidate.stages if s.module is not None}
    return {path: dump_yaml(model.model_dump(mode="json")).encode() for path, model in files.items()} | modules


def candidate_hash(files: Mapping[str, bytes]) -> str:
    """SHA-256 of canonical files: equal for two rounds that try the same thing."""
    return content_hash({path: data.decode() for path, data in files.items()})
