"""The rounds with which a run opens where the decoder offers solutions to an ensemble: a round, two forks of it, their merge.

1. The first template: one pass of its pipeline, trained.
2. A fork of it that adds `ensemble.yaml` and nothing else. The weights are inherited and not trained further, so the round costs
   seconds, and the difference between the two rounds is the ensemble's.
3. Another fork of round 1, which makes its pipeline and its gate those of the cheap template. It changes other files
   than round 2.
4. The merge of 2 and 3, which the agent proposes because it is the first pair that can merge: an ensemble of cheaper members.
"""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.context_parts import HypothesisMessage
from autoqec.candidate_paths import ENSEMBLE_FILE

from .ensemble_space import FIRST_ENSEMBLE
from .relations import fork_reply
from .retraining import without_training
from .space import Parsed, parse, template_files
from .templates import Family, Template, family_of

#: Why an ensemble should gain, by family.
_WHY: Mapping[Family, str] = {
    "matching": (
        "One pass of belief propagation counts the evidence of loops twice, and its matching is the likeliest error of a class,"
        " not the likeliest class. Members from disordered beliefs find other likely errors of each class. The class whose errors"
        " are the most probable in sum wins, as in maximum-likelihood decoding."
    ),
    "hyperedge": (
        "Where belief propagation oscillates between equivalent errors, another start leads to another solution (relay belief"
        " propagation: Müller et al. 2025). The class whose distinct solutions are"
        " the most probable in sum, by the priors, wins."
    ),
}


def ensemble_fork(parent: PastRound, context: Context) -> tuple[Parsed, HypothesisMessage] | None:
    """Return a fork that adds the family's first ensemble to a round, and trains nothing."""
    family = family_of(context.environment)
    parsed = without_training(parse(parent.files))
    parsed[ENSEMBLE_FILE] = dict(FIRST_ENSEMBLE[family])
    members, passes = (FIRST_ENSEMBLE[family][name] for name in ("members", "passes"))
    reply = fork_reply(
        parent, parsed, [f"an ensemble of {members} members from {passes} pass{'es' * (passes > 1)}"], _WHY[family]
    )
    return parsed, reply


def cheap_fork(parent: PastRound, cheap: Template, context: Context) -> tuple[Parsed, HypothesisMessage] | None:
    """Return a fork with the pipeline, the training and the gate of a template, under the parent's own names.

    None if they do not have one stage each, so that it is unclear which one replaces which.
    """
    before, after = parse(parent.files), parse(template_files(cheap, context))
    stages = [[path for path in parsed if path.startswith("stages/")] for parsed in (before, after)]
    if [len(paths) for paths in stages] != [1, 1]:
        return None
    (own,), (others,) = stages
    fields = after.pop(others)
    parsed: Parsed = {**before, **after, own: fields | {"position": before[own].get("position", fields["position"])}}
    return parsed, {**fork_reply(parent, parsed, [], cheap.rationale), "text": cheap.text}
