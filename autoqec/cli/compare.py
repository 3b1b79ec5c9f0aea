"""`autoqec compare`: compare decoders on the same fresh shots of a circuit, an error model or an environment."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoqec.cli import shared_options as options

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoqec.comparing.decoding_source import DecodingSource
    from autoqec.comparing.shot_source import ShotSource
    from autoqec.problem.problem import Problem
    from autoqec.results.comparison_replay import Replay
    from autoqec.results.decoder_comparison import Comparison
    from autoqec.views.decoders_text import Unit

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("decoders", nargs=-1, metavar="DECODER DECODER ...")
@click.option("--circuit", type=_PATH, help="A .stim file with noise, detectors and observables.")
@click.option("--dem", type=_PATH, help="A .dem file, a detector error model.")
@click.option("--env", default=None, help="An environment, by name or path.")
@click.option(
    "--shots", type=_PATH, help="Decode recorded detection events, in one of stim's formats, by --dem or --circuit."
)
@click.option(
    "--observables", type=_PATH, help="The observable flips of --shots; leave it out if --shots holds them too."
)
@click.option("--p", type=float, default=None, help="Physical error rate of --env; by default its target.")
@click.option(
    "--until",
    multiple=True,
    metavar="WHEN",
    help="Stop when: decided (every pair has a word; the default), 100000shots, or 60s. Several stop at the first.",
)
@click.option("--baseline", default=None, metavar="DECODER", help="Compare with this one first; by default the first.")
@options.per_option
@click.option("--rounds", type=click.IntRange(1, 10**9), default=None, help="Rounds of the circuit, for --per round.")
@click.option(
    "--fewer",
    multiple=True,
    metavar="DECODER=SHOTS",
    help="Have a slow decoder decode the first SHOTS shots only; the table says so.",
)
@click.option(
    "--gated",
    multiple=True,
    metavar="DECODER",
    help="Have a slow decoder decode only the shots that the baseline is least sure of; the table says so.",
)
@click.option(
    "--key", default=None, metavar="HEX", help="Draw the shots by this key of 64 digits; by default a new one."
)
@click.option(
    "--timing",
    "timing_seconds",
    type=click.FloatRange(0, 3600),
    default=2.0,
    show_default=True,
    help="Seconds to measure each decoder's times; 0 to leave them out.",
)
@options.jobs_option
@click.option("--save", type=_PATH, help="Write counts, settings, hashes and key to this file, and go on from it.")
@click.option(
    "--replay", type=_PATH, help="Draw the shots of a saved comparison again, and say whether all is the same."
)
@options.json_option
@click.option("--markdown", is_flag=True, help="Print tables of Markdown.")
@click.option("--csv", "csv_file", type=_PATH, help="Also write the counts in sinter's CSV format.")
@options.quiet_option
def command(decoders: tuple[str, ...], **given: Any) -> int:
    """Compare decoders on the same fresh shots: who fails less often, and how sure that is.

    A DECODER is the name of an installed one, such as mwpm or osd:method=osd_cs,order=10; one of sinter's, such as pymatching;
    sinter:module:Class; a round exp/<run>/<N>; or the folder of an exported one. Give --circuit, --dem or --env. With --shots
    and --observables the shots are an experiment's, fixed in number, and the tests exact.
    """
    if given["replay"] is not None:
        return _replay(decoders, given)
    return _compare(decoders, given)


def _compare(names: tuple[str, ...], given: dict[str, Any]) -> int:
    from autoqec.comparing.stopping_rule import read_until
    from autoqec.errors import UsageError
    from autoqec.views.decoders_progress import DecodersDisplay

    until = read_until(given["until"])
    _require_decoders(names, given)
    with DecodersDisplay(quiet=given["quiet"], shots=until.limit, seconds=until.seconds) as display:
        display.begin("reading what is decoded")
        from autoqec.cli.lab import jobs_here
        from autoqec.comparing.compare_decoders import ComparisonInterrupted, ComparisonPlan, compare
        from autoqec.comparing.comparison_file import require_writable
        from autoqec.comparing.decoder_names import read_decoder, read_decoders
        from autoqec.plugins import load_plugins

        registry = load_plugins()
        stream = _stream(given)
        if given["csv_file"] is not None:
            require_writable(given["csv_file"])  # before anything is counted
        source = _source(given)
        found = read_decoders(names, registry)
        labels = [each.label for each in found]
        baseline = read_decoder(given["baseline"], registry).label if given["baseline"] else labels[0]
        if baseline not in labels:
            raise UsageError(
                f"the baseline {baseline} is none of the decoders", hint=f"name one of: {', '.join(labels)}"
            )
        unit = _unit(given, source, source.problem(registry).num_observables)
        plan = ComparisonPlan(
            until=until,
            baseline=labels.index(baseline),
            most_shots={read_decoder(name, registry).label: shots for name, shots in map(_fewer, given["fewer"])},
            gated=frozenset(read_decoder(name, registry).label for name in given["gated"]),
            jobs=jobs_here(given["jobs"]),
            timing_seconds=given["timing_seconds"],
            save=given["save"],
        )
        try:
            comparison = compare(
                found,
                source,
                plan,
                shots=stream,
                progress=lambda event: display.event(event.stage, event.detail, event.comparison, event.done),
                registry=registry,
            )
        except ComparisonInterrupted as error:
            _print(error.comparison, given, unit)
            raise
    _print(comparison, given, unit)
    return 1 if any(each.failed is not None for each in comparison.decoders) else 0


def _require_decoders(names: tuple[str, ...], given: dict[str, Any]) -> None:
    """Refuse fewer than two decoders, and a file of circuits or error models among them."""
    from autoqec.comparing.file_options import FILE_OPTIONS
    from autoqec.errors import UsageError

    files = [name for name in names if Path(name).suffix in FILE_OPTIONS]
    if files and not _sources(given):
        decoders = [name for name in names if name not in files]
        decoders += [name for name in ("mwpm", "pymatching") if name not in decoders][: max(0, 2 - len(decoders))]
        hint = f"autoqec compare {shlex.join(decoders)} {FILE_OPTIONS[Path(files[0]).suffix]} {shlex.quote(files[0])}"
        raise UsageError(f"{files[0]} is no decoder, and nothing to decode is given", hint=hint)
    if len(names) < 2:
        raise UsageError(
            "a comparison takes two decoders or more", hint="autoqec compare mwpm pymatching --circuit FILE"
        )


def _print(comparison: Comparison, given: dict[str, Any], unit: Unit) -> None:
    from autoqec.comparing.comparison_file import write_rows
    from autoqec.results.decoder_comparison import comparison_json
    from autoqec.views.console import print_json, print_lines
    from autoqec.views.decoders_text import markdown_lines, print_decoders

    if given["as_json"]:
        print_json([comparison_json(comparison)])
    elif given["markdown"]:
        print_lines(markdown_lines(comparison, unit))
    else:
        print_decoders(comparison, unit)
    if given["csv_file"] is not None:
        write_rows(comparison, given["csv_file"])


def _replay(names: tuple[str, ...], given: dict[str, Any]) -> int:
    from autoqec.errors import UsageError
    from autoqec.views.decoders_progress import DecodersDisplay

    if names:
        raise UsageError("--replay takes the decoders of the file", hint=f"autoqec compare --replay {given['replay']}")
    with DecodersDisplay(quiet=given["quiet"]) as display:
        display.begin(f"reading {given['replay']}")
        from autoqec.cli.lab import jobs_here
        from autoqec.comparing.comparison_file import read_comparison
        from autoqec.comparing.replaying import replay, saved_decoders, saved_source
        from autoqec.plugins import load_plugins
        from autoqec.views.console import print_json
        from autoqec.views.decoders_text import print_replay, replay_object

        saved, registry = read_comparison(given["replay"]), load_plugins()
        source = saved_source(saved, registry, _source(given) if _sources(given) else None)
        found: Replay = replay(
            saved,
            saved_decoders(saved, registry),
            source,
            registry,
            jobs=jobs_here(given["jobs"]),
            progress=display.replayed,
            files=[given[name] for name in ("shots", "observables") if given[name] is not None],
        )
    print_json([replay_object(found)]) if given["as_json"] else print_replay(found)
    return 0 if found.same else 1


def _sources(given: dict[str, Any]) -> list[str]:
    return [name for name in ("circuit", "dem", "env") if given[name] is not None]


def _source(given: dict[str, Any]) -> DecodingSource:
    from autoqec.cli.lab import environment_folders_here
    from autoqec.comparing.decoding_source import source_from_environment, source_from_file
    from autoqec.errors import UsageError
    from autoqec.problem.environment import find_environment

    told = _sources(given)
    if len(told) != 1:
        said = f"--{' and --'.join(told)} are given" if told else "nothing to decode is given"
        raise UsageError(f"{said}", hint="give one of --circuit FILE.stim, --dem FILE.dem and --env NAME")
    if told[0] == "env":
        return source_from_environment(find_environment(given["env"], environment_folders_here()), given["p"])
    if given["p"] is not None:
        raise UsageError(f"the file of --{told[0]} fixes the noise, so --p cannot be chosen", hint="leave out --p")
    return source_from_file(given[told[0]], "circuit" if told[0] == "circuit" else "dem")


def _stream(given: dict[str, Any]) -> Callable[[Problem], ShotSource] | None:
    """Where the shots come from, if that is said."""
    from autoqec.comparing.recorded_source import RecordedSource
    from autoqec.comparing.shot_source import KeyedShots, read_key
    from autoqec.errors import UsageError

    events, observables = given["shots"], given["observables"]
    key = None if given["key"] is None else read_key(given["key"], "--key")
    if events is None:
        if observables is not None:
            raise UsageError(
                "--observables belongs to recorded shots", hint="give their detection events too: --shots FILE"
            )
        return None if key is None else lambda problem: KeyedShots(problem, key)
    for name in ("key", "until", "env"):
        if given[name]:
            hint = {"env": "give their error model: --dem FILE.dem"}.get(name, f"leave out --{name}")
            raise UsageError(f"recorded shots are decoded all, as they are, so --{name} does not apply", hint=hint)
    return lambda problem: RecordedSource(problem, events, observables)


def _fewer(text: str) -> tuple[str, int]:
    from autoqec.errors import UsageError

    name, _, number = text.rpartition("=")
    shots = int(number) if number.isascii() and number.isdigit() and len(number) < 16 else 0
    if not name or shots < 1:
        raise UsageError(
            f"--fewer {text!r} is not a decoder with its number of shots", hint="--fewer osd:order=10=20000"
        )
    return name, shots


def _unit(given: dict[str, Any], source: DecodingSource, observables: int) -> Unit:
    """What rates are printed per, and how one per shot is converted; see `autoqec.results.piece_rates`."""
    from autoqec.errors import UsageError
    from autoqec.results.piece_rates import rate_per

    per, rounds = given["per"], given["rounds"] or source.rounds
    if per == "round" and rounds is None:
        raise UsageError(f"{source.label} does not say its rounds", hint="give them: --rounds N")
    return per, lambda rate: rate_per(rate, per, rounds or 1, observables)
