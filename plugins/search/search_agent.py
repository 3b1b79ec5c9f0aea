"""The agent `search`: an optimiser over stages and training.

It opens with a template, its ensemble, a cheaper sibling and their merge; see `opening`. Where the decoder offers no solutions
to an ensemble, it opens with two templates. In a lab with good rounds of the family, the best recipe of those takes the place of
the first template. Then it alternates: compose two good unrelated rounds, try the next template with the ensemble and the gate
of the best round, fork a good round. Of many forks it proposes the one of which a model expects most. It never proposes a
candidate that exceeds the environment's limits or the remaining time. It ignores the number of rounds of the command: one command
with four rounds gives the same run as four commands with one.
"""

from __future__ import annotations

import json

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.context_parts import HypothesisMessage
from autoqec.candidate_paths import ENSEMBLE_FILE, GATE_FILE
from autoqec.counted_words import counted
from autoqec.json_values import JsonObject

from .affording import allowed, cut_to_time, surely_over
from .brackets import worth_training_on
from .ensemble_space import offers_solutions
from .family import family_recipe
from .gain_model import GainModel
from .normal_form import normal_form
from .opening import cheap_fork, ensemble_fork
from .optimiser import expected_trials, mutate
from .relations import aims, beats, compose_reply, composes_due, fork_reply, merged, pairs_to_compose, usable
from .roles import EmbeddedAgent
from .space import Parsed, code_of, known_rounds, parse, template_files, templates_here, unparse, was_tried

#: Maximum number of proposals to draw until one is new.
_DRAWS = 64

#: Number of proposals of which the model chooses one, and how many standard deviations it adds to what it expects of each.
_PROPOSED, _CURIOSITY = 24, 0.2

#: At least one round in this many is a compose, if there is an untried pair.
_COMPOSE_EVERY = 4

#: One round in this many may fork any round that none beats in gain and costs; the others fork for gain.
_CHEAPER_EVERY = 4

#: Number of templates tried at the start, so that there are rounds to compose; later, one template per this many rounds, and
#: fewer once the best round has an ensemble, from which other pipelines differ less.
_OPENING = 2
_TEMPLATE_EVERY, _LATER_TEMPLATE_EVERY = 3, 6

#: Number of rounds, one of which may have failed, within which the two forks of the other opening are proposed.
_OPENING_WITH_ENSEMBLE = 4


class SearchAgent(EmbeddedAgent):
    """See the module."""

    def ideate(self, context: Context) -> HypothesisMessage:
        """See `EmbeddedAgent.ideate`."""
        good = usable(context)
        fresh = _fresh_templates(good, context)
        recipe = family_recipe(context) if not known_rounds(context) else None
        if recipe is not None:
            return recipe
        if fresh and (not good or (len(context.history) < _OPENING and not offers_solutions(context))):
            return fresh[0]
        opening = _opening(good, context)
        if opening is not None:
            return opening
        again = worth_training_on(context)
        if again is not None:
            return again
        if composes_due(context, _COMPOSE_EVERY):
            pair = _pair(good, context)
            if pair is not None:
                return compose_reply(pair, context)
        if fresh and context.round % (_LATER_TEMPLATE_EVERY if _has_ensemble(good) else _TEMPLATE_EVERY) == 1:
            return fresh[0]
        return _fork(good, context) or (fresh[0] if fresh else _variation(context))


_NOTHING: HypothesisMessage = {
    "text": "",
    "hint": "the search space is exhausted, or nothing in it fits the limits and the budget",
}


def _variation(context: Context) -> HypothesisMessage:
    """Return a variation of the first template, while open rounds try all templates and no possible parent has ended."""
    if not context.open_rounds:
        return _NOTHING
    first = template_files(templates_here(context)[0], context)
    for salt in range(_DRAWS):
        parsed, changes = mutate(PastRound("", "open", files=first), context, salt)
        if changes and allowed(parsed, context) and not was_tried(parsed, {}, context):
            text = f"A variation of the first pipeline: {', '.join(changes)}"
            return {
                "text": text,
                "rationale": "No round has ended yet.",
                "hint": json.dumps({"files": unparse(parsed)}),
            }
    return _NOTHING


def _fresh_templates(good: list[PastRound], context: Context) -> list[HypothesisMessage]:
    """Return hypotheses for the templates of this environment that fit and that no round has tried.

    If the best round so far has an ensemble, they get it and its gate: no pipeline alone competes with an ensemble.
    """
    tried = [_pipeline(parse(past.files), context) for past in known_rounds(context)]
    best = parse(max(good, key=aims).files) if good else {}
    taken = {path: best[path] for path in (ENSEMBLE_FILE, GATE_FILE) if ENSEMBLE_FILE in best and path in best}
    found: list[HypothesisMessage] = []
    for template in templates_here(context):
        parsed = parse(template_files(template, context))
        if _pipeline(parsed, context) in tried:
            continue
        fitting = _fitting({**parsed, **taken} if not template.output else parsed, context)
        if fitting is not None:
            hint = json.dumps({"files": unparse(fitting)})
            found.append({"text": template.text, "rationale": template.rationale, "hint": hint})
    return found


def _opening(good: list[PastRound], context: Context) -> HypothesisMessage | None:
    """Return the second or the third round of an opening, if it was not tried and fits; see `opening`."""
    if not good or not offers_solutions(context):
        return None
    best, first = max(good, key=aims), good[0]
    proposed = []
    if not any(ENSEMBLE_FILE in past.files for past in known_rounds(context)):
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


def _pair(good: list[PastRound], context: Context) -> tuple[PastRound, PastRound] | None:
    """Return the pair whose merge the model expects most of, if there is one that fits limits and time as far as known."""
    model = GainModel(context)
    best: tuple[float, tuple[PastRound, PastRound]] | None = None
    for pair in pairs_to_compose(sorted(good, key=aims, reverse=True), context):
        whole = merged(pair, context)
        expected = model.predict(whole)[0]
        if (best is None or expected > best[0]) and allowed(whole, context):
            best = expected, pair
    return best[1] if best else None


def _has_ensemble(good: list[PastRound]) -> bool:
    return bool(good) and ENSEMBLE_FILE in max(good, key=aims).files


def _parents(good: list[PastRound], model: GainModel, context: Context) -> tuple[PastRound, bool]:
    """Return the round to fork, and whether for its gain: mostly the one of which the model expects most, because
    the best of many noisy figures was also lucky; else any that none beats.
    """
    if context.round % _CHEAPER_EVERY != _CHEAPER_EVERY // 2:
        return max(good, key=lambda past: (model.predict(parse(past.files))[0], past.name)), True
    best = [past for past in good if not any(beats(aims(other), aims(past)) for other in good)]
    best.sort(key=lambda past: (-aims(past)[0], past.name))
    return best[context.seed % len(best)], False


def _fork(good: list[PastRound], context: Context) -> HypothesisMessage | None:
    """Return a fork that was not tried and fits; None if there is none."""
    if not good:
        return None
    model = GainModel(context)
    beside = expected_trials(model, context)
    parent, for_gain = _parents(good, model, context)
    spare: HypothesisMessage | None = None
    proposed: list[tuple[float, float, Parsed, list[str]]] = []
    for salt in range(_DRAWS):
        parsed, changes = mutate(parent, context, salt, beside)
        if not changes or was_tried(parsed, code_of(parent.files), context):
            continue
        if allowed(parsed, context):
            expected, unsure = model.predict(parsed) if for_gain else (0.0, 0.0)
            proposed.append((expected, unsure, parsed, changes))
            if not for_gain or len(proposed) == _PROPOSED:
                break
            continue
        cut = None if spare or surely_over(parsed, context) else cut_to_time(parsed, context)
        if cut is not None:
            why = "the estimator favours this change."
            spare = fork_reply(parent, cut, [*changes, "training shortened to the available time"], why)
    if not proposed:
        return spare
    expected, unsure, parsed, changes = max(proposed, key=lambda each: each[0] + _CURIOSITY * each[1])
    rounds = counted(len(context.history) + len(context.family), "round")
    why = f"the estimator over {rounds} favours this change."
    if for_gain:
        why = (
            f"of {len(proposed)} changes that the estimator over {rounds} favours, the model expects most of this one."
        )
    return fork_reply(parent, parsed, changes, why)
