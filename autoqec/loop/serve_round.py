"""The process of one round, which `autoqec round --parallel` starts: it claims the next round of a run, or takes over an open
one, and carries it to its end.

It ends on SIGTERM, and when the process that started it has ended; its round then stays open for `autoqec resume`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from types import FrameType

from autoqec.agents.agent_contract import ReplyAwaited
from autoqec.config import Setting, Settings
from autoqec.errors import AutoQECError
from autoqec.history import RoundRecord, load_run, open_ledger, read_claim
from autoqec.history.rounds.seen_rounds import Seen
from autoqec.loop.one_round import resume_round, run_round
from autoqec.loop.opened_session import opened_session
from autoqec.loop.round_request import CLOSED, EVENT, FAILED, RoundRequest
from autoqec.plugins import load_plugins
from autoqec.round_events import RoundEvent
from autoqec.sandbox.channel import Channel, ChannelClosed, Message
from autoqec.sandbox.child import report_of


def carry_out(request: RoundRequest, channel: Channel) -> RoundRecord:
    """Run the round, and report its events.

    Raises:
        AutoQECError: As for `run_round`.
    """
    if request.processors and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, request.processors)  # for all processes that this one starts, too
    ledger, settings = open_ledger(request.lab), Settings.from_json(request.settings)
    settings = replace(
        settings, values={**settings.values, "jobs": Setting(request.jobs, settings.values["jobs"].source)}
    )
    ledger.network_seconds = settings["network_seconds"]

    def report(event: RoundEvent) -> None:
        with suppress(ChannelClosed):  # nobody listens any more: SIGTERM is on its way
            channel.send(Message({EVENT: event}))

    with opened_session(ledger, load_plugins(), settings, load_run(ledger, request.run), report) as session:
        left = request.seconds_left
        session.deadline = None if left is None else time.monotonic() + left
        session.rounds_left = request.rounds_left
        session.memory = request.memory
        if request.resumes:
            return resume_round(session, read_claim(ledger, request.run, request.resumes), force=request.force)
        return run_round(session, seen=None if request.seen is None else Seen.from_details(request.seen))


def answer(request: RoundRequest, channel: Channel) -> int:
    """Run the round, say how it ended, and return the exit status."""
    try:
        record = carry_out(request, channel)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        told = {
            **report_of(error),
            "exit_code": error.exit_code if isinstance(error, AutoQECError) else 1,
            "waits": isinstance(error, ReplyAwaited),
        }
        with suppress(ChannelClosed):
            channel.send(Message({FAILED: told}))
        return 1
    # What this process found is what is reported of its round, whatever somebody else has written in its place.
    found = {name: getattr(record, name) for name in ("metrics", "analysis", "verdict")}
    with suppress(ChannelClosed):
        channel.send(Message({CLOSED: {"round": record.number, **found}}))
    return 0


def main() -> int:
    """Serve one request on the standard streams, and return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one decides
    signal.signal(signal.SIGTERM, _stop)
    # Frames own the real streams: whatever prints, prints to standard error, and nothing reads what this process is told.
    asked, said = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    channel = Channel(asked, said)
    try:
        request = RoundRequest.from_message(channel.receive())
        threading.Thread(target=_end_with_parent, args=(asked,), daemon=True).start()
        return answer(request, channel)
    except (ChannelClosed, KeyboardInterrupt):
        return 130
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would leave processes behind
    raise KeyboardInterrupt("SIGTERM")


def _end_with_parent(asked: int) -> None:
    """Wait until the process that started this one has ended, by whatever means."""
    with suppress(OSError):
        while os.read(asked, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
