"""Converts an agent's files to canonical candidate files, with an output mode that the environment's decoder supports."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from autoqec.agents.role_messages import Proposal
from autoqec.candidate.schema import Output, Training
from autoqec.candidate_paths import OUTPUT_FILE, TRAINING_FILE
from autoqec.canonical import load_yaml
from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.decoder_contract import SolvingDecoder, confidence_kind
from autoqec.decoding.ensemble_file import read_ensemble, require_solutions
from autoqec.decoding.gate_file import NO_KIND, read_gate, require_offered
from autoqec.errors import UsageError
from autoqec.loop.session import Session
from autoqec.plugins import missing_packages
from autoqec.problem.environment import Choice, validated
from autoqec.runner.reading import canonical_candidate


def texts_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """Decode files to text for agents."""
    return {path: data.decode("utf-8", "replace") for path, data in files.items()}


def sources_of(proposal: Proposal, start: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return all files of a proposal as bytes, including the unchanged files of an edit.

    Raises:
        UsageError: The proposal removes a file that does not exist.
    """
    return {path: text.encode("utf-8", "replace") for path, text in proposal.complete(texts_of(start)).items()}


def canonical_files(session: Session, sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Validate a proposal and spell it canonically.

    Behind a decoder that takes no beliefs only `hard_flip` works: it is filled in where `output.yaml` is left out.

    Raises:
        UsageError, NotFoundError: A file is not valid, or asks for `soft_priors` of such a decoder, for a confidence or for
            solutions that the decoder does not offer, or for a teacher that there is not; names the file and the field.
    """
    decoder = session.environment.environment.decoder.kind
    heeds = session.registry.get("decoder", decoder).capabilities.get("takes_beliefs")
    if not heeds and OUTPUT_FILE not in sources:
        sources = {**sources, OUTPUT_FILE: b"mode: hard_flip\n"}
    files = canonical_candidate(sources, session.registry)
    output = Output.model_validate(load_yaml(files[OUTPUT_FILE], name=OUTPUT_FILE))
    if not heeds and output.mode != "hard_flip":
        problem = f"{output.mode} needs a decoder that takes beliefs, and {decoder} takes none"
        raise UsageError(
            f"{OUTPUT_FILE}: mode: {problem}",
            hint="set mode: hard_flip",
            code="bad_value",
            about={"file": OUTPUT_FILE, "field": "mode", "problem": problem},
        )
    require_fits(session, files)
    return files


def require_fits(session: Session, files: Mapping[str, bytes]) -> None:
    """Refuse a gate, an ensemble or a teacher that this environment does not have.

    Raises:
        UsageError: As `require_gate_fits`, `require_ensemble_fits` and `teacher_of`.
    """
    require_gate_fits(session, files)
    require_ensemble_fits(session, files)
    teacher_of(session, files)


def training_of(files: Mapping[str, bytes]) -> Training:
    """How a candidate is trained.

    Raises:
        UsageError: `training.yaml` is not valid; names the field.
    """
    told = load_yaml(files.get(TRAINING_FILE, b"{}"), name=TRAINING_FILE)
    training: Training = validated(Training, told, TRAINING_FILE)
    return training


def teacher_of(session: Session, files: Mapping[str, bytes]) -> Choice | None:
    """The decoder that distilled labels come from; None if the candidate asks for no such labels.

    Raises:
        UsageError: As `training_of`; or there is no such decoder, its package is not installed, or none is named and the
            environment has no reference; names the field.
    """
    training = training_of(files)
    if training.labels != "distilled":
        return None
    references = {each.label: each for each in session.environment.environment.references}
    if not training.teacher and not references:
        raise _no_teacher("labels: distilled needs a teacher, because this environment has no references", references)
    if not training.teacher:
        chosen = next(iter(references.values()))
    elif training.teacher in references:
        chosen = references[training.teacher]
    elif training.teacher in session.registry.names("decoder") and not training.teacher.endswith(":"):
        # No member of a family: a name such as sinter:MODULE:CLASS would let a candidate import what it likes.
        chosen = Choice(kind=training.teacher)
    else:
        raise _no_teacher(f"there is no decoder {training.teacher!r}", references)
    missing = missing_packages(session.registry).get(chosen.kind)
    if missing:
        problem = f"decoder {chosen.kind} needs a package that is not installed: {missing}"
        raise _no_teacher(problem, references, code="missing_package")
    return chosen


def _no_teacher(problem: str, references: Collection[str], code: str = "bad_value") -> UsageError:
    return UsageError(
        f"{TRAINING_FILE}: teacher: {problem}",
        hint=f"name a decoder: {', '.join([*references, 'or one that autoqec plugins lists'])}; or set labels: sampled",
        code=code,
        about={"file": TRAINING_FILE, "field": "teacher", "problem": problem, "choices": [*references]},
    )


def require_gate_fits(session: Session, files: Mapping[str, bytes]) -> None:
    """Refuse a gate that asks for a confidence which the environment's decoder does not offer.

    Raises:
        UsageError: It does; names the field.
    """
    gate, chosen = read_gate(files), session.environment.environment.decoder
    if gate is None or gate.kind == NO_KIND:
        return
    offered = session.registry.get("decoder", chosen.kind).capabilities.get("confidence")
    if offered is None:  # a decoder that is registered without it may have one all the same
        offered = confidence_kind(compile_decoder(chosen, session.problem, session.registry))
    require_offered(gate, offered, chosen.kind)


def require_ensemble_fits(session: Session, files: Mapping[str, bytes]) -> None:
    """Refuse an ensemble where the environment's decoder offers no solutions to choose among.

    Raises:
        UsageError: It does not; names the file.
    """
    chosen = session.environment.environment.decoder
    if read_ensemble(files) is None:
        return
    offered = session.registry.get("decoder", chosen.kind).capabilities.get("solutions")
    if offered is None:  # a decoder that is registered without it may have them all the same
        offered = isinstance(compile_decoder(chosen, session.problem, session.registry), SolvingDecoder)
    require_solutions(bool(offered), chosen.kind)
