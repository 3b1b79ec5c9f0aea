"""Prints the agent calls of a round: role, agent, prompt, reply, tokens and cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.text import Text

from autoqec.views.console import out, plain
from autoqec.views.dry_run_text import money_text

if TYPE_CHECKING:
    from autoqec.printed_rows import CallRow, UsageRow


def print_trace(calls: Iterable[CallRow]) -> None:
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
            f", {_total(usage):,} tokens ({usage['cache_read_tokens']:,} from cache), {money_text(reply['cost'])}"
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


def _total(usage: UsageRow) -> int:
    kinds = usage["input_tokens"], usage["output_tokens"], usage["cache_read_tokens"], usage["cache_write_tokens"]
    return sum(kinds)
