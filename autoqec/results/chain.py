"""The chain of a run's verifications: each intent names those before it by digest, so that a lost one is missed.

An intent (the note `begun`) names the heads: the digests of all intents that no other one names yet. A verdict names its
intent. If a digest is named and no line of the run has it, a line was lost or withheld: the chain is broken there. A line that
was cut off at the end is named by nothing; a clone that remembers the heads it has seen notices that too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from autoqec.results.statistics import next_attempt
from autoqec.results.verification_events import Begun, parse_begun

#: An intent names at most this many heads.
MOST_HEADS = 64


@dataclass(frozen=True)
class Break:
    """A digest that is named by a record, or remembered, but that no line of the run has.

    Attributes:
        digest: The digest of the missing line.
        named_by: The ids of the records that name it; empty if this clone only remembers it as a head.
    """

    digest: str
    named_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.named_by:
            return f"{self.digest[:12]}, which was the last one here before"
        more = f" and {len(self.named_by) - 1} more" if len(self.named_by) > 1 else ""
        return f"{self.digest[:12]}, named by {self.named_by[0][:40]}{more}"


@dataclass(frozen=True)
class Chain:
    """The intents of a run, and how they hang together.

    Attributes:
        intents: By digest.
        named: The ids of the verdicts that name an intent, by the digest that they name.
        remembered: Heads that this clone has seen before.
    """

    intents: Mapping[str, Begun]
    named: Mapping[str, tuple[str, ...]]
    remembered: tuple[str, ...] = ()

    @property
    def next_attempt(self) -> int | None:
        """The number of the run's next verification; None if its error budget is spent."""
        return next_attempt(self.attempts)

    @property
    def attempts(self) -> tuple[int, ...]:
        """The numbers of the verifications that have begun; one that two clones took is there twice."""
        return tuple(intent.attempt for intent in self.intents.values())

    @cached_property
    def depth(self) -> Mapping[str, int]:
        """The position of each intent: the number of intents on the longest path that leads to it, itself included."""
        depth = dict.fromkeys(self.intents, 1)
        waiting = {digest: len(self._before(digest)) for digest in self.intents}
        after: dict[str, list[str]] = {}
        for digest in self.intents:
            for earlier in self._before(digest):
                after.setdefault(earlier, []).append(digest)
        ready = [digest for digest, count in waiting.items() if count == 0]
        while ready:
            digest = ready.pop()
            for later in after.get(digest, ()):
                depth[later] = max(depth[later], depth[digest] + 1)
                waiting[later] -= 1
                if waiting[later] == 0:
                    ready.append(later)
        return depth

    @property
    def roots(self) -> tuple[str, ...]:
        """The intents that name none before them; several if clones began without knowing of each other."""
        return tuple(sorted(digest for digest, intent in self.intents.items() if not intent.chain))

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The intents that no other one names."""
        taken = {earlier for digest in self.intents for earlier in self._before(digest)}
        return tuple(sorted(digest for digest in self.intents if digest not in taken))

    @property
    def next_chain(self) -> tuple[str, ...]:
        """What the next intent names: the heads; of too many, those with the most intents before them."""
        return tuple(sorted(sorted(self.heads, key=lambda digest: (-self.depth[digest], digest))[:MOST_HEADS]))

    @cached_property
    def forks(self) -> Mapping[str, tuple[str, ...]]:
        """Intents that several others name, with those: two clones went on from there without knowing of each other."""
        after: dict[str, list[str]] = {}
        for digest in self.intents:
            for earlier in self._before(digest):
                after.setdefault(earlier, []).append(digest)
        return {digest: tuple(sorted(later)) for digest, later in sorted(after.items()) if len(later) > 1}

    @cached_property
    def breaks(self) -> tuple[Break, ...]:
        """The digests that are named or remembered, and that no line has."""
        missing: dict[str, list[str]] = {}
        for intent in self.intents.values():
            for earlier in intent.chain or ():
                if earlier not in self.intents:
                    missing.setdefault(earlier, []).append(intent.id)
        for digest, verdicts in self.named.items():
            if digest not in self.intents:
                missing.setdefault(digest, []).extend(verdicts)
        for digest in self.remembered:
            if digest not in self.intents:
                missing.setdefault(digest, [])
        return tuple(Break(digest, tuple(sorted(missing[digest]))) for digest in sorted(missing))

    def _before(self, digest: str) -> set[str]:
        """The intents that an intent names and that are here."""
        return {
            earlier for earlier in self.intents[digest].chain or () if earlier in self.intents and earlier != digest
        }


def intents_in(lines: Iterable[tuple[str, Any]]) -> dict[str, Begun]:
    """The intents among lines, by digest. A line that was copied to another commit is still one intent.

    Args:
        lines: The digest of each line, and the record that it holds.
    """
    return {digest: begun for digest, record in lines if (begun := parse_begun(record)) is not None}


def chain_of(
    intents: Mapping[str, Begun], verdicts: Iterable[tuple[str, str]] = (), remembered: Iterable[str] = ()
) -> Chain:
    """The chain of a run.

    Args:
        intents: The intents that count, by digest.
        verdicts: The id of each verdict that names an intent, with the digest that it names.
        remembered: Heads that this clone has seen before.
    """
    named: dict[str, list[str]] = {}
    for ident, digest in verdicts:
        named.setdefault(digest, []).append(ident)
    return Chain(intents, {digest: tuple(ids) for digest, ids in named.items()}, tuple(sorted(set(remembered))))


def missing_text(run: str, breaks: Iterable[Break]) -> str | None:
    """A sentence about what is missing from the chain of a run; None if it is whole."""
    found = [*breaks]
    if not found:
        return None
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"the chain of verifications of run {run} is broken: it has lost the note {found[0]}{more}"
