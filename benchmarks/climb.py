"""Rounds that climb: agents at equal compute, the best so far after each round, and a judgement on shots that no round saw.

Each agent and seed has a lab of its own under `--work`, and its rounds are run as `autoqec agents compare` runs them, with one
difference: no round is verified. All rounds have the same bounds: shots of training and of scoring, and processor seconds of
the whole round. What is there already is not run again, so after an interruption the same command continues.

The best round is chosen by its development figures alone. Then the first round, and the best of the others, of every agent of a
seed decode the same new shots, whose number is fixed in advance; a round that failed counts as the plain decoder. Of the first
round and the best one, p is exact and one-sided (McNemar), and "surely" is p below 0.05 over the number of seeds. Of two agents,
p is that of the paired permutation test over seeds: how often random signs give a mean difference as far from zero.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from threading import Event, Thread
from typing import Any

from _common import one_thread

one_thread()

from autoqec.agents.agent_contract import Context, Report, Role  # noqa: E402
from autoqec.agents.context_parts import AnalysisMessage  # noqa: E402
from autoqec.config import Setting, Settings, load_settings  # noqa: E402
from autoqec.errors import AutoQECError  # noqa: E402
from autoqec.history import RoundRecord, initialise, open_ledger  # noqa: E402
from autoqec.hookspecs import Register, hookimpl  # noqa: E402
from autoqec.loop.agent_runs import Arm, arm_settings, rounds_of, run_arm, run_name  # noqa: E402
from autoqec.loop.one_round import abandon_round, open_rounds  # noqa: E402
from autoqec.loop.round_state import read_state  # noqa: E402
from autoqec.loop.session import Session, open_run  # noqa: E402
from autoqec.plugins import Registry, installed, load_plugins  # noqa: E402
from autoqec.problem.streams import derive_key  # noqa: E402
from autoqec.results.agent_comparison import randomisation_p  # noqa: E402
from autoqec.results.counts import PairedCounts  # noqa: E402
from autoqec.results.round_results import read_results  # noqa: E402
from autoqec.results.statistics import mcnemar_p, ratio_interval  # noqa: E402
from autoqec.sandbox.sealed import SealedCandidate  # noqa: E402
from autoqec.scoring.composition import paired  # noqa: E402
from autoqec.scoring.score_stream import Scored, ScoreStream, chunks_for  # noqa: E402
from autoqec.settings_schema import Profile  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "climb.json"

#: Bounds of a round, by environment: a round then takes about 10 processor seconds. The limit on seconds of training counts time
#: that a process sleeps, which a busy machine makes longer, so it is far above what `MOST_SECONDS` allows.
PROFILES: Mapping[str, Profile] = {
    "surface_d5_depol": Profile(
        train_shots=25_600, train_seconds=600, memory_gib=12, score_shots=65_536, verify_shots=1
    ),
    "bb72_depol": Profile(train_shots=12_800, train_seconds=600, memory_gib=12, score_shots=16_384, verify_shots=1),
}

#: New shots on which the rounds of a seed are judged.
JUDGED: Mapping[str, int] = {"surface_d5_depol": 98_304, "bb72_depol": 32_768}

#: The probability, at most, that any seed's best round is said to be surely better than its first and is not.
ALPHA = 0.05

#: Processor seconds of a whole round, scoring included, after which the process that works for it most is ended; the round then
#: fails. Otherwise a random candidate may take hours: a graph network in every pass of an ensemble without a gate.
MOST_SECONDS = 30.0

ANALYST = "no_verdicts"

#: How many times to look, ten times a second, whether the processes of a round have ended.
_LOOKS = 30

#: See `man prctl`.
_PR_SET_CHILD_SUBREAPER = 36


class NoVerdicts:
    """An analyst that never asks for a verification: a verdict per round would cost more than the rounds."""

    def reply(self, role: Role, context: Context, report: Report) -> AnalysisMessage:
        """See `autoqec.agents.agent_contract.Agent.reply`."""
        return {"summary": "Rounds of this benchmark are judged together.", "decision": "ignore", "next_seed": ""}


@hookimpl
def autoqec_register_agents(register: Register) -> None:
    """Register the analyst; this module is a plugin of its own."""
    register(ANALYST, NoVerdicts, roles=("analyst",))


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        env: The environment.
        agents: The agents.
        seeds: Seeds of their runs.
        rounds: Rounds of each run.
        work: The folder with their labs.
        commit: That of the code.
    """

    env: str
    agents: tuple[str, ...]
    seeds: tuple[int, ...]
    rounds: int
    work: Path
    commit: str

    def arms(self) -> Iterator[Arm]:
        """Agents by seed, so that what is there at any time is balanced."""
        for seed in self.seeds:
            for agent in self.agents:
                yield Arm(agent, seed, run_name(self.env, agent, seed))

    def folder(self, arm: Arm) -> Path:
        """The folder of an arm's lab."""
        return self.work / arm.run


def adopt_orphans() -> None:
    """Have Linux give this process the children of its children that end first, so that their time counts."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def processor_seconds() -> float:
    """Processor time of this process and of all that it started and that ended; call between rounds, when all have."""
    for _ in range(_LOOKS):
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not descendants():
            break
        time.sleep(0.1)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _stat(process: str) -> tuple[int, float]:
    """The parent of a process, and the processor seconds of it and of what it has reaped."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def descendants() -> dict[int, float]:
    """The live processes below this one, with their processor seconds."""
    told: dict[int, tuple[int, float]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                told[int(entry.name)] = _stat(entry.name)
    found, above = {}, {os.getpid()}
    while below := {pid for pid, (parent, _) in told.items() if parent in above} - found.keys():
        found |= {pid: told[pid][1] for pid in below}
        above = below
    return found


class Bound(Thread):
    """Ends the process that works most for a round once the round has taken its processor time; `ended` says so."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.done, self.ended, self._began = Event(), False, _stat("self")[1]

    def begin(self) -> None:
        """A round begins."""
        self.ended, self._began = False, _stat("self")[1]

    def run(self) -> None:
        """See the class."""
        while not self.done.wait(1.0):
            alive = descendants()
            if alive and _stat("self")[1] + sum(alive.values()) - self._began > MOST_SECONDS:
                self.ended = True
                with suppress(OSError):
                    os.kill(max(alive, key=alive.__getitem__), signal.SIGKILL)


def settings_of(plan: Plan, arm: Arm, registry: Registry) -> Settings:
    """The settings of an arm: those of a comparison, the bounds of this benchmark, and no verdicts."""
    plain = load_settings(None, {"profile": "climb", "jobs": 1, "strong_reference": "none"})
    plain = replace(plain, profiles={**plain.profiles, "climb": PROFILES[plan.env]})
    settings = arm_settings(plain, registry, arm, 0.0)
    return replace(settings, values={**settings.values, "analyst": Setting(ANALYST, "climb")})


@contextmanager
def session_of(plan: Plan, arm: Arm, registry: Registry) -> Iterator[Session]:
    """A session of an arm in its own lab, which is made if it is not there."""
    folder = plan.folder(arm)
    ledger = open_ledger(str(folder)) if folder.is_dir() else initialise(folder)
    run = open_run(ledger, registry, env=plan.env, env_given=True, run_name=arm.run, fresh=False, seed=arm.seed)
    yield Session(ledger, registry, settings_of(plan, arm, registry), run)


def climb(plan: Plan, arm: Arm, registry: Registry) -> None:
    """Run an arm's missing rounds, and note what each took, and which code ran it."""
    notes, before, bound = plan.folder(arm) / ".git" / "climb.jsonl", processor_seconds(), Bound()
    bound.start()

    def finished(record: RoundRecord) -> None:
        nonlocal before
        now = processor_seconds()
        took, before = now - before, now
        bound.begin()
        with notes.open("a") as file:
            file.write(json.dumps({"round": record.number, "cpu_s": round(took, 1), "commit": plan.commit}) + "\n")
        row = round_row(record, {})
        print(f"{arm.run}/{record.number}: {row['status']} {row['ratio']} ({took:.0f} s) {row['tried']}", flush=True)

    with session_of(plan, arm, registry) as session:
        try:
            while len(rounds_of(session.ledger, arm)) < plan.rounds:
                try:
                    run_arm(session, arm, plan.rounds, finished)
                except AutoQECError:
                    if not bound.ended:
                        raise
                    for claim in open_rounds(session.ledger, arm.run):
                        finished(abandon_round(session.ledger, arm.run, claim.number))
        finally:
            bound.done.set()


def round_row(record: RoundRecord, noted: Mapping[str, Any]) -> dict[str, Any]:
    """A round: its development figures and costs, with the counts they rest on."""
    metrics = read_results(record).metrics
    row: dict[str, Any] = {
        "round": record.number,
        "status": record.status,
        "tried": record.identity.hypothesis if record.identity else "",
        "delta_ler": None,
        "ratio": None,
        **noted,
    }
    if metrics is not None:
        counts = metrics.measured.counts
        row |= {
            "delta_ler": round(metrics.figures.delta_ler, 6),
            "ratio": round(metrics.figures.ler_ratio or 1.0, 4),
            "counts": list(counts.to_dict().values()) if counts else None,
            "flops": metrics.costs.flops_per_shot,
            "params": metrics.costs.params,
            "us": metrics.costs.latency_us_per_shot,
        }
    return row


def arm_rows(plan: Plan, arm: Arm) -> list[dict[str, Any]]:
    """An arm's rounds so far, each with the best so far."""
    ledger = open_ledger(str(plan.folder(arm)))
    noted = {}
    for line in (plan.folder(arm) / ".git" / "climb.jsonl").read_text().splitlines():
        found = json.loads(line)
        noted[found.pop("round")] = found
    rows, best_gain, best_ratio = [], 0.0, 1.0
    for record in rounds_of(ledger, arm)[: plan.rounds]:
        row = round_row(record, noted.get(record.number, {}))
        best_gain, best_ratio = max(best_gain, row["delta_ler"] or 0.0), min(best_ratio, row["ratio"] or 1.0)
        rows.append(row | {"best_delta_ler": best_gain, "best_ratio": best_ratio})
    return rows


def best_of(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The number of the round with the lowest ratio on its development shots; None if every round failed."""
    scored = [row for row in rows if row["ratio"] is not None]
    return min(scored, key=lambda row: row["ratio"])["round"] if scored else None


def judge(plan: Plan, seed: int, registry: Registry) -> dict[str, Any]:
    """Score the first and the best round of every agent of a seed on the same new shots."""
    shots, found = JUDGED[plan.env], {}
    for arm in (arm for arm in plan.arms() if arm.seed == seed):
        rows = arm_rows(plan, arm)
        best = best_of(rows)
        with session_of(plan, arm, registry) as session:
            key = derive_key(seed.to_bytes(32, "big"), "autoqec/benchmarks/climb/v1", session.environment.identity)
            first = _scored(session, 1 if rows[0]["ratio"] is not None else None, key, shots)
            last = first if best in (1, None) else _scored(session, best, key, shots)
        found[arm.agent] = {"best": best, "first": first, "last": last}
    return found


def _scored(session: Session, number: int | None, key: bytes, shots: int) -> Scored | None:
    """A round on new shots; None for a round that failed."""
    if number is None:
        return None
    state = read_state(session.ledger, session.run.name, number)
    sealed: SealedCandidate = state.sealed
    with session.registry.get("executor", session.settings["executor"]).create(jobs=1) as executor:
        return ScoreStream(executor, session.environment, sealed, key, "climb").score(0, chunks_for(shots))


def judged_row(plan: Plan, seed: int, registry: Registry) -> dict[str, Any]:
    """What the judgement of a seed says, in counts."""
    cache = plan.work / f"judged-{plan.env}-{seed}-{'-'.join(plan.agents)}.json"
    wanted = {arm.agent: best_of(arm_rows(plan, arm)) for arm in plan.arms() if arm.seed == seed}
    if cache.is_file():
        kept: dict[str, Any] = json.loads(cache.read_text())
        if {name: each["best_round"] for name, each in kept["agents"].items()} == wanted:
            return kept
    found = judge(plan, seed, registry)
    row: dict[str, Any] = {"seed": seed, "shots": JUDGED[plan.env], "agents": {}, "pairs": {}}
    for agent, each in found.items():
        counts = _against(each["first"], each["last"])
        row["agents"][agent] = {
            "best_round": each["best"],
            "first_ratio": _ratio(each["first"]),
            "best_ratio": _ratio(each["last"]),
            "best_counts": list(each["last"].counts.to_dict().values()) if each["last"] else None,
            "best_against_first": list(counts.to_dict().values()),
            "p": mcnemar_p(counts),
        }
    lead = plan.agents[0]
    for other in plan.agents[1:]:
        pair = _against(found[other]["last"], found[lead]["last"])
        row["pairs"][other] = {"counts": list(pair.to_dict().values()), "p": mcnemar_p(pair)}
    cache.write_text(json.dumps(row))
    return row


def _against(first: Scored | None, second: Scored | None) -> PairedCounts:
    """Two rounds on the same shots, the first in the baseline's place; None is the plain decoder."""
    if first is not None and second is not None:
        return paired(first, second)
    if second is not None:
        return second.counts
    if first is not None:
        counts = first.counts
        return PairedCounts(counts.shots, counts.both, counts.candidate_only, counts.baseline_only)
    return PairedCounts()


def _ratio(scored: Scored | None) -> float:
    return 1.0 if scored is None else round(scored.counts.ler_ratio or 1.0, 4)


def summary(plan: Plan, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The two questions: is the first agent better than each other one, and does each climb?"""
    told: dict[str, Any] = {"seeds": len(rows), "against": {}, "climbs": {}}
    lead = plan.agents[0]
    ends = {agent: [row["agents"][agent]["best_ratio"] for row in rows] for agent in plan.agents}
    for agent in plan.agents:
        sure = sum(row["agents"][agent]["p"] < ALPHA / max(1, len(rows)) for row in rows)
        told["climbs"][agent] = {"surely_better_than_first": sure, "mean_ratio": sum(ends[agent]) / max(1, len(rows))}
    for other in plan.agents[1:]:
        differences = [b - a for a, b in zip(ends[lead], ends[other], strict=True)]
        told["against"][other] = {
            "mean_difference_of_ratios": sum(differences) / max(1, len(rows)),
            "p": randomisation_p(differences),
            "seeds_won": sum(difference > 0 for difference in differences),
        }
    return told


def written(plan: Plan, registry: Registry) -> dict[str, Any]:
    """The part of the results that is this plan's."""
    arms = [arm for arm in plan.arms() if plan.folder(arm).is_dir()]
    rows = {arm.run: arm_rows(plan, arm) for arm in arms}
    complete = [
        seed
        for seed in plan.seeds
        if all(len(rows.get(a.run, ())) >= plan.rounds for a in plan.arms() if a.seed == seed)
    ]
    judged = [judged_row(plan, seed, registry) for seed in complete]
    return {
        "env": plan.env,
        "command": f"python benchmarks/climb.py --env {plan.env} --agents {','.join(plan.agents)} --seeds"
        f" {','.join(map(str, plan.seeds))} --rounds {plan.rounds} --work DIR",
        "date": datetime.now(UTC).date().isoformat(),
        "processor_seconds_of_a_round_at_most": MOST_SECONDS,
        "profile": PROFILES[plan.env].model_dump(),
        "rounds": plan.rounds,
        "arms": [{"agent": arm.agent, "seed": arm.seed, "rounds": rows[arm.run]} for arm in arms],
        "judged": judged,
        "summary": summary(plan, judged),
    }


def plot(part: Mapping[str, Any], path: Path) -> None:
    """Draw the best ratio so far against rounds: thin lines for seeds, a thick one for their mean, dots for the judgement."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from autoqec.views.line_styles import COLOURS, LINES, MARKERS

    complete = {row["seed"] for row in part["judged"]}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "autoqec", "font.size": 9}):
        figure = Figure(figsize=(6, 3.2), layout="constrained")
        axes = figure.subplots()
        for place, agent in enumerate(part["summary"]["climbs"]):
            look = {"color": COLOURS[place], "linestyle": LINES[place]}
            arms = [arm for arm in part["arms"] if arm["agent"] == agent and arm["seed"] in complete]
            tracks = [[1.0, *(row["best_ratio"] for row in arm["rounds"])] for arm in arms]
            for track in tracks:
                axes.step(range(len(track)), track, where="post", linewidth=0.6, alpha=0.5, **look)
            mean = [sum(each) / len(each) for each in zip(*tracks, strict=True)]
            axes.step(
                range(len(mean)), mean, where="post", linewidth=2.2, label=f"{agent}, mean of {len(arms)} seeds", **look
            )
            ends = [row["agents"][agent]["best_ratio"] for row in part["judged"]]
            beside = part["rounds"] + 0.15 + 0.12 * place
            axes.plot([beside] * len(ends), ends, MARKERS[place], color=COLOURS[place], markersize=4, linestyle="none")
        axes.set_xlabel("rounds; points: the best one on new shots")
        axes.set_ylabel("best ratio to the plain decoder so far")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlim(left=0)
        axes.grid(color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=2, frameon=False, handlelength=4)
        axes.set_title(f"{part['env']}, equal compute", fontsize=10)
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def code_commit() -> str:
    """The commit of the code that is measured; with a mark if files differ from it."""

    def git(*words: str) -> str:
        told = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
        return told.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../autoqec", "../plugins", "../envs")
    return git("rev-parse", "--short", "HEAD") + ("-changed" if changed else "")


def seeds_of(text: str) -> tuple[int, ...]:
    """Seeds from `1-6` or `1,3`."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def print_table(part: Mapping[str, Any]) -> None:
    """Print the judgement: each seed, then both questions."""
    told = part["summary"]
    for row in part["judged"]:
        for agent, each in row["agents"].items():
            interval = ratio_interval(PairedCounts(*each["best_counts"])) if each["best_counts"] else (1.0, 1.0)
            print(
                f"{part['env']} seed {row['seed']} {agent}: round 1 {each['first_ratio']:.3f}, best of {part['rounds']} is"
                f" round {each['best_round']}: {each['best_ratio']:.3f} [{interval[0]:.3f}, {interval[1]:.3f}], p {each['p']:.2g}"
            )
    for agent, each in told["climbs"].items():
        print(
            f"{agent}: best round surely better than round 1 in {each['surely_better_than_first']} of {told['seeds']} seeds;"
            f" mean ratio {each['mean_ratio']:.4f}"
        )
    for agent, each in told["against"].items():
        print(
            f"against {agent}: mean difference of ratios {each['mean_difference_of_ratios']:+.4f}, ahead in"
            f" {each['seeds_won']} of {told['seeds']} seeds, permutation p {each['p']:.4f}"
        )


def main() -> None:
    """Run what is missing, judge, write the results, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="surface_d5_depol", choices=sorted(PROFILES))
    parser.add_argument("--agents", default="search,random,evolution", help="the first is compared with each other one")
    parser.add_argument("--seeds", default="1-6", type=seeds_of)
    parser.add_argument("--rounds", default=12, type=int)
    parser.add_argument("--work", required=True, type=Path, help="folder of the labs")
    parser.add_argument("--results", default=RESULTS, type=Path, help="file to write")
    parser.add_argument("--no-run", action="store_true", help="run no round: judge and write what is there")
    parser.add_argument("--plot", type=Path, default=None, help="also draw the curves to this file")
    options = parser.parse_args()
    plan = Plan(
        options.env,
        tuple(options.agents.split(",")),
        options.seeds,
        options.rounds,
        options.work.resolve(),
        code_commit(),
    )
    plan.work.mkdir(parents=True, exist_ok=True)
    adopt_orphans()
    registry = load_plugins([*installed(), EntryPoint("climb", "climb", "autoqec")])
    for arm in plan.arms():
        if not options.no_run:
            climb(plan, arm, registry)
    file = options.results
    whole = json.loads(file.read_text()) if file.is_file() else {"schema": "autoqec.benchmark.climb/1", "parts": {}}
    part = written(plan, registry)
    whole["parts"][plan.env] = part | {"notes": whole["parts"].get(plan.env, {}).get("notes", [])}
    file.write_text(json.dumps(whole, indent=1) + "\n")
    print_table(part)
    if options.plot and part["judged"]:
        plot(part, options.plot)


if __name__ == "__main__":
    main()
