"""Verification in a process of its own: the request goes out as bytes, the verdict comes back as JSON."""

from __future__ import annotations

from autoqec.plugins import load_plugins
from autoqec.problem.environment import environment_from_files
from autoqec.results.note_form import read_record, write_record
from autoqec.results.verdict_parts import OutOfTime
from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.child import Child
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.executor_contract import blobs_with_prefix
from autoqec.scoring.verifier_contract import Report, Verdict, VerificationRequest


def verify_in_process(
    request: VerificationRequest, *, verifier: str, executor: str, jobs: int, report: Report
) -> Verdict:
    """Run a verifier plugin in a fresh process.

    Args:
        request: What to judge.
        verifier: Name of the verifier plugin.
        executor: Name of the executor plugin it scores on.
        jobs: How many tasks at once.
        report: Told of progress, `{"shots", "max_shots", …}`.

    Raises:
        AutoQECError: The judge's process failed.
    """
    fields = {
        "verifier": verifier,
        "executor": executor,
        "jobs": jobs,
        "commit": request.commit,
        "attempt": request.attempt,
        "verified_before": request.verified_before,
        "seed_key": request.seed_key.hex() if request.seed_key else None,
        "max_shots": request.max_shots,
        "strong_reference": request.strong_reference,
        "parents": list(request.parents),
        "alpha": request.alpha,
        "beacon": request.beacon,
        "full_certificate": request.full_certificate,
        "max_seconds": request.max_seconds,
        "stop": write_record(request.stop) if request.stop else None,
    }
    blobs = {f"env:{name}": data for name, data in request.environment.files.items()} | request.sealed.to_blobs()
    for name, parent in request.parents.items():
        blobs |= {f"parent:{name}:{part}": data for part, data in parent.to_blobs().items()}
    with Child("autoqec.scoring.verification:serve") as child:
        child.send(fields, **blobs)
        while True:
            message = child.receive()
            if "verdict" in message.fields:
                return Verdict.from_dict(message.fields)
            report(message.fields)


def serve(channel: Channel) -> None:
    """The verifier's process: one request, progress, one verdict."""
    message = channel.receive()
    fields = message.fields
    registry = load_plugins()
    request = VerificationRequest(
        environment=environment_from_files(blobs_with_prefix("env:", message.blobs), origin="the environment"),
        sealed=SealedCandidate.from_blobs(message.blobs),
        commit=fields["commit"],
        attempt=int(fields["attempt"]),
        verified_before=int(fields["verified_before"]),
        seed_key=bytes.fromhex(fields["seed_key"]) if fields["seed_key"] else None,
        max_shots=fields["max_shots"],
        strong_reference=fields["strong_reference"],
        parents={
            name: SealedCandidate.from_blobs(blobs_with_prefix(f"parent:{name}:", message.blobs))
            for name in fields["parents"]
        },
        alpha=fields["alpha"],
        beacon=fields["beacon"],
        full_certificate=bool(fields["full_certificate"]),
        max_seconds=fields["max_seconds"],
        stop=read_record(OutOfTime, fields["stop"]) if fields["stop"] else None,
    )
    verifier = registry.get("verifier", fields["verifier"]).create()
    with registry.get("executor", fields["executor"]).create(jobs=int(fields["jobs"])) as executor:
        verdict = verifier.verify(request, executor, lambda event: channel.send(Message(dict(event))))
    channel.send(Message(verdict.to_note()))
