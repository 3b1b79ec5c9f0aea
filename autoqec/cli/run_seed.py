"""The type of `--seed`: a run's seed as a person writes it, or as a report prints it."""

from __future__ import annotations

import re

import click

#: Seeds that people write are below this; a run without one draws 256 bits.
_MOST = 2**63 - 1


class RunSeed(click.ParamType[int]):
    """A whole number, or the 64 hex digits of a run's seed in the record."""

    name = "number|hex"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The seed as a number, of at most 256 bits."""
        told = str(value)
        if re.fullmatch("[0-9a-f]{64}", told):
            return int(told, 16)
        if not re.fullmatch("[0-9]{1,19}", told) or int(told) > _MOST:
            self.fail(f"{told!r} is neither a whole number from 0 to {_MOST:,} nor 64 hex digits.", param, ctx)
        return int(told)
