"""The part of the search space that is an ensemble: its first fields, the values to try, and how a field is set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoqec.agents.agent_contract import Context
from autoqec.candidate_paths import ENSEMBLE_FILE
from autoqec.json_values import JsonObject

from .normal_form import NO_MEMBERS
from .templates import Family, family_of

#: The first ensemble of each family; `docs/candidates.md` has the measurements. A matching decoder solves every class, so
#: disorder of one pass's beliefs is enough: it needs no further pass and no further FLOPs. Ordered statistics answer one class a
#: member, and only another pass of belief propagation leads to another one.
FIRST_ENSEMBLE: Mapping[Family, JsonObject] = {
    "matching": {
        "members": 32,
        "passes": 1,
        "belief_spread": 1.4,
        "select": "class_sum",
        "gap_share": 0.25,
        "agree": 3,
        "margin": 2.0,
    },
    "hyperedge": {
        "members": 16,
        "passes": 16,
        "prior_spread": 0.7,
        "select": "class_sum",
        "agree": 6,
        "margin": 4.0,
    },
}

#: Values to try, in order. Without members there is no ensemble, and the decoder answers the beliefs of one pass.
ENSEMBLE: Mapping[str, Sequence[Any]] = {
    "members": (NO_MEMBERS, 8, 16, 24, 32),
    "passes": (1, 2, 4, 8, 16, 24, 32),
    "prior_spread": (0.5, 0.7, 1.0, 1.4),
    "belief_spread": (0.7, 1.0, 1.2, 1.4),
    "select": ("least_weight", "class_sum"),
    "gap_share": (0.0, 0.125, 0.25, 0.5),
    "agree": (0, 3, 4, 6, 8),
    "margin": (2.0, 3.0, 4.0, 6.0),
}

#: Fields of `ensemble.yaml` that a search leaves alone, each with the reason.
LEFT_ALONE_IN_ENSEMBLES: Mapping[str, str] = {"seed": "another draw of the same disorder is no other idea"}


def offers_solutions(context: Context) -> bool:
    """Tell whether the environment's decoder offers solutions to an ensemble."""
    return ENSEMBLE_FILE in context.formats


def ensemble_choices(fields: JsonObject, context: Context) -> dict[str, tuple[Any, ...]]:
    """Return the fields of an ensemble, in the normal form, that can change an answer, each with the values to try."""
    members = fields["members"]
    if members == NO_MEMBERS:
        return {"members": tuple(ENSEMBLE["members"])}
    silent = {
        "prior_spread": fields["passes"] == 1,
        "belief_spread": fields["passes"] >= members,
        "gap_share": fields["select"] != "class_sum" or family_of(context.environment) != "matching",
        "margin": fields["agree"] == 0,
    }
    found = {name: tuple(values) for name, values in ENSEMBLE.items() if not silent.get(name)}
    found |= {name: tuple(value for value in found[name] if value <= members) for name in ("passes", "agree")}
    return found


def set_field(parsed: dict[str, dict[str, Any]], path: str, field: str, value: Any, context: Context) -> None:
    """Set a field of a candidate; one of an ensemble that it does not have is not set.

    Members that were all passes stay so, and no field asks for more members than there are.
    """
    if path != ENSEMBLE_FILE:
        parsed[path][field] = value
    elif field != "members":
        if path in parsed:
            parsed[path][field] = value
    elif value == NO_MEMBERS:
        parsed.pop(path, None)
    else:
        before = parsed.get(path) or dict(FIRST_ENSEMBLE[family_of(context.environment)])
        passes = value if before.get("passes", 1) == before.get("members") else min(before.get("passes", 1), value)
        parsed[path] = {**before, "members": value, "passes": passes, "agree": min(before.get("agree", 0), value)}
