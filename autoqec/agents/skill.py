"""The skill that tells coding agents how to work in a lab: one text of the package, written where they look for such."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from autoqec.errors import AutoQECError, UsageError

#: Where coding agents look for a project's skills: Claude Code in the first, Codex and others in the second.
SKILL_FILES = (".claude/skills/autoqec/SKILL.md", ".agents/skills/autoqec/SKILL.md")


def skill_text() -> str:
    """The skill, front matter and all."""
    return (files("autoqec.agents") / "texts" / "skill.md").read_text("utf-8")


def write_skill(top: Path) -> list[str]:
    """Write the skill into a working tree; what is there already stays.

    Args:
        top: The working tree.

    Returns:
        The paths that hold it now.

    Raises:
        UsageError: A file there has other contents, or lies outside of the tree by a link; nothing was written then.
        AutoQECError: It cannot be written.
    """
    data = skill_text().encode()
    places = [top / name for name in SKILL_FILES]
    try:
        for place in places:
            if not place.resolve().is_relative_to(top.resolve()):
                raise UsageError(
                    f"{place} leads out of {top}", hint=f"remove the link, then autoqec init {top} --skills"
                )
            if place.exists() and (not place.is_file() or place.read_bytes() != data):
                raise UsageError(
                    f"{place} has other contents, and is kept", hint=f"move it away, then autoqec init {top} --skills"
                )
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
    except OSError as error:
        raise AutoQECError(f"cannot write the skill: {error}") from error
    return list(SKILL_FILES)
