"""Plugin for tests: a stage kind whose code leaves a file behind whenever it sees a candidate and can write one."""

import contextlib
import os
from pathlib import Path
from typing import Literal

from pydantic import field_validator

from autoqec.candidate import StageConfig
from autoqec.hookspecs import hookimpl

#: The lock clears the environment, but this is older.
PLACE = Path(os.environ["HOME"])


def saw(what, word):
    """Leave a file behind."""
    with contextlib.suppress(OSError):
        (PLACE / f"saw {what} {word}").touch()


class PeekingConfig(StageConfig):
    kind: Literal["peeking"] = "peeking"
    word: str = "default"

    @field_validator("word")
    @classmethod
    def _seen(cls, word):
        saw("a field", word)
        if word == "wrong":
            raise ValueError("no such word")
        return word.strip()


class Peeking:
    Config = PeekingConfig

    def build(self, config, problem):
        import torch

        saw("a build", config.word)

        class Shift(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.shift = torch.nn.Parameter(torch.zeros(1))

            def forward(self, syndromes, beliefs):
                saw("shots", config.word)
                return beliefs + self.shift

        return Shift()

    def inference(self, config, tensors, problem):
        saw("weights", config.word)
        return

    def space(self):
        return {}


@hookimpl
def autoqec_register_stages(register):
    register("peeking", "autoqec_peeking:Peeking")
