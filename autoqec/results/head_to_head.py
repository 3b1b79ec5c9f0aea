"""Head-to-heads: which of two rounds on the front gains more on the same new shots, and the front that results.

Two rounds whose intervals overlap both stay on the front: a better estimate alone does not prune. On the same shots, most of the
noise of the two estimates is common and cancels. Plain Python: readers import nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Gain
from autoqec.results.note_form import Malformed, flat, named, read_record, write_record
from autoqec.results.pareto_front import Member, Point, no_dearer
from autoqec.results.statistics import log_e_better, log_e_worse

#: The `event` of the note that holds a pair's counts, on the commit of the costlier round.
HEAD_TO_HEAD = "head_to_head"

#: Probability, at most, that any pair of a front is decided wrongly.
FRONT_ALPHA = 0.05

#: "No worse", which is enough for a cheaper round: shown to fail less than this many times as often.
NO_WORSE_RATIO = 1.01

#: Words on a pair (a, b) where a costs no more: a dominates b, or b stays because it gains more.
DOMINATES, STAYS = "dominates", "stays"

Words = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class HeadToHead:
    """The result of two rounds of a front on the same new shots, as in the note on the costlier one's commit.

    Attributes:
        rival: The commit of the cheaper round.
        counts: The costlier round in the baseline's place, the cheaper in the candidate's.
        alpha: Level of the pair.
        id, event: The note's.
        run, round, commit: The costlier round.
        rival_name: The cheaper round, `run/number`.
        candidate, rival_candidate: Both candidates' hashes.
        environment: The environment that the shots came from.
        gain: Gain of the cheaper over the costlier.
        ratio_interval: The interval of the ratio of their rates.
        word: `dominates`, `stays` or `undecided`, of the cheaper against the costlier.
        seed_key: The stream's key, revealed.
        digests: SHA-256 of each chunk of shots.
    """

    rival: str
    counts: PairedCounts
    alpha: float
    id: str = ""
    event: str = HEAD_TO_HEAD
    run: str = ""
    round: int = 0
    commit: str = ""
    rival_name: str = ""
    candidate: str = ""
    rival_candidate: str = ""
    environment: str = ""
    gain: Gain | None = flat(None)
    ratio_interval: tuple[float, float | None] | None = named("ler_ratio_ci", None)
    word: str = ""
    seed_key: str = ""
    digests: tuple[str, ...] = ()

    def to_note(self) -> dict[str, Any]:
        """As a note holds it."""
        return write_record(self) | {"event": self.event}


def parse_head_to_head(note: Any) -> HeadToHead | None:
    """The head-to-head in a note; None if it is another kind of note, or malformed."""
    if not isinstance(note, Mapping) or note.get("event") != HEAD_TO_HEAD:
        return None
    try:
        return read_record(HeadToHead, note)
    except Malformed:
        return None


def head_to_heads(notes: Mapping[str, Iterable[Any]]) -> dict[str, list[HeadToHead]]:
    """The head-to-heads among the verdict notes of commits, by the commit of the costlier round."""
    found = {commit: [found for note in each if (found := parse_head_to_head(note))] for commit, each in notes.items()}
    return {commit: pairs for commit, pairs in found.items() if pairs}


def pair_alpha(members: int) -> float:
    """The level for deciding one pair of a front of so many members."""
    return FRONT_ALPHA / max(1, members * (members - 1))


def head_to_head_words(a: Point, b: Point, counts: PairedCounts, alpha: float) -> dict[tuple[str, str], str]:
    """Decide between two rounds on the same shots.

    Args:
        a, b: The rounds; a costs no more than b.
        counts: b in the baseline's place, a in the candidate's.
        alpha: Level of the pair.

    Returns:
        For (a, b), and for (b, a) if b costs no more than a: `dominates` or `stays`; no entry while undecided.
    """
    border = log(1 / alpha)
    if log_e_better(counts) >= border:
        words = {(a.name, b.name): DOMINATES}
        return words | ({(b.name, a.name): STAYS} if no_dearer(b, a) else {})
    if log_e_worse(counts) >= border:
        words = {(a.name, b.name): STAYS}
        return words | ({(b.name, a.name): DOMINATES} if no_dearer(b, a) else {})
    cheaper = not no_dearer(b, a)
    return {(a.name, b.name): DOMINATES} if cheaper and log_e_better(counts, NO_WORSE_RATIO) >= border else {}


def open_pairs(members: Sequence[Member], words: Words) -> list[tuple[Point, Point]]:
    """The undecided pairs (a, b) of a front: a costs no more than b and may gain as much."""
    points = [member.point for member in members]
    found: dict[tuple[str, str], tuple[Point, Point]] = {}
    for b in points:
        for a in points:
            if _is_rival(a, b) and (a.name, b.name) not in words and (b.name, a.name) not in found:
                found[a.name, b.name] = (a, b)
    return [*found.values()]


def settle(members: Sequence[Member], words: Words) -> list[Member]:
    """Apply head-to-heads to a front: drop dominated members, and confirm members without an open rival.

    Args:
        members: The front by intervals.
        words: The results of `head_to_head_words` for its pairs.
    """
    points = {member.point.name: member.point for member in members}
    beaten = {(a, b) for (a, b), word in words.items() if word == DOMINATES and a in points and b in points and a != b}
    gone = {b for a, b in beaten if (b, a) not in beaten}
    settled = []
    for member in members:
        name = member.point.name
        if name in gone:
            continue
        more = {b for a, b in beaten if a == name and b in gone}
        rivals = (a for a in points if a not in gone and _is_rival(points[a], member.point))
        confirmed = member.confirmed or all(words.get((a, name)) == STAYS for a in rivals)
        settled.append(replace(member, dominates=tuple(sorted({*member.dominates, *more})), confirmed=confirmed))
    return settled


def _is_rival(a: Point, b: Point) -> bool:
    return a.name != b.name and no_dearer(a, b) and a.interval[1] >= b.interval[0]
