"""The agent `search`: an optimiser over stages and training.

It opens with a template, its ensemble, a cheaper sibling and their merge; see `opening`. Where the decoder offers no solutions
to an ensemble, it opens with two templates. Then it alternates: compose two good unrelated rounds, try the next template, fork a
good round. It never proposes a candidate that exceeds the environment's limits or the remaining time. It ignores the number of
rounds of the command: one command with four rounds gives the same run as four commands with one.
"""

from __future__ import annotations

import json

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.context_parts import HypothesisMessage
from autoqec.candidate_paths import ENSEMBLE_FILE
from autoqec.json_values import JsonObject

from .affording import allowed, cut_to_time, surely_over
from .brackets import worth_training_on
from .ensemble_space import offers_solutions
from .normal_form import normal_form
from .opening import cheap_fork, ensemble_fork
from .optimiser import mutate
from .relations import aims, beats, compose_reply, composes_due, fork_reply, pairs_to_compose, usable
from .roles import EmbeddedAgent
from .space import Parsed, code_of, parse, template_files, templates_here, unparse, was_tried

#: Maximum number of proposals to draw until one is new.
_DRAWS = 64

#: At least one round in this many is a compose, if there is an untried pair.
_COMPOSE_EVERY = 3

#: Number of templates tried at the start, so that there are rounds to compose; later, one template per this many rounds.
_OPENING = 2
_TEMPLATE_EVERY = 3

#: Number of rounds, one of which may have failed, within which the two forks of the other opening are proposed.
_OPENING_WITH_ENSEMBLE = 4


class SearchAgent(EmbeddedAgent):
    """See the module."""

    def ideate(self, context: Context) -> HypothesisMessage:
        """See `EmbeddedAgent.ideate`."""
        good = usable(context)
        fresh = _fresh_templates(context)
        if fresh and (not good or (len(context.history) < _OPENING and not offers_solutions(context))):
            return fresh[0]
        opening = _opening(good, context)
        if opening is not None:
            return opening
        again = worth_training_on(context)
        if again is not None:
            return again
        if composes_due(context, _COMPOSE_EVERY):
            pair = next(pairs_to_compose(sorted(good, key=aims, reverse=True), context), None)
            if pair is not None and _merge_fits(pair, context):
                return compose_reply(pair, context)
        if fresh and context.round % _TEMPLATE_EVERY == 1:
            return fresh[0]
        return _fork(good, context) or (fresh[0] if fresh else _NOTHING)


_NOTHING: HypothesisMessage = {
    "text": "",
    "hint": "the search space is exhausted, or nothing in it fits the limits and the budget",
}


def _fresh_templates(context: Context) -> list[HypothesisMessage]:
    """Return hypotheses for the templates of this environment that fit and that no round has tried."""
    tried = [_pipeline(parse(past.files), context) for past in context.history]
    found: list[HypothesisMessage] = []
    for template in templates_here(context):
        files = template_files(template, context)
        parsed = parse(files)
        fitting = _fitting(parsed, context)
        if _pipeline(parsed, context) not in tried and fitting is not None:
            hint = json.dumps({"files": unparse(fitting)})
            found.append({"text": template.text, "rationale": template.rationale, "hint": hint})
    return found


def _opening(good: list[PastRound], context: Context) -> HypothesisMessage | None:
    """Return the second or the third round of an opening, if it was not tried and fits; see `opening`."""
    if not good or not offers_solutions(context):
        return None
    best, first = max(good, key=aims), good[0]
    proposed = []
    if not any(ENSEMBLE_FILE in past.files for past in context.history):
        proposed.append((best, ensemble_fork(best, context)))
    cheap = next((each for each in templates_here(context) if each.role == "cheap"), None)
    if cheap is not None and len(context.history) < _OPENING_WITH_ENSEMBLE:
        proposed.append((first, cheap_fork(first, cheap, context)))
    for parent, found in proposed:
        if found and allowed(found[0], context) and not was_tried(found[0], code_of(parent.files), context):
            return found[1]
    return None


def _pipeline(parsed: Parsed, context: Context) -> list[JsonObject]:
    """Return the fields of the stages in the order in which they run, whatever their names are."""
    stages = sorted(
        (fields.get("position", 0), path, fields)
        for path, fields in normal_form(parsed, context).items()
        if path.startswith("stages/")
    )
    return [{name: value for name, value in fields.items() if name != "position"} for _, _, fields in stages]


def _fitting(parsed: Parsed, context: Context) -> Parsed | None:
    """Return the candidate, with shortened training if necessary, if it fits limits and time; else None."""
    if surely_over(parsed, context):
        return None
    return parsed if allowed(parsed, context) else cut_to_time(parsed, context)


def _merge_fits(pair: tuple[PastRound, PastRound], context: Context) -> bool:
    """Tell whether the merged candidate, which has the stages of both, fits limits and time as far as known."""
    first, second = (parse(past.files) for past in pair)
    return allowed({**second, **first}, context)


def _parent(good: list[PastRound], context: Context) -> PastRound | None:
    """Return a non-dominated round: two times in three the one with the best gain, else one at random."""
    best = [past for past in good if not any(beats(aims(other), aims(past)) for other in good)]
    best.sort(key=lambda past: (-aims(past)[0], past.name))
    if not best:
        return None
    return best[0] if context.round % 3 else best[context.seed % len(best)]


def _fork(good: list[PastRound], context: Context) -> HypothesisMessage | None:
    parent = _parent(good, context)
    if parent is None:
        return None
    why = f"the estimator over {len(context.history)} rounds favours this change."
    spare: HypothesisMessage | None = None
    for salt in range(_DRAWS):
        parsed, changes = mutate(parent, context, salt)
        if not changes or was_tried(parsed, code_of(parent.files), context):
            continue
        if allowed(parsed, context):
            return fork_reply(parent, parsed, changes, why)
        cut = None if spare or surely_over(parsed, context) else cut_to_time(parsed, context)
        if cut is not None:
            spare = fork_reply(parent, cut, [*changes, "training shortened to the available time"], why)
    return spare
