"""What a finished round prints: a line for people, or its JSON object."""

from __future__ import annotations

from collections.abc import Callable

from autoqec.history import RoundRecord
from autoqec.views.console import print_json
from autoqec.views.records import round_object
from autoqec.views.tables import print_outcome


def round_printer(as_json: bool) -> Callable[[RoundRecord], None]:
    """A function that prints each round as it ends."""
    if as_json:
        return lambda record: print_json([round_object(record)])
    return lambda record: print_outcome(round_object(record))
