"""Which rounds stand in a report in full, and how the others travel with it.

A report of thousands of rounds must stay small and open at once. So as many rounds as fit into a number of bytes stand there in
full, and can be read without script: those on the front first, then the newest, the VERIFIED ones, and the others. The rest is
packed in parcels, which a script unpacks when you ask for one of their rounds. What does not fit even so has its rows in the
tables, and the report says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from autoqec.reporting.pages.data_islands import packed

#: How many rounds a parcel has. Their texts are alike, so together they get smaller; but one of them unpacks all.
_IN_PARCEL = 64

#: How many of the newest rounds come before the other VERIFIED ones.
_NEWEST = 10


@dataclass(frozen=True)
class Shelved:
    """A round as it is chosen: its name, and whether it is on the front and VERIFIED."""

    name: str
    on_front: bool
    verified: bool


@dataclass(frozen=True)
class Parcel:
    """Rounds that are packed: their names, and base64 of a JSON object with the markup of each by name."""

    names: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class RoundsInFull:
    """The rounds of a report.

    Attributes:
        full: The markup of those that stand there, in the order of the rounds.
        parcels: The others; what a reader wants most comes first.
        missing: The names of those that did not fit.
    """

    full: tuple[tuple[str, Markup], ...]
    parcels: tuple[Parcel, ...]
    missing: tuple[str, ...]

    def smaller(self, excess: int) -> RoundsInFull:
        """The same without the last parcels, which have so many bytes at least, if there are as many."""
        kept = list(self.parcels)
        while kept and excess > 0:
            excess -= len(kept.pop().text)
        lost = [name for parcel in self.parcels[len(kept) :] for name in parcel.names]
        return replace(self, parcels=tuple(kept), missing=(*self.missing, *lost))


def rounds_in_full(
    rounds: Sequence[Shelved],
    render: Callable[[str], Markup],
    full_bytes: int,
    parcel_bytes: int,
) -> RoundsInFull:
    """Divide the rounds of a report.

    Args:
        rounds: All of them, oldest first.
        render: Makes the markup of a round; it is called once for each, until nothing more fits.
        full_bytes: The most bytes that stand in full.
        parcel_bytes: The most bytes of the parcels.
    """
    full: dict[str, Markup] = {}
    waiting: list[tuple[str, str]] = []
    parcels: list[Parcel] = []
    missing: list[str] = []
    left, room = full_bytes, parcel_bytes
    for name in chosen_first(rounds):
        if room <= 0:
            missing.append(name)
            continue
        markup = render(name)
        size = len(markup.encode("utf-8", "replace"))
        if size <= left:
            full[name], left = markup, left - size
            continue
        waiting.append((name, markup))
        if len(waiting) == _IN_PARCEL:
            room -= _send(waiting, room, parcels, missing)
            waiting = []
    if waiting:
        _send(waiting, room, parcels, missing)
    order = {each.name: place for place, each in enumerate(rounds)}
    standing = tuple(sorted(full.items(), key=lambda item: order[item[0]]))
    return RoundsInFull(standing, tuple(parcels), tuple(sorted(missing, key=order.__getitem__)))


def chosen_first(rounds: Sequence[Shelved]) -> Iterable[str]:
    """The names of rounds, those first that a reader wants most."""
    newest_first = list(reversed(rounds))
    front = [each.name for each in newest_first if each.on_front]
    verified = [each.name for each in newest_first if each.verified]
    every = [each.name for each in newest_first]
    return dict.fromkeys([*front, *every[:_NEWEST], *verified, *every])


def _send(waiting: Sequence[tuple[str, str]], room: int, parcels: list[Parcel], missing: list[str]) -> int:
    """Pack some rounds if they fit; returns the bytes that they take."""
    parcel = Parcel(tuple(name for name, _ in waiting), packed(json.dumps(dict(waiting), ensure_ascii=False)))
    if len(parcel.text) > room:
        missing.extend(parcel.names)
        return room  # what comes later is older, and does not take the place of what came first
    parcels.append(parcel)
    return len(parcel.text)
