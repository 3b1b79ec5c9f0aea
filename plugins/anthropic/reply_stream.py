"""Assembles a reply from the events of one stream, with the tokens used so far."""

from __future__ import annotations

import json
from typing import Any

from autoqec.agents.agent_contract import Usage

_SAID = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class Answer:
    """The response to one request. The SDK cannot assemble it, because it raises an error for tool input that is not JSON.

    Attributes:
        model: The model that answers, according to the service.
        stop: The stop reason.
        why: Details of a refusal.
        ended: Whether the stream is complete; otherwise it was interrupted.
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
        """Add an event of the stream; events of unknown kinds are ignored."""
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
        # Later counts are for the whole message so far and replace earlier ones.
        for name in _SAID:
            value = getattr(usage, name, None)
            if isinstance(value, int):
                self._said[name] = value

    @property
    def words(self) -> str:
        """The text of the reply."""
        return "\n".join("".join(pieces) for kind, pieces in self._blocks.values() if kind == "text").strip()

    @property
    def inputs(self) -> list[str]:
        """The raw JSON of each tool call."""
        found = []
        for index, (kind, pieces) in self._blocks.items():
            if kind == "tool_use":
                # Some servers send the whole input with the start of the block.
                found.append("".join(pieces) or json.dumps(self._whole[index] or {}))
        return found

    @property
    def text(self) -> str:
        """The text and the inputs of all tool calls."""
        return "\n".join(part for part in (self.words, *self.inputs) if part)

    @property
    def written(self) -> int:
        """Tokens of the reply so far: the service's count, or an estimate if that is larger."""
        told = self._said.get("output_tokens", 0)
        return told if self.ended and told else max(told, -(-self._bytes // 3))

    def usage(self, prompt_tokens: int) -> Usage | None:
        """Return the known usage of the request; None if the service may not have started it.

        Args:
            prompt_tokens: Approximate tokens of the prompt, for a service that does not count them.
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
