"""`autoqec sweep`: logical error rates of several decoders over a family of environments."""

from __future__ import annotations

from pathlib import Path

import click

from autoqec.cli import shared_options as options


@click.command()
@click.argument("decoders", nargs=-1, required=True, metavar="DECODER...")
@click.option("--env", required=True, help="The environment that the family is like, by name or path.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="FIELD=LIST",
    help="Values of a field: code.distance=3,5,7. Or the field whose value it takes: code.rounds=code.distance.",
)
@click.option("--p", "rates", default=None, metavar="RATES", help="Physical error rates: 1e-3:1e-2:8, or 1e-3,2e-3.")
@click.option(
    "--relative-error",
    default=0.1,
    show_default=True,
    help="Stop at a point at this relative standard error: 0.1 takes 100 failures. 0 for no such target.",
)
@click.option("--max-errors", default=None, type=int, metavar="N", help="Stop at a point after N failures.")
@click.option("--max-shots", default=1_000_000, show_default=True, metavar="N", help="Stop at a point after N shots.")
@click.option(
    "--max-seconds",
    default=60.0,
    show_default=True,
    help="Stop at a point after so many seconds of decoding; 0 for no limit.",
)
@options.per_option
@click.option(
    "--csv", "file", default=None, metavar="FILE", help="The file of counts, in sinter's format [sweep_ENV.csv]."
)
@click.option("--plot", default=None, metavar="FILE", help="Plot the sweep to a .svg, .png, .pdf or .html file.")
@click.option("--key", default=None, metavar="HEX", help="The key of the shots, 32 hexadecimal digits.")
@options.jobs_option
@options.json_option
@options.quiet_option
def command(
    decoders: tuple[str, ...],
    env: str,
    sets: tuple[str, ...],
    rates: str | None,
    relative_error: float,
    max_errors: int | None,
    max_shots: int,
    max_seconds: float,
    per: str,
    file: str | None,
    plot: str | None,
    key: str | None,
    jobs: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Count failures of decoders over a family of environments, and show rates, Λ and where curves cross.

    DECODER is an installed decoder (osd:method=osd_cs,order=10), one of sinter's, a round exp/<run>/<N>, or the folder of an
    exported one. The family has all combinations of the values of --set and --p. All decoders get the same shots. A sweep goes on
    from its file: run the same command again after an interruption, or with smaller errors or more values.
    """
    from autoqec.views.console import say
    from autoqec.views.line_styles import check_plot
    from autoqec.views.sweep_progress import SweepDisplay

    with SweepDisplay(quiet=quiet) as display:
        display.begin(f"checking {env} and {', '.join(decoders)}")
        from autoqec.cli.lab import environment_folders_here, jobs_here
        from autoqec.comparing.sweep_task import SweepLimits
        from autoqec.comparing.sweeping import count_sweep, plan_sweep
        from autoqec.problem.environment import find_environment
        from autoqec.reporting.pages.sweep_page import SWEEP_FORMATS, plot_sweep
        from autoqec.views.console import print_json
        from autoqec.views.sweep_text import print_sweep, sweep_objects

        if plot is not None:
            check_plot(Path(plot), SWEEP_FORMATS, "--plot sweep.svg")
        loaded = find_environment(env, environment_folders_here())
        plan = plan_sweep(
            decoders,
            loaded,
            sets=sets,
            p=rates or (),
            limits=SweepLimits(relative_error or None, max_errors, max_shots, max_seconds or None),
            jobs=jobs_here(jobs),
            per=per,
            file=file or f"sweep_{loaded.name}.csv",
            key=key,
        )
        display.show(None)
        if not quiet:
            say(plan.summary, fitted=True)
        found = count_sweep(plan, display.event)
    print_json(sweep_objects(found)) if as_json else print_sweep(found)
    if plot is not None:
        plot_sweep(found, Path(plot))
        say(f"wrote {plot}")
    return 0 if found.counted() else 1
