"""Prints the agent calls of a round: role, agent, prompt, reply, tokens and cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.text import Text

from autoqec.views.console import out, plain
from autoqec.views.dry_run_text import money_text


def print_trace(calls: Iterable[Mapping[str, Any]]) -> None:
    """Each call's heading, prompt and reply, unchanged."""
    console = out()
    none = True
    for call in calls:
        none = False
        reply = call["reply"]
        head = f"{call['role']}, attempt {call['attempt']}: {call['agent']}"
        if reply is None:
            console.print(
                plain(f"{head}: started, never answered; {call['estimate']['tokens']:,} tokens were reserved")
            )
            continue
        usage = reply["usage"]
        took = (
            f", {sum(usage.values()):,} tokens ({usage['cache_read_tokens']:,} from cache), {money_text(reply['cost'])}"
            if usage
            else ""
        )
        model = f" ({reply['model']})" if reply["model"] else ""
        console.print(Text("── ", style="dim") + plain(f"{head}{model}, {call['seconds']:.1f} s{took}"))
        for title, text in (("prompt", call["prompt"]), ("reply", call["text"] or call["said"])):
            if text:
                console.print(Text(f"{title}:", style="bold"))
                console.print(plain(text), soft_wrap=True)
        if reply["problem"]:
            console.print(Text("problem: ", style="bold") + plain(reply["problem"]), soft_wrap=True)
    if none:
        console.print("this round has no recorded calls")
