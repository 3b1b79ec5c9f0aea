"""Runs a verification in a separate process: the request goes out as bytes, the verdict comes back as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from autoqec.plugins import load_plugins
from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.child import Child
from autoqec.scoring.verifier_contract import Report, Verdict, VerificationRequest


@dataclass(frozen=True, kw_only=True)
class VerificationTask(VerificationRequest):
    """A verification request and the plugins that answer it.

    Attributes:
        verifier: Name of the verifier plugin.
        executor: Name of the executor plugin it scores on.
        jobs: How many tasks at once.
    """

    verifier: str
    executor: str
    jobs: int


def verify_in_process(
    request: VerificationRequest, *, verifier: str, executor: str, jobs: int, report: Report
) -> Verdict:
    """Run a verifier plugin in a fresh process.

    Args:
        request: What to judge.
        verifier: Name of the verifier plugin.
        executor: Name of the executor plugin it scores on.
        jobs: How many tasks at once.
        report: Called with progress, `{"shots", "max_shots", …}`.

    Raises:
        AutoQECError: The judge's process failed.
    """
    task = VerificationTask(**vars(request), verifier=verifier, executor=executor, jobs=jobs)
    with Child("autoqec.scoring.verification:serve") as child:
        child.tell(task.to_message())
        while True:
            message = child.receive()
            if "verdict" in message.fields:
                return Verdict.from_dict(message.fields)
            report(message.fields)


def serve(channel: Channel) -> None:
    """The verifier's process: one request, progress, one verdict."""
    task, registry = VerificationTask.from_message(channel.receive()), load_plugins()
    verifier = registry.get("verifier", task.verifier).create()
    with registry.get("executor", task.executor).create(jobs=task.jobs) as executor:
        verdict = verifier.verify(task, executor, lambda event: channel.send(Message(dict(event))))
    channel.send(Message(verdict.to_note()))
