"""Converts an agent's files to canonical candidate files, with an output mode that the environment's decoder supports."""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.agents.role_messages import Proposal
from autoqec.candidate.schema import Output
from autoqec.candidate_paths import OUTPUT_FILE
from autoqec.canonical import load_yaml
from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.decoder_contract import confidence_kind
from autoqec.decoding.gate_file import NO_KIND, read_gate, require_offered
from autoqec.errors import UsageError
from autoqec.loop.session import Session
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
        UsageError, NotFoundError: A file is not valid, asks for `soft_priors` of such a decoder, or for a confidence that
            the decoder does not offer; names the field.
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
    require_gate_fits(session, files)
    return files


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
