"""What a lab's settings file asks for, in words."""

from __future__ import annotations

import json
from collections.abc import Sequence

from autoqec.views.console import plain, say
from autoqec.wanted_settings import Wanted


def wanted_lines(asked: Sequence[Wanted]) -> list[str]:
    """A line for each value, with what the setting does."""
    return [plain(f"{each.name} = {json.dumps(each.value)}   {each.meaning}").plain for each in asked]


def say_withheld(asked: Sequence[Wanted]) -> None:
    """Say which values of the lab's file are not used, if there are any."""
    if asked:
        names = ", ".join(each.name for each in asked)
        say(f"not used, because you do not trust this lab's .autoqec/config.toml: {names}\n  hint: autoqec trust")
