"""Writes the skill that tells coding agents how to work in a lab to the places where they look for skills."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from autoqec.errors import AutoQECError, UsageError
from autoqec.whole_files import write_file

#: The places of a project's skills: the first for Claude Code, the second for Codex and others.
SKILL_FILES = (".claude/skills/autoqec/SKILL.md", ".agents/skills/autoqec/SKILL.md")


def skill_text() -> str:
    """Return the skill's text with its front matter."""
    return (files("autoqec.agents") / "texts" / "skill.md").read_text("utf-8")


def write_skill(top: Path) -> list[str]:
    """Write the skill into a working tree without overwriting other contents.

    Args:
        top: The working tree.

    Returns:
        The paths of the skill.

    Raises:
        UsageError: A file there has other contents, or a link leads outside the tree; nothing was written then.
        AutoQECError: The files are not writable.
    """
    data = skill_text().encode()
    places = [top / name for name in SKILL_FILES]
    try:
        for place in places:
            if not place.resolve().is_relative_to(top.resolve()):
                raise UsageError(
                    f"{place} leads outside of {top}", hint=f"remove the link, then run autoqec init {top} --skills"
                )
            if place.exists() and (not place.is_file() or place.read_bytes() != data):
                raise UsageError(
                    f"{place} already has other contents", hint=f"move it away, then run autoqec init {top} --skills"
                )
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_file(place, data)
    except OSError as error:
        raise AutoQECError(f"cannot write the skill: {error}") from error
    return list(SKILL_FILES)
