"""Prints what an experiment tracker was told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from autoqec.counted_words import counted
from autoqec.views.console import out, plain, print_json

SCHEMA = "autoqec.tracked/1"


class _Sent(Protocol):
    """See `autoqec.reporting.trackers.experiment_trackers.SentRounds`."""

    @property
    def tracker(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def project(self) -> str: ...
    @property
    def run(self) -> str: ...
    @property
    def sent(self) -> Sequence[int]: ...
    @property
    def there(self) -> Sequence[int]: ...


def print_sent(told: _Sent, *, as_json: bool) -> None:
    """Which rounds a tracker was told now, and which it had."""
    if as_json:
        rounds = {"sent": list(told.sent), "there": list(told.there)}
        about = {"tracker": told.tracker, "place": told.place, "project": told.project, "run": told.run}
        print_json([{"schema": SCHEMA, **about, **rounds}])
        return
    had = f", which had {counted(len(told.there), 'round')}" if told.there else ""
    text = f"{counted(len(told.sent), 'round')} of {told.run} sent to {told.tracker}{had}: project {told.project}, {told.place}"
    out().print(plain(text), soft_wrap=True)
