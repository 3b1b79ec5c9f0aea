"""The files of a candidate under `.autoqec/candidate/`: their schema, strict reading and canonical writing.

    output.yaml               mode: soft_priors | hard_flip, threshold
    training.yaml             learning_rate, batch_size, epochs, shots, loss, init, patience, device
    gate.yaml                 kind, threshold, events, short_bp; absent: every shot goes through the pipeline
    stages/<slug>/stage.yaml  kind, position and the fields of that kind
    stages/<slug>/module.py   Python code, only for a kind that runs the candidate's own code (`custom`)

The empty pipeline (no stages) is the baseline. Reading and writing are inverse: every file has the form that
`write_candidate` produces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoqec.candidate.stage_contract import StageConfig, StageKind
from autoqec.candidate_paths import GATE_FILE, OUTPUT_FILE, TRAINING_FILE, stage_file
from autoqec.canonical import content_hash, dump_yaml, load_yaml
from autoqec.decoding.gate_file import Gate, read_gate
from autoqec.errors import UsageError
from autoqec.problem.environment import validated

#: Maximum number of stages; nobody can review a longer pipeline.
MAX_STAGES = 16

_ALLOWED = (
    "a candidate has output.yaml, training.yaml, gate.yaml, stages/<slug>/stage.yaml and, for kind: custom, module.py"
)


#: Fields of `Training` that came later: they are written only where they differ from the meaning that files without them have,
#: so that an old candidate keeps its files and its hash.
_ONLY_IF_SET = frozenset({"sampling", "sampled_share", "temperature", "curriculum", "labels", "teacher"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(_Strict):
    """How the classical decoder receives beliefs.

    `soft_priors`: beliefs become its per-shot priors. `hard_flip`: mechanisms that fired with a probability above `threshold`
    are applied, and the classical decoder decodes the residual syndrome with its own static weights.

    Attributes:
        mode: How beliefs reach the decoder.
        threshold: Of `hard_flip`: the probability above which a mechanism is applied.
    """

    mode: Literal["soft_priors", "hard_flip"] = "soft_priors"
    threshold: float = Field(default=0.5, gt=0.0, lt=1.0)


class Training(_Strict):
    """Training: `epochs` passes over `shots` freshly drawn shots.

    The losses `bce`, `weighted_bce` and `focal` have the fired mechanisms as target. `logical_gap` has the true logical class
    as target, by the weights of the decoder's best solutions in each class; it needs a decoder that provides them (`mwpm`).

    Attributes:
        learning_rate: Of Adam, with a cosine schedule.
        batch_size: Shots of a step.
        epochs: Passes over the shots; 0 leaves the initial weights.
        shots: Shots of an epoch; the profile's `train_shots` limits all epochs together.
        loss: What training makes small.
        init: `parents` starts from the parents' tensors where name and shape fit.
        patience: Stop after so many looks in a row at which the validation loss was not lower; 0 for never. With `sampling:
            gated`, lower means by more than the standard error of the difference on the same validation shots.
        device: `auto` takes a GPU where torch sees one.
        sampling: `all` computes every shot that is drawn. `gated` asks the environment's decoder how sure it is of each, computes
            the least sure ones and a sample of the others, and weighs each by one over its chance to be taken, so that the
            expected gradient is the same. A candidate computes a hundred times longer on a shot than drawing it takes.
        sampled_share: With `sampling: gated`, the share of the shots drawn that is computed.
        temperature: Of the loss `logical_gap`: `fitted` divides all gaps by the temperature with the least loss on the last
            batches, so that training is not spent on making overconfident beliefs less so. With several observables it is 1.
        curriculum: How much noise training starts with, as a multiple of the target's; it comes down to the target in three
            levels during the first half of the steps. 1 trains at the target from the start.
        labels: What the losses take as true. `sampled`: what was drawn. `canonical`: for losses whose target is mechanisms, one
            likely error with the same detectors and observables as the error that was drawn, always the same one. `distilled`:
            the observables that the `teacher` answers and, for losses whose target is mechanisms, a canonical error with those.
        teacher: With `labels: distilled`, the decoder to learn from: a reference of the environment by its label, or any decoder
            by its name; empty for the environment's first reference.
    """

    learning_rate: float = Field(default=0.02, gt=0.0, le=1.0)
    batch_size: int = Field(default=256, ge=8, le=65536)
    epochs: int = Field(default=1, ge=0, le=1000)
    shots: int = Field(default=32768, ge=0, le=100_000_000)
    loss: Literal["bce", "weighted_bce", "focal", "logical_gap"] = "bce"
    init: Literal["fresh", "parents"] = "fresh"
    patience: int = Field(default=3, ge=0, le=10)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    sampling: Literal["all", "gated"] = "all"
    sampled_share: float = Field(default=0.125, gt=0.0, le=1.0)
    temperature: Literal["one", "fitted"] = "one"
    curriculum: float = Field(default=1.0, ge=1.0, le=10.0)
    labels: Literal["sampled", "canonical", "distilled"] = "sampled"
    teacher: str = Field(default="", max_length=200)


@dataclass(frozen=True)
class Stage:
    """One stage of a pipeline: its directory name, stage kind, validated fields and, if it has one, its module's text."""

    slug: str
    kind: StageKind = field(compare=False)
    config: StageConfig
    module: str | None = None


@dataclass(frozen=True)
class Candidate:
    """A whole predecoder without weights; stages in execution order. `gate` is None if there is no `gate.yaml`."""

    output: Output
    training: Training
    stages: tuple[Stage, ...]
    gate: Gate | None = None


def read_candidate(files: Mapping[str, bytes], stage_kinds: Callable[[str], StageKind]) -> Candidate:
    """Validate a candidate's files.

    Args:
        files: Contents by path relative to the candidate directory.
        stage_kinds: Returns the stage plugin of a kind; raises NotFoundError for an unknown kind.

    Raises:
        UsageError: A file is unknown, malformed or has an invalid field; the message names file and field.
        NotFoundError: A stage's kind is not registered.
    """
    parts: dict[str, Any] = {OUTPUT_FILE: Output(), TRAINING_FILE: Training(), GATE_FILE: None}
    stages: list[Stage] = []
    for path in sorted(files):
        match = stage_file(path)
        if match and match[1] == "module.py":
            if path.replace("module.py", "stage.yaml") not in files:
                hint = "add stage.yaml beside it, with kind: custom"
                raise UsageError(f"{path} belongs to no stage", hint=hint, code="custom_refused")
            continue  # read with its stage
        if path == GATE_FILE:
            parts[path] = read_gate(files)
            continue
        raw = load_yaml(files[path], name=path)
        if path == OUTPUT_FILE:
            parts[path] = validated(Output, raw, path)
        elif path == TRAINING_FILE:
            parts[path] = validated(Training, raw, path)
        elif match:
            stages.append(_read_stage(match[0], raw, files, stage_kinds))
        else:
            raise UsageError(
                f"{path} is not allowed in a candidate",
                hint=_ALLOWED,
            )
    if len(stages) > MAX_STAGES:
        raise UsageError(f"the candidate has {len(stages)} stages; at most {MAX_STAGES} are allowed")
    stages.sort(key=lambda stage: (stage.config.position, stage.slug))
    return Candidate(parts[OUTPUT_FILE], parts[TRAINING_FILE], tuple(stages), parts[GATE_FILE])


def _read_stage(slug: str, raw: Any, files: Mapping[str, bytes], stage_kinds: Callable[[str], StageKind]) -> Stage:
    path, module_path = f"stages/{slug}/stage.yaml", f"stages/{slug}/module.py"
    if not isinstance(raw, dict) or not isinstance(raw.get("kind"), str):
        problem = "every stage needs a kind"
        about = {"file": path, "field": "kind", "problem": problem}
        raise UsageError(f"{path}: kind: {problem}", code="bad_value", about=about)
    kind = stage_kinds(raw["kind"])
    config = validated(kind.Config, raw, path)
    with_module = getattr(kind, "with_module", None)
    if with_module is None:
        if module_path in files:
            problem = f"{module_path}: a stage of kind {raw['kind']} cannot have a module"
            raise UsageError(problem, code="custom_refused")
        return Stage(slug, kind, config)
    if module_path not in files:
        problem = f"{module_path} is missing: a stage of kind {raw['kind']} needs it"
        raise UsageError(problem, code="custom_refused")
    module = _canonical_text(files[module_path], module_path)
    return Stage(slug, with_module(module, module_path), config, module)


def _canonical_text(data: bytes, path: str) -> str:
    """Decode text and normalise its line ends."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8", code="custom_refused") from error
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip() + "\n"


def write_candidate(candidate: Candidate) -> dict[str, bytes]:
    """Write the canonical files of a candidate: every field but those of `_ONLY_IF_SET`, and no file that it need not have."""
    files: dict[str, BaseModel] = {OUTPUT_FILE: candidate.output, TRAINING_FILE: candidate.training}
    if candidate.gate is not None:
        files[GATE_FILE] = candidate.gate
    files |= {f"stages/{stage.slug}/stage.yaml": stage.config for stage in candidate.stages}
    modules = {f"stages/{s.slug}/module.py": s.module.encode() for s in candidate.stages if s.module is not None}
    return {path: dump_yaml(_fields(model)).encode() for path, model in files.items()} | modules


def _fields(model: BaseModel) -> dict[str, Any]:
    fields: dict[str, Any] = model.model_dump(mode="json")
    optional = _ONLY_IF_SET if isinstance(model, Training) else frozenset()
    return {name: value for name, value in fields.items() if name not in optional or value != _default(model, name)}


def _default(model: BaseModel, name: str) -> Any:
    return type(model).model_fields[name].default


def candidate_hash(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of canonical files: equal for two rounds with the same candidate."""
    return content_hash({path: data.decode() for path, data in files.items()})
