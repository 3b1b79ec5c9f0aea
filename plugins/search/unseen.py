"""What rounds try of which nothing is known but their numbers: what the same agent would propose there, from what is known here.

Clones that share a run claim numbers on its remote, and send their ideas there when a round ends. Eight of them that begin at
once would all begin with the first template. An embedded agent is a function of its context, so it can say what it would propose
in the rounds that were claimed before its own, one after another, and then propose something else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.context_parts import HypothesisMessage

from .relations import merged
from .space import code_of, unparse


def with_expected_ideas(propose: Callable[[Context], HypothesisMessage], context: Context) -> Context:
    """Return a context in which rounds that are not seen are open, each with the idea that the agent would have there."""
    for unseen in context.unseen:
        there = replace(context, round=unseen["round"], seed=unseen["seed"], unseen=())
        found = _as_open(propose(there), there)
        if found is not None:
            context = replace(context, open_rounds=(*context.open_rounds, found))
    return replace(context, unseen=())


def _as_open(message: HypothesisMessage, context: Context) -> PastRound | None:
    """Return the open round of a hypothesis; None if there was none to propose."""
    if not message["text"]:
        return None
    parents, compose = tuple(message.get("fork_from", ())), message.get("compose", "none")
    if compose == "none":
        files = dict(json.loads(message.get("hint", ""))["files"])
    else:
        by_name = {past.name: past for past in context.history}
        first, second = (by_name[name] for name in parents)
        files = unparse(merged((first, second), context)) | code_of(first.files) | code_of(second.files)
    return PastRound(
        f"{context.run}/{context.round}",
        "open",
        fork_from=parents,
        compose=compose,
        hypothesis=message["text"],
        files=files,
        screen=message.get("screen", "auto"),
    )
