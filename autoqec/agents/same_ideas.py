"""When two hypotheses are one idea: they start from the same rounds, and say the same in nearly the same words."""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher

from autoqec.agents.agent_contract import PastRound
from autoqec.agents.role_messages import Hypothesis

#: Likeness of two hypotheses, in normal spelling, from which they are one.
_ALIKE = 0.9

#: Characters of a hypothesis that are compared; an agent's has no more.
_WORDS = 500


def normal_words(hypothesis: str) -> str:
    """The words of a hypothesis in normal spelling."""
    return " ".join(re.findall(r"\w+", hypothesis[:_WORDS].casefold()))


class Likeness:
    """Compares hypotheses with one of them. Likeness is of words; other figures in the same words are another try.

    Args:
        words: The one, in normal spelling.
    """

    def __init__(self, words: str):
        self._figures = re.findall(r"\d+", words)
        self._matcher = SequenceMatcher(b=words)

    def holds(self, words: str) -> bool:
        """Whether a hypothesis in normal spelling is that one."""
        self._matcher.set_seq1(words)
        if re.findall(r"\d+", words) != self._figures or self._matcher.real_quick_ratio() < _ALIKE:
            return False
        return self._matcher.quick_ratio() >= _ALIKE and self._matcher.ratio() >= _ALIKE


def same_idea(message: Hypothesis, other: PastRound) -> bool:
    """Whether a hypothesis is that of another round.

    A merge of the same rounds without edits is the same candidate. Where the hint has the candidate's files, as that of an
    embedded agent, these are compared and not the words.
    """
    if set(message.fork_from) != set(other.fork_from) or message.compose != other.compose:
        return False
    if message.compose == "pure":
        return True
    if _has_files(message.hint):
        return False
    mine, theirs = normal_words(message.text), normal_words(other.hypothesis)
    return bool(mine) and Likeness(theirs).holds(mine)


def _has_files(hint: str) -> bool:
    try:
        told = json.loads(hint)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and isinstance(told.get("files"), dict)
