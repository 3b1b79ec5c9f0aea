"""What rounds at once cost in rounds, and what they save in time: the embedded agents in simulated landscapes.

A landscape is drawn from a seed. It says what a candidate gains over the plain decoder: a level for the kinds of its stages and
for an ensemble, a smooth curve for each field that the search may vary, and products for pairs of fields. No agent knows them.
A round takes a time drawn from the measured ones of `climb.py`, and its figures are those of paired counts drawn from the true
rates, so the best round so far is not always the best one. No round fails.

With K at once, a new round begins when one of the K ends, so that its agent knows the rounds that have ended and, of the others,
what they try. With `--told numbers` it knows their numbers alone, as in clones that share a run, and with `--told nothing` not
even these. All K of a seed have the same landscape, times and draws of counts, by the number of the round. Nothing is trained.

    python benchmarks/rounds_at_once.py --seeds 12 --rounds 32

prints, and with `--results FILE` writes, the gain of the round that is best by its own figures: after so many rounds, and after
so much time. A machine for each round is assumed; rounds that share cores take longer, and save time only where cores were idle.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal, get_args

from _common import one_thread

if __name__ == "__main__":
    one_thread()

from autoqec_plugins.search.evolution import EvolutionAgent
from autoqec_plugins.search.normal_form import normal_form
from autoqec_plugins.search.random_agent import RandomAgent
from autoqec_plugins.search.relations import merged
from autoqec_plugins.search.roles import EmbeddedAgent
from autoqec_plugins.search.search_agent import SearchAgent
from autoqec_plugins.search.space import Parsed, choices, code_of, parse, template_files, templates_here, unparse

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.asking import AgentError, ask
from autoqec.candidate.installed_stages import formats, stage_kinds
from autoqec.candidate_paths import ENSEMBLE_FILE
from autoqec.plugins import load_plugins
from autoqec.problem.environment import builtin_environments, find_environment
from autoqec.results.agent_comparison import randomisation_p
from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Figures
from autoqec.results.metrics import parse_metrics

AGENTS: Mapping[str, type[EmbeddedAgent]] = {"search": SearchAgent, "random": RandomAgent, "evolution": EvolutionAgent}

#: Rounds at once, beside one at a time.
AT_ONCE = (2, 4, 8)

#: Rounds after which, and multiples of the mean time of a round after which, the best round is looked at.
_LOOKS = (4, 8, 16, 24, 32)

#: The plain decoder's failures of `_SHOTS` scored shots, as measured on `surface_d5_depol`.
_SHOTS, _RATE = 65_536, 0.0139

#: Relative gains: of the first template, how far kinds of stages differ, of an ensemble and how far those differ, the height of a
#: field's curve, and of the product of two fields.
_BASE, _KINDS, _ENSEMBLE, _CURVE, _PAIR = 0.31, 0.05, 0.12, 0.012, 0.01

#: One pair of fields in so many has a product.
_PAIRED = 6


@dataclass(frozen=True)
class Landscape:
    """What candidates gain.

    Attributes:
        seed: What it is drawn from.
        context: A context of the environment; it says which fields there are.
    """

    seed: int
    context: Context

    def _lots(self, *name: object) -> random.Random:
        return random.Random(f"{self.seed}/{'/'.join(map(str, name))}")

    def gain(self, parsed: Parsed) -> float:
        """The true relative gain of a candidate; that of the first template is `_BASE`."""
        return min(0.9, max(-0.5, _BASE + self._level(parsed) - self._first))

    @cached_property
    def _first(self) -> float:
        return self._level(parse(template_files(templates_here(self.context)[0], self.context)))

    def _level(self, parsed: Parsed) -> float:
        whole, places = normal_form(parsed, self.context), self._places(parsed)
        stages = sorted(str(fields.get("kind")) for path, fields in whole.items() if path.startswith("stages/"))
        total = self._lots("kinds", *stages).gauss(0, _KINDS) * (stages != ["neural_bp"])
        if ENSEMBLE_FILE in parsed:
            total += max(0.0, self._lots("ensemble").gauss(_ENSEMBLE, _ENSEMBLE / 3))
        for name, place in places.items():
            lots = self._lots("field", name)
            peak, height = lots.random(), abs(lots.gauss(0, _CURVE))
            total -= 4 * height * (place - peak) ** 2
        names = sorted(places)
        for at, one in enumerate(names):
            for other in names[at + 1 :]:
                lots = self._lots("pair", one, other)
                if lots.randrange(_PAIRED) == 0:
                    total += 4 * lots.gauss(0, _PAIR) * (places[one] - 0.5) * (places[other] - 0.5)
        return total

    def _places(self, parsed: Parsed) -> dict[str, float]:
        """The place of each field among its values, from 0 to 1; fields of stages are named by the kind."""
        whole, found = normal_form(parsed, self.context), {}
        for (path, field), values in choices(parsed, self.context).items():
            value = whole[path].get(field)
            if value in values and len(values) > 1:
                owner = str(whole[path].get("kind")) if path.startswith("stages/") else path
                found[f"{owner}:{field}"] = values.index(value) / (len(values) - 1)
        return found

    def round_of(self, number: int, idea: Any, files: Mapping[str, str]) -> PastRound:
        """A round as it ends: its counts are drawn by its number."""
        parsed = parse(files)
        lots, plain = self._lots("counts", number), _RATE * _SHOTS
        fails = plain * (1 - self.gain(parsed))
        both = 0.75 * min(fails, plain)
        drawn = [max(0, round(lots.gauss(each, max(each, 0.0) ** 0.5))) for each in (both, plain - both, fails - both)]
        counts = PairedCounts(_SHOTS, *drawn)
        note = {**Figures.of(counts).to_note(), "counts": counts.to_dict(), **self._costs(parsed)}
        name = f"{self.context.run}/{number}"
        metrics = parse_metrics(note).record
        return PastRound(name, "ok", None, idea.fork_from, idea.compose, idea.text, dict(files), metrics, "candidate")

    def _costs(self, parsed: Parsed) -> dict[str, Any]:
        whole = normal_form(parsed, self.context)
        stages = [fields for path, fields in whole.items() if path.startswith("stages/")]
        size = sum(float(f.get("iterations") or 5) * float(f.get("hidden") or f.get("channels") or 1) for f in stages)
        flops = 20_000 * size * max(1, int(whole[ENSEMBLE_FILE].get("passes") or 1))
        return {
            "flops_per_shot": int(flops),
            "params": int(100 * size),
            "latency_us_per_shot": 10.0,
            "train_seconds": 5.0,
            "score_seconds": 5.0,
            "training": {"shots": whole["training.yaml"]["shots"]},
        }


@cache
def measured_times() -> tuple[float, ...]:
    """Processor seconds of whole rounds on `surface_d5_depol`, as `climb.py` measured them."""
    told = json.loads((Path(__file__).parent / "results" / "climb.json").read_text())
    return tuple(sorted(row["cpu_s"] for arm in told["parts"]["surface_d5_depol"]["arms"] for row in arm["rounds"]))


def first_context() -> Context:
    """The context of a first round on `surface_d5_depol`."""
    loaded = find_environment("surface_d5_depol", [builtin_environments()])
    return Context(
        loaded.environment.model_dump(mode="json"),
        "simulated",
        1,
        0,
        stage_kinds(load_plugins()),
        {"train_shots": 409_600},
        formats=formats("gap", solutions=True),
    )


@dataclass(frozen=True)
class Ended:
    """A round that has ended.

    Attributes:
        at: When, in seconds since the first one began.
        past: The round; with the status `agent_error` the agent had no idea.
        truth: Its true relative gain.
    """

    at: float
    past: PastRound
    truth: float


#: What an agent is told of open rounds: their ideas, as in one lab; their numbers, as by other clones; or nothing.
Told = Literal["ideas", "numbers", "nothing"]

#: A row of the results.
Row = dict[str, Any]


def play(
    agent: EmbeddedAgent, landscape: Landscape, rounds: int, at_once: int, seed: int, told: Told = "ideas"
) -> list[Ended]:
    """Run rounds, K at once, in the order in which they end."""
    running: list[tuple[float, int, PastRound]] = []
    ended: list[Ended] = []
    now = 0.0
    for number in range(1, rounds + 1):
        if len(running) == at_once:
            now = _end_one(running, ended, landscape)
        past = proposed(agent, landscape, ended, running, number, seed, told)
        took = random.Random(f"{seed}/time/{number}").choice(measured_times())
        heapq.heappush(running, (now + took, number, past))
    while running:
        _end_one(running, ended, landscape)
    return ended


def _end_one(running: list[tuple[float, int, PastRound]], ended: list[Ended], landscape: Landscape) -> float:
    at, _, past = heapq.heappop(running)
    ended.append(Ended(at, past, landscape.gain(parse(past.files)) if past.files else 0.0))
    return at


def number_of(past: PastRound) -> int:
    """The number of a round."""
    return int(past.name.split("/")[1])


def agent_seed(seed: int, number: int) -> int:
    """What an agent draws from in a round."""
    return random.Random(f"{seed}/agent/{number}").getrandbits(64)


def proposed(
    agent: EmbeddedAgent,
    landscape: Landscape,
    ended: Sequence[Ended],
    running: Sequence[tuple[float, int, PastRound]],
    number: int,
    seed: int,
    told: Told,
) -> PastRound:
    """What the agent proposes, as the round will be when it ends."""
    history = sorted((each.past for each in ended), key=number_of)
    still = [replace(past, status="open", metrics=None, decision=None) for _, _, past in running]
    context = replace(
        landscape.context,
        round=number,
        seed=agent_seed(seed, number),
        history=tuple(history),
        open_rounds=tuple(sorted(still, key=number_of)) if told == "ideas" else (),
        unseen=tuple({"round": each, "seed": agent_seed(seed, each)} for each in sorted(map(number_of, still)))
        if told == "numbers"
        else (),
    )
    try:
        idea = ask(agent, "ideator", context)
    except AgentError as error:
        return PastRound(f"{context.run}/{number}", "agent_error", str(error))
    if idea.compose == "pure":
        by_name = {past.name: past for past in history}
        first, second = (by_name[name] for name in idea.fork_from)
        files = unparse(merged((first, second), context)) | code_of(first.files) | code_of(second.files)
    else:
        files = json.loads(idea.hint)["files"]
    return landscape.round_of(number, idea, files)


def best_so_far(ended: Sequence[Ended]) -> float:
    """The true gain of the round that is best by its own figures; none gains less than the plain decoder."""
    scored = [each for each in ended if each.past.metrics is not None]
    if not scored:
        return 0.0
    return max(scored, key=lambda each: each.past.metrics.figures.delta_ler if each.past.metrics else 0.0).truth


def duplicates(ended: Sequence[Ended], context: Context) -> int:
    """How many rounds have the candidate of another one, merges included."""
    forms = [
        json.dumps(normal_form(parse(each.past.files), context), sort_keys=True) for each in ended if each.past.files
    ]
    return len(forms) - len(set(forms))


def rows_of(name: str, ways: Sequence[tuple[int, Told]], seeds: Sequence[int], rounds: int, base: Context) -> list[Row]:
    """A row for each way to run rounds: the mean best gain over seeds, and the difference from the first way, one at a time."""
    unit, found, alone = mean(measured_times()), [], []
    for at_once, told in ways:
        played = [play(AGENTS[name](), Landscape(seed, base), rounds, at_once, seed, told) for seed in seeds]
        alone = alone or played
        row: Row = {"agent": name, "at_once": at_once, "told": told, "after_rounds": {}, "after_time": {}}
        for look in (each for each in _LOOKS if each <= rounds):
            row["after_rounds"][look] = _compared(
                [best_so_far(ended[:look]) for ended in played], [best_so_far(ended[:look]) for ended in alone]
            )
            row["after_time"][look] = _compared(
                [best_so_far([each for each in ended if each.at <= look * unit]) for ended in played],
                [best_so_far([each for each in ended if each.at <= look * unit]) for ended in alone],
            )
        row["same_candidates"] = sum(duplicates(ended, base) for ended in played)
        row["without_an_idea"] = sum(each.past.status == "agent_error" for ended in played for each in ended)
        row["rounds_of_mean_time"] = round(mean(ended[-1].at for ended in played) / unit, 2)
        found.append(row)
    return found


def _compared(gains: Sequence[float], alone: Sequence[float]) -> dict[str, float]:
    differences = [one - other for one, other in zip(gains, alone, strict=True)]
    spread = stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else 0.0
    return {
        "gain": round(mean(gains), 4),
        "difference": round(mean(differences), 4),
        "standard_error": round(spread, 4),
        "p": round(randomisation_p(differences), 4) if any(differences) else 1.0,
    }


def _way(row: Mapping[str, Any]) -> str:
    return f"{row['agent']:9} K = {row['at_once']}, told {row['told']:7}"


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the rows as two tables."""
    for what, title in (("after_rounds", "rounds"), ("after_time", "times of a round")):
        print(f"best gain after so many {title}; in brackets the difference from one at a time, and its standard error")
        for row in rows:
            cells = [
                f"{look}: {each['gain']:.3f} ({each['difference']:+.3f} ± {each['standard_error']:.3f})"
                for look, each in row[what].items()
            ]
            print(f"  {_way(row)}  {'  '.join(cells)}")
    for row in rows:
        print(
            f"{_way(row)}: {row['same_candidates']} same candidates, {row['without_an_idea']} rounds"
            f" without an idea, all rounds in {row['rounds_of_mean_time']} times of a round"
        )


def main() -> None:
    """Simulate, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", default="search", help="search, random, evolution; with commas")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--results", type=Path, default=None, help="file to write")
    parser.add_argument("--told", default="ideas", help=f"{', '.join(get_args(Told))}; with commas")
    options = parser.parse_args()
    base, seeds = first_context(), range(1, options.seeds + 1)
    ways = [(1, "ideas"), *((at_once, told) for told in options.told.split(",") for at_once in AT_ONCE)]
    rows = [row for name in options.agents.split(",") for row in rows_of(name, ways, seeds, options.rounds, base)]
    print_rows(rows)
    if options.results:
        file = options.results
        whole = (
            json.loads(file.read_text())
            if file.is_file()
            else {"schema": "autoqec.benchmark.rounds_at_once/1", "parts": {}}
        )
        whole["parts"][f"{options.agents}, told {options.told}"] = {
            "command": f"python benchmarks/rounds_at_once.py --agents {options.agents} --seeds {options.seeds}"
            f" --rounds {options.rounds} --told {options.told} --results FILE",
            "mean_seconds_of_a_round": round(mean(measured_times()), 2),
            "rows": rows,
        }
        file.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
