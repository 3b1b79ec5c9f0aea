"""Writes the skill that tells coding agents how to work in a lab to the places where they look for skills."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from autoqec.whole_files import write_absent

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
    return write_absent(top, dict.fromkeys(SKILL_FILES, data), again=f"autoqec init {top} --skills")
