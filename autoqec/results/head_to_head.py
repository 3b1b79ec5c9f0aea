"""Head to head: which of two rounds on the front gains more, from the same new shots, and what that makes of the front.

Two rounds whose intervals meet both stay on the front, for a better estimate alone prunes nobody. On the same shots most of what
blurs two estimates is common to both and falls out. Plain Python: readers import nothing heavy.
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

#: The `event` of the note that holds a pair's counts, on the commit of the dearer round.
HEAD_TO_HEAD = "head_to_head"

#: All pairs of a front together are decided wrongly with at most this probability.
FRONT_ALPHA = 0.05

#: "No worse", which is enough for a cheaper round: shown to fail less than this many times as often.
NO_WORSE_RATIO = 1.01

#: Of a pair (a, b), a costing no more: a is ahead in all that counts, or b gains more.
DOMINATES, STAYS = "dominates", "stays"

Words = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class HeadToHead:
    """What two rounds of a front came to on the same new shots, as the note on the dearer one's commit has it.

    Attributes:
        rival: The commit of the cheaper round.
        counts: The dearer round in the baseline's place, the cheaper in the candidate's.
        alpha: Level of the pair.
        id, event: The note's.
        rival_name: The cheaper round, `run/number`.
        candidate, rival_candidate: Both candidates' hashes.
        environment: Whose shots they were.
        gain: What the cheaper gains over the dearer.
        ratio_interval: The interval of the ratio of their rates.
        word: `dominates`, `stays` or `undecided`, of the cheaper against the dearer.
        seed_key: The stream's key, revealed.
        digests: SHA-256 of each chunk of shots.
    """

    rival: str
    counts: PairedCounts
    alpha: float
    id: str = ""
    event: str = HEAD_TO_HEAD
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
    """The head-to-head in a note; None if it is another note, or malformed."""
    if not isinstance(note, Mapping) or note.get("event") != HEAD_TO_HEAD:
        return None
    try:
        return read_record(HeadToHead, note)
    except Malformed:
        return None


def head_to_heads(notes: Mapping[str, Iterable[Any]]) -> dict[str, list[HeadToHead]]:
    """The head-to-heads among the verdict notes of commits, by the commit of the dearer round."""
    found = {commit: [found for note in each if (found := parse_head_to_head(note))] for commit, each in notes.items()}
    return {commit: pairs for commit, pairs in found.items() if pairs}


def pair_alpha(members: int) -> float:
    """The level at which one pair of a front of so many members is decided."""
    return FRONT_ALPHA / max(1, members * (members - 1))


def head_to_head_words(a: Point, b: Point, counts: PairedCounts, alpha: float) -> dict[tuple[str, str], str]:
    """What two rounds on the same shots say of each other.

    Args:
        a, b: The rounds; a costs no more than b.
        counts: b in the baseline's place, a in the candidate's.
        alpha: Level of the pair.

    Returns:
        For (a, b), and for (b, a) if b costs no more than a: `dominates` or `stays`; nothing while it is undecided.
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
    """The pairs (a, b) of a front of which a costs no more and may gain as much, and of which nothing is decided."""
    points = [member.point for member in members]
    found: list[tuple[Point, Point]] = []
    for b in points:
        for a in points:
            if _is_rival(a, b) and (a.name, b.name) not in words and (b, a) not in found:
                found.append((a, b))
    return found


def settle(members: Sequence[Member], words: Words) -> list[Member]:
    """A front with what was decided head to head: who is dominated goes, who has no rival left is confirmed.

    Args:
        members: The front by intervals.
        words: What `head_to_head_words` said of its pairs.
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
        rivals = [a for a in points if a not in gone and _is_rival(points[a], member.point)]
        confirmed = member.confirmed or all(words.get((a, name)) == STAYS for a in rivals)
        settled.append(replace(member, dominates=tuple(sorted({*member.dominates, *more})), confirmed=confirmed))
    return settled


def _is_rival(a: Point, b: Point) -> bool:
    return a.name != b.name and no_dearer(a, b) and a.interval[1] >= b.interval[0]
