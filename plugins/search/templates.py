"""Templates: pipelines with which a search starts, the most promising first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from autoqec.json_values import JsonObject

#: The input of the classical decoder: edges of a matching graph, or hyperedges (mechanisms with any number of detectors).
Family = Literal["matching", "hyperedge"]


@dataclass(frozen=True)
class Template:
    """A pipeline to start from.

    Attributes:
        text: The hypothesis in a sentence.
        rationale: Why it should work.
        families: The decoder families that it is for.
        training: Fields of `training.yaml`; the rest keep their defaults.
        gated_training: Fields that replace some of them where the candidate has a gate on the decoder's confidence.
        role: `cheap` gives up some of the gain for less cost: its gate on a gap sends on half as many shots. Else empty.
        stages: Fields of each stage by slug.
        output: Fields of `output.yaml`; if empty, the file is left out.
    """

    text: str
    rationale: str
    families: tuple[Family, ...]
    training: JsonObject
    stages: Mapping[str, JsonObject]
    output: JsonObject = field(default_factory=dict)
    gated_training: JsonObject = field(default_factory=dict)
    role: Literal["", "cheap"] = ""


def family_of(environment: JsonObject) -> Family:
    """Return the family of an environment, inferred from its decoder's name."""
    decoder = environment.get("decoder") or {}
    kind = str(decoder.get("kind", "") if isinstance(decoder, Mapping) else decoder)
    return "hyperedge" if kind and "mwpm" not in kind and "match" not in kind else "matching"


def templates_for(environment: JsonObject) -> list[Template]:
    """Return the templates for an environment's family, in the order to try them."""
    family = family_of(environment)
    return [template for template in TEMPLATES if family in template.families]


#: Shots are drawn for four microseconds each, and the tenth of them that the gate sends on is computed: 128 in a step, two
#: blocks of `neural_bp`. Few shots matter less than what is learned from each, so steps are small.
_GATED = {"sampling": "gated", "sampled_share": 0.1, "batch_size": 1280, "shots": 409_600}

_GAP_GATED = {**_GATED, "learning_rate": 0.03, "temperature": "fitted"}


def _training(learning_rate: float, shots: int = 102_400) -> dict[str, Any]:
    """Return training fields; with these shots two cores need at most a minute on `surface_d5_depol`
    (see `benchmarks/stages.py`).
    """
    return {"init": "parents", "learning_rate": learning_rate, "batch_size": 256, "shots": shots}


def _on_the_gap(shots: int = 204_800) -> dict[str, Any]:
    """Return training fields for the loss `logical_gap`. Few shots have a relevant gap, so batches are large and training
    never stops early.
    """
    return {
        "init": "parents",
        "learning_rate": 0.02,
        "batch_size": 512,
        "shots": shots,
        "loss": "logical_gap",
        "patience": 0,
    }


#: Untrained belief propagation. Cross-entropy trains marginals, not convergence, and made the input of ordered statistics worse.
#: It also makes beliefs overconfident, which cost a third of the gain of hard flips.
_UNTRAINED = {"init": "fresh", "shots": 0}


def _with_memory(algorithm: str, iterations: int, *, scale: float, memory: float) -> dict[str, Any]:
    return {
        "kind": "neural_bp",
        "iterations": iterations,
        "algorithm": algorithm,
        "scale": scale,
        "memory": "scalar",
        "memory_value": memory,
    }


_BOTH: tuple[Family, ...] = ("matching", "hyperedge")

#: Belief propagation short enough to leave FLOPs for a learned stage after it.
_SHORT_BP = {"kind": "neural_bp", "iterations": 5, "sharing": "per_check", "learn_prior_scale": True, "position": 50}

TEMPLATES = (
    Template(
        text="Five iterations of belief propagation, with scales and dampings learned per detector, set the matching weights",
        rationale=(
            "Plain matching has the same weights for all shots; belief propagation weighs each shot by itself, and sees which"
            " edges come together where an error is several edges (Criger and Ashraf 2018; Higgott et al. 2023). Factors learned"
            " from matching's own gap undo what loops spoil (Nachmani et al. 2016)."
        ),
        families=("matching",),
        training=_on_the_gap(),
        gated_training=_GAP_GATED,
        stages={
            "bp": {
                "kind": "neural_bp",
                "iterations": 5,
                "algorithm": "sum_product",
                "sharing": "per_check",
                "damping": "per_iteration",
                "learn_prior_scale": True,
            }
        },
    ),
    Template(
        text="Sixteen scaled sum-product iterations with a little memory and damping order the columns of shots that are hard",
        rationale=(
            "Memory and damping calm the oscillations between equivalent errors that prevent convergence of belief propagation"
            " (Chen et al. 2022; Müller et al. 2025), and a scale below one limits the overconfidence from loops."
        ),
        families=("hyperedge",),
        training=_UNTRAINED,
        stages={"bp": _with_memory("sum_product", 16, scale=0.8, memory=0.125) | {"damping_value": 0.3}},
    ),
    Template(
        text="Eight iterations of min-sum with memory order the columns nearly as well at a fifth of the cost",
        rationale="Min-sum needs no transcendental functions. It overestimates, so its scale is smaller.",
        families=("hyperedge",),
        training=_UNTRAINED,
        stages={"short": _with_memory("min_sum", 8, scale=0.6, memory=0.125) | {"position": 50}},
        role="cheap",
    ),
    Template(
        text="Five iterations of min-sum are the minimum for a good order of the columns",
        rationale="Ordered statistics need the order of the beliefs, not their values, and the order settles first.",
        families=("hyperedge",),
        training=_UNTRAINED,
        stages={"least": _with_memory("min_sum", 5, scale=0.6, memory=0.25)},
    ),
    Template(
        text="Eight iterations of sum-product are where its gain begins to flatten",
        rationale="Each doubling of the iterations resolves fewer of the shots that still oscillate.",
        families=("hyperedge",),
        training=_UNTRAINED,
        stages={"middle": _with_memory("sum_product", 8, scale=0.8, memory=0.125)},
    ),
    Template(
        text="Four iterations and a gate that sends on half as many shots keep most of the gain at two fifths of the FLOPs",
        rationale=(
            "The least sure shots are wrong most often, so each further shot that the gate sends on gains less, and so does each"
            " further iteration."
        ),
        families=("matching",),
        training=_on_the_gap(),
        gated_training={**_GAP_GATED, "sampled_share": 0.05},
        stages={
            "first_look": {
                "kind": "neural_bp",
                "iterations": 4,
                "algorithm": "sum_product",
                "sharing": "per_check",
                "damping": "per_iteration",
                "learn_prior_scale": True,
                "position": 50,
            }
        },
        role="cheap",
    ),
    Template(
        text="A graph network behind five iterations of belief propagation corrects what loops made overconfident",
        rationale=(
            "Belief propagation is exact on trees and wrong around short loops, which are the same everywhere; a network that"
            " starts as the identity needs to learn only the difference (Satorras and Welling 2021)."
        ),
        families=_BOTH,
        training=_training(0.01, 76_800),
        gated_training=_GATED,
        stages={"bp": _SHORT_BP, "correct": {"kind": "gnn", "message": "mlp", "aggregation": "sum"}},
    ),
    Template(
        text="Three-dimensional convolutions over space and time learn the meaning of local syndrome patterns",
        rationale="A surface code looks the same everywhere, so few weights see many examples (Gicev et al. 2023).",
        families=("matching",),
        training=_training(0.005),
        gated_training=_GATED,
        stages={"patch": {"kind": "cnn3d", "layers": 3, "channels": 12}},
    ),
    Template(
        text="A gated graph network learns its own messages instead of those of belief propagation",
        rationale="Gates can switch a message off, which is right for most incidences (Li et al. 2016).",
        families=_BOTH,
        training=_training(0.01, 51_200),
        gated_training=_GATED,
        stages={
            "gated": {
                "kind": "gnn",
                "message": "gated_mlp",
                "aggregation": "gated_sum",
                "normalisation": "layer",
            }
        },
    ),
    Template(
        text="Convolutions after belief propagation see patterns of detectors that no single message carries",
        rationale="The grid connects detectors that share no mechanism; belief propagation has already done the rest.",
        families=("matching",),
        training=_training(0.005),
        gated_training=_GATED,
        stages={"bp": _SHORT_BP, "patch": {"kind": "cnn3d", "layers": 2, "channels": 8, "head": "mlp"}},
    ),
    Template(
        text="Attention to edges weighs the few mechanisms that matter among the many at a detector",
        rationale="A detector has dozens of mechanisms and rarely more than one that fired (Brody et al. 2022).",
        families=("matching",),
        training=_training(0.01, 51_200),
        gated_training=_GATED,
        stages={
            "attend": {
                "kind": "gnn",
                "message": "edge_attention",
                "aggregation": "sum",
                "normalisation": "graph",
            }
        },
    ),
    Template(
        text="A perceptron after belief propagation learns a correction for each mechanism at almost no cost",
        rationale="The errors of belief propagation depend on position, and a dense layer has weights for each position.",
        families=_BOTH,
        training=_training(0.003),
        gated_training=_GATED,
        stages={"bp": _SHORT_BP, "places": {"kind": "mlp", "hidden": 32}},
    ),
    Template(
        text="A plain perceptron on the syndrome is the cheapest learned stage",
        rationale="Small codes have few syndromes that occur often (Torlai and Melko 2017).",
        families=("matching",),
        training=_training(0.005),
        gated_training=_GATED,
        stages={"dense": {"kind": "mlp", "hidden": 64, "see_beliefs": False}},
    ),
    Template(
        text="Self-attention among detectors connects the distant ends of an error chain in one step",
        rationale="Long chains need many convolutions or messages, but only one attention layer (Bausch et al. 2024).",
        families=("matching",),
        training=_training(0.005),
        gated_training=_GATED,
        stages={"chains": {"kind": "transformer", "layers": 1, "width": 16, "heads": 2}},
    ),
    Template(
        text="A graph network with gated recurrent messages iterates like belief propagation, with memory",
        rationale="A recurrent cell keeps a node's state until it gets better information (Gilmer et al. 2017).",
        families=("hyperedge",),
        training=_training(0.01, 25_600),
        stages={"recur": {"kind": "gnn", "message": "gru_cell", "aggregation": "mean", "layers": 2}},
    ),
    Template(
        text="Summaries of all mechanisms of a detector let their messages interact",
        rationale="Telling degenerate errors apart needs the alternatives, which a sum discards (Lee et al. 2019).",
        families=("hyperedge",),
        training=_training(0.01, 25_600),
        stages={
            "sets": {
                "kind": "gnn",
                "message": "normalized_mlp",
                "aggregation": "set_transformer",
                "layers": 1,
            }
        },
    ),
    Template(
        text="Applying the most certain errors of belief propagation leaves fewer defects for matching with fixed weights",
        rationale=(
            "The residual syndrome is sparser and the weights are fixed, so any matcher decodes it in microseconds"
            " (Chamberland et al. 2023); a wrong flip costs an extra defect, so only near-certain flips pay off."
        ),
        families=("matching",),
        training=_UNTRAINED,
        stages={"sure": {"kind": "neural_bp", "iterations": 8, "algorithm": "sum_product", "sharing": "per_layer"}},
        output={"mode": "hard_flip", "threshold": 0.8},
    ),
)
