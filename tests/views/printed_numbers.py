"""Finds the numbers in what is printed, to see whether a narrow terminal cut one."""

import re

_NUMBER = re.compile(r"(?<![\w.,])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?:[kMG](?!\w))?(?![\w])")


def numbers(text: str) -> set[str]:
    """The numbers in a text, each as it is written."""
    return {found.rstrip(",.") for found in _NUMBER.findall(text)}
