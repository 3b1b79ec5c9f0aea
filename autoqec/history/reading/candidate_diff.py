"""What a round changed, as a unified diff of candidate files."""

from __future__ import annotations

from collections.abc import Mapping


def candidate_diff(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    """A unified diff; blank lines, which canonical files put between keys, are left out."""
    from difflib import unified_diff  # no reading command but `show` needs it

    lines: list[str] = []
    for path in sorted(set(before) | set(after)):
        old, new = (_lines(files.get(path)) for files in (before, after))
        lines += unified_diff(
            old, new, path if path in before else "/dev/null", path if path in after else "/dev/null", n=0, lineterm=""
        )
    return "\n".join(line for line in lines if not line.startswith("@@"))


def _lines(data: bytes | None) -> list[str]:
    return [line for line in (data or b"").decode("utf-8", "replace").splitlines() if line.strip()]
