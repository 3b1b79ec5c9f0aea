"""Runs a verification in a separate process: the request goes out as bytes, the verdict comes back as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from autoqec.plugins import load_plugins
from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.child import Child
from autoqec.scoring.executor_contract import ExecutorChoice, ToldNews, WorkerNews
from autoqec.scoring.opened_executor import opened_executor
from autoqec.scoring.verifier_contract import Report, Verdict, VerificationRequest


@dataclass(frozen=True, kw_only=True)
class VerificationTask(VerificationRequest):
    """A verification request and the plugins that answer it.

    Attributes:
        verifier: Name of the verifier plugin.
        executor: What it scores on.
    """

    verifier: str
    executor: ExecutorChoice


def verify_in_process(
    request: VerificationRequest, *, verifier: str, executor: ExecutorChoice, report: Report, news: ToldNews
) -> Verdict:
    """Run a verifier plugin in a fresh process.

    Args:
        request: What to judge.
        verifier: Name of the verifier plugin.
        executor: What it scores on.
        report: Called with progress, `{"shots", "max_shots", …}`.
        news: Called with what happens to the executor's workers.

    Raises:
        AutoQECError: The judge's process failed.
    """
    task = VerificationTask(**vars(request), verifier=verifier, executor=executor)
    with Child("autoqec.scoring.verification:serve") as child:
        child.tell(task.to_message())
        while True:
            message = child.receive()
            if "verdict" in message.fields:
                return Verdict.from_dict(message.fields)
            if "worker" in message.fields:
                news(WorkerNews(**message.fields))
            else:
                report(message.fields)


def serve(channel: Channel) -> None:
    """The verifier's process: one request, progress, one verdict."""
    task, registry = VerificationTask.from_message(channel.receive()), load_plugins()
    verifier = registry.get("verifier", task.verifier).create()
    with opened_executor(registry, task.executor, lambda news: channel.send(Message(dict(vars(news))))) as executor:
        verdict = verifier.verify(task, executor, lambda event: channel.send(Message(dict(event))))
    channel.send(Message(verdict.to_note()))
