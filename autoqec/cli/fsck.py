"""`autoqec fsck`: check the lab's record, and repair what is safe to repair."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options


@click.command()
@click.option("--repair", "repairing", is_flag=True, help="Repair what can be repaired without losing data.")
@options.json_option
def command(repairing: bool, as_json: bool) -> int:
    """Check the lab's record: claims, rounds, notes, weights, and git settings that could damage them.

    Every finding has a hint; for an interrupted round it names the last completed step. --repair removes stale locks, restores
    notes that another tool overwrote, and closes rounds that died before they wrote anything. Exit code 0 if there are no
    errors, 1 otherwise.
    """
    from dataclasses import asdict

    from autoqec.history import check, open_ledger, repair
    from autoqec.views.console import print_json
    from autoqec.views.fsck_text import print_findings, print_repaired

    ledger = open_ledger(".")
    findings = check(ledger)
    if repairing:
        repaired = repair(ledger, findings)
        if as_json:
            print_json({"schema": "autoqec.repaired/1", **asdict(item)} for item in repaired)
        else:
            print_repaired(repaired)
        findings = check(ledger)
    if as_json:
        # `mend` is the name that `hint` had in version 0.1; readers of `autoqec.finding/1` may still ask for it.
        print_json({"schema": "autoqec.finding/1", **asdict(finding), "mend": finding.hint} for finding in findings)
    else:
        print_findings(findings)
    return int(any(finding.severity == "error" for finding in findings))
