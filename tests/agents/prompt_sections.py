"""The structure of a prompt."""

import re


def sections(prompt: str) -> list[str]:
    """The names of a prompt's sections of data, in order."""
    return re.findall(r"^<data name=\"([a-z_]+)\">$", prompt, re.MULTILINE)
