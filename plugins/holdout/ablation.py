"""Ablation: what is left of a gain without a part of a candidate: learned weights, a stage, the gate, or part of an ensemble.

Nothing is trained again.

A stage that others were trained to stand beside may be missed more than it is worth alone; the figures say what it earns in this
candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autoqec.candidate.weights import bound_to, load_weights, save_weights
from autoqec.candidate_paths import ENSEMBLE_FILE, GATE_FILE
from autoqec.canonical import dump_yaml
from autoqec.decoding.ensemble_file import read_ensemble
from autoqec.errors import AutoQECError
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.problem.streams import derive_seed
from autoqec.results.statistics import delta_interval
from autoqec.results.verdict_parts import Ablation, Variant, VariantCounted
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.composition import paired
from autoqec.scoring.score_stream import Scored, ScoreStream, chunks_for, score_each
from autoqec.scoring.verifier_contract import Report

from .sequential import CellScored, Plan, progress

#: Shots of each variant, the first of those that the figures rest on.
ABLATION_SHOTS = 16_384

#: The variants that are not a candidate less a stage; no stage has such a name.
SHUFFLED, WITHOUT_GATE = "shuffled", "without the gate"
_ENSEMBLE = ("without the ensemble", "one member", "half the members", "least weight")


def stages_of(sealed: SealedCandidate) -> list[str]:
    """The slugs of a candidate's stages, sorted."""
    return sorted({path.split("/")[1] for path in sealed.files if path.startswith("stages/")})


def without_stage(sealed: SealedCandidate, slug: str) -> SealedCandidate:
    """A candidate less one stage and its tensors."""
    files = {path: data for path, data in sealed.files.items() if not path.startswith(f"stages/{slug}/")}
    if stages_of(sealed) == [slug]:
        files.pop(ENSEMBLE_FILE, None)  # an ensemble of nothing
    if not sealed.weights:
        return SealedCandidate(files, b"")
    tensors = {name: t for name, t in load_weights(sealed.weights).items() if not name.startswith(f"{slug}.")}
    return SealedCandidate(files, save_weights(tensors, fingerprints=bound_to(sealed.weights)))


def without_gate(sealed: SealedCandidate) -> SealedCandidate | None:
    """A candidate whose pipeline is sent every shot; None if it has no gate."""
    if GATE_FILE not in sealed.files:
        return None
    return SealedCandidate({path: data for path, data in sealed.files.items() if path != GATE_FILE}, sealed.weights)


def with_less_ensemble(sealed: SealedCandidate) -> dict[str, SealedCandidate]:
    """Candidates with less of an ensemble, by name: without it, with one or half of its members, or choosing by least weight."""
    ensemble = read_ensemble(sealed.files)
    if ensemble is None:
        return {}
    none, one, half, least = _ENSEMBLE
    fewer = {one: 1} | ({half: ensemble.members // 2} if ensemble.members > 3 else {})
    changed: dict[str, dict[str, object]] = {
        name: {"members": members, "agree": min(ensemble.agree, members)} for name, members in fewer.items()
    }
    if ensemble.select != "least_weight":
        changed[least] = {"select": "least_weight"}
    without = {path: data for path, data in sealed.files.items() if path != ENSEMBLE_FILE}
    found = {none: SealedCandidate(without, sealed.weights)}
    for name, fields in changed.items():
        told = dump_yaml(ensemble.model_dump(mode="json") | fields).encode()
        found[name] = SealedCandidate({**sealed.files, ENSEMBLE_FILE: told}, sealed.weights)
    return found


def shuffled(sealed: SealedCandidate, key: bytes) -> SealedCandidate | None:
    """A candidate with the numbers of each tensor in another order; None if it has learned no tensor of two numbers.

    Whole numbers, such as the indices of a graph, stay where they are.

    Args:
        sealed: The candidate.
        key: Of the permutations.
    """
    tensors = load_weights(sealed.weights) if sealed.weights else {}
    learned = [name for name, tensor in sorted(tensors.items()) if tensor.size > 1 and tensor.dtype.kind == "f"]
    for place, name in enumerate(learned):
        rng = np.random.Generator(np.random.PCG64(derive_seed(key, "shuffle", place)))
        tensors[name] = rng.permutation(tensors[name].ravel()).reshape(tensors[name].shape)
    if not learned:
        return None
    return SealedCandidate(sealed.files, save_weights(tensors, fingerprints=bound_to(sealed.weights)))


def ablate(stream: ScoreStream, target: CellScored, plan: Plan, report: Report) -> Ablation:
    """Score variants of a candidate on the first shots that its figures rest on."""
    assert target.extension is not None
    chunks, fewer = (
        min(chunks_for(shots), target.extension.chunks)
        for shots in (plan.rare(ABLATION_SHOTS, stream.sealed), plan.few(ABLATION_SHOTS))
    )
    whole = {SHUFFLED: shuffled(stream.sealed, stream.key), WITHOUT_GATE: without_gate(stream.sealed)}
    variants = {name: sealed for name, sealed in whole.items() if sealed is not None}
    variants |= with_less_ensemble(stream.sealed)
    variants |= {f"without {slug}": without_stage(stream.sealed, slug) for slug in stages_of(stream.sealed)}
    streams = {name: replace(stream, sealed=sealed) for name, sealed in variants.items()}
    shots = min(chunks * CHUNK_SHOTS, target.extension.counts.shots)
    counted = progress(report, "ablation", total=len(streams) * shots)
    found: dict[str, Scored | AutoQECError] = {}
    # Without its gate every shot costs what one that is sent on does, so there are no more of those where failures are rare.
    for gated, part in ((True, chunks), (False, fewer)):
        names = [name for name in streams if (name != WITHOUT_GATE) is gated]
        done = len(found) * shots
        outcomes = score_each(
            [streams[name] for name in names],
            target.first,
            part,
            lambda more, done=done: counted(int(done + more * shots), len(streams) * shots),  # type: ignore[misc]
        )
        found |= dict(zip(names, outcomes, strict=True))
    rows = tuple(_beside(name, found[name], target.extension) for name in streams)
    return Ablation(shots, rows, _earner(rows))


def _earner(rows: Sequence[Variant]) -> str | None:
    """The stage that earns most, if it is shown to earn anything."""
    earned = {
        row.name.removeprefix("without "): row.counted.earned
        for row in rows
        if row.name not in (SHUFFLED, WITHOUT_GATE, *_ENSEMBLE)
        and row.counted is not None
        and row.counted.earned_ci[0] > 0
    }
    return max(earned, key=lambda slug: earned[slug], default=None)


def _beside(name: str, variant: Scored | AutoQECError, whole: Scored) -> Variant:
    if not isinstance(variant, Scored):
        return Variant(name, variant.problem)
    counts = paired(variant, whole)
    beside = VariantCounted(variant.counts, variant.counts.delta_ler, counts, counts.delta_ler, delta_interval(counts))
    return Variant(name, counted=beside)
