"""A reply as it comes: the events of one stream put together, and the tokens that they took so far."""

from __future__ import annotations

import json
from typing import Any

from autoqec.agents.agent_contract import Usage

_SAID = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class Answer:
    """What came of one request. It is put together here and not by the SDK, which raises on a tool's input that is not JSON.

    Attributes:
        model: Which model speaks, as the service says.
        stop: Why it stopped.
        why: More words on that, if it refused.
        ended: The stream came to its end; otherwise it was cut.
    """

    def __init__(self) -> None:
        self.model = ""
        self.stop = ""
        self.why = ""
        self.ended = False
        self._blocks: dict[int, tuple[str, list[str]]] = {}
        self._whole: dict[int, Any] = {}
        self._bytes = 0
        self._said: dict[str, int] = {}

    def take(self, event: Any) -> None:
        """Add an event of the stream; one of an unknown kind says nothing."""
        kind = getattr(event, "type", None)
        if kind == "message_start":
            self.model = str(getattr(event.message, "model", "") or "")
            self._hear(getattr(event.message, "usage", None))
        elif kind == "content_block_start":
            block = event.content_block
            self._blocks[event.index] = str(block.type), [getattr(block, "text", None) or ""]
            self._whole[event.index] = getattr(block, "input", None)
        elif kind == "content_block_delta":
            piece = _piece(event.delta)
            self._bytes += len(piece.encode("utf-8", "replace"))
            self._blocks.setdefault(event.index, ("text", []))[1].append(piece)
        elif kind == "message_delta":
            self.stop = str(event.delta.stop_reason or self.stop)
            details = getattr(event.delta, "stop_details", None)
            parts = [getattr(details, name, None) for name in ("category", "explanation")]
            self.why = ": ".join(str(part) for part in parts if part)
            self._hear(getattr(event, "usage", None))
        elif kind == "message_stop":
            self.ended = True

    def _hear(self, usage: Any) -> None:
        # Later counts are of the whole message so far, and take the place of earlier ones.
        for name in _SAID:
            value = getattr(usage, name, None)
            if isinstance(value, int):
                self._said[name] = value

    @property
    def words(self) -> str:
        """What it said as text."""
        return "\n".join("".join(pieces) for kind, pieces in self._blocks.values() if kind == "text").strip()

    @property
    def inputs(self) -> list[str]:
        """Raw JSON of each call of a tool."""
        found = []
        for index, (kind, pieces) in self._blocks.items():
            if kind == "tool_use":
                # Some servers give the input whole, with the start of the block.
                found.append("".join(pieces) or json.dumps(self._whole[index] or {}))
        return found

    @property
    def text(self) -> str:
        """All that was said, as it came."""
        return "\n".join(part for part in (self.words, *self.inputs) if part)

    @property
    def written(self) -> int:
        """Tokens of the reply so far: as the service counts them, or about, where that is more than it has told yet."""
        told = self._said.get("output_tokens", 0)
        return told if self.ended and told else max(told, -(-self._bytes // 3))

    def usage(self, prompt_tokens: int) -> Usage | None:
        """What the request took as far as is known; None if it may never have begun.

        Args:
            prompt_tokens: Of the prompt, about, for a service that does not count.
        """
        if not self.model and not self._said and not self._blocks:
            return None
        read, write = (self._said.get(f"cache_{name}_input_tokens", 0) for name in ("read", "creation"))
        fresh = self._said.get("input_tokens", 0)
        return Usage(fresh if fresh + read + write else prompt_tokens, self.written, read, write)


def _piece(delta: Any) -> str:
    for name in ("text", "partial_json", "thinking"):
        value = getattr(delta, name, None)
        if isinstance(value, str):
            return value
    return ""
