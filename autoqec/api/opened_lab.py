"""The lab as a Python object."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoqec.api.front_members import Front, read_front
from autoqec.api.lab_rounds import Round, Rounds, Runs, runs_of
from autoqec.counted_words import counted
from autoqec.errors import NotFoundError
from autoqec.history import (
    Ledger,
    RoundRecord,
    fetch_bundle,
    find_record,
    initialise,
    open_ledger,
    parse_round_name,
    read_history,
    take_snapshot,
)

if TYPE_CHECKING:
    from autoqec.api.lab_work import Progress
    from autoqec.api.made_environments import Environment
    from autoqec.results.verdict import Verdict


class Lab:
    """A git repository in which rounds are recorded. Get one by `autoqec.open`.

    Reading methods look at git each time and import nothing heavy. Methods that work (`run`, `resume`, `verify`) block until they
    are done, and tell a function of the progress. Nothing here touches the working tree, the index or HEAD.

    Args:
        ledger: The open repository.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def path(self) -> Path:
        """The top of its working tree."""
        return self._ledger.workdir

    def runs(self) -> Runs:
        """All runs, oldest first.

        Raises:
            AutoQECError: A run's record is damaged.
        """
        return runs_of(self._ledger)

    def rounds(self, *, run: str | None = None, env: str | Environment | None = None) -> Rounds:
        """The rounds, oldest first, open and failed ones too.

        Args:
            run: Only those of this run.
            env: Only those on this environment: by its name, or by its identity if it is an `Environment`.

        Raises:
            NotFoundError: There is no such run.
        """
        found = self._rounds(read_history(self._ledger, run))
        if isinstance(env, str):
            found = [each for each in found if each.env == env]
        elif env is not None:
            found = [each for each in found if each._record.environment == (each.env, env.identity)]
        return Rounds(found, f"{counted(len(found), 'round')} of {self.path}")

    def round(self, name: str) -> Round:
        """One round.

        Args:
            name: `exp/<run>/<N>` or `<run>/<N>`.

        Raises:
            UsageError: That is not the name of a round.
            NotFoundError: There is no such run or round; the error lists those that exist.
        """
        return self._rounds([find_record(self._ledger, *parse_round_name(name))])[0]

    def front(self, env: str | Environment | None = None) -> Front:
        """The Pareto front of an environment: VERIFIED rounds that no other is shown to beat in gain, FLOPs and parameters.

        Args:
            env: The environment, or its name; with the beginning of its identity, `name@hex`, where versions of it share the
                name. None if all rounds are on one environment.

        Raises:
            NotFoundError: No round is on that environment.
            UsageError: Rounds are on several environments that this may mean.
        """
        if env is None or isinstance(env, str):
            return read_front(self._ledger, env, None)
        return read_front(self._ledger, env.name, env.identity)

    def environment(self, name: str) -> Environment:
        """An environment of the lab's folder `envs`, or of the package, by its name; or by the path of its YAML file.

        Raises:
            NotFoundError: There is no such environment; the error lists those that exist.
        """
        from autoqec.api.made_environments import Environment

        return Environment.open(name, [self.path / "envs"])

    def run(
        self,
        env: str | Environment | None = None,
        *,
        rounds: int = 1,
        parallel: int = 1,
        run: str | None = None,
        new: bool = False,
        seed: int | None = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> Rounds:
        """Run research rounds, as `autoqec round` does: propose, train, score, verify.

        If it is interrupted, the round stays open; `resume` finishes it.

        Args:
            env: The environment, its name, or the path of its file; by default the lab's `default_env`.
            rounds: How many.
            parallel: How many at once, each in a process of its own; they are returned in the order in which they close.
            run: The run to continue or to start; by default the environment's latest.
            new: Start a new run.
            seed: The seed of the run: same seed, same rounds.
            progress: Called with each event, a dictionary; see `autoqec.round_events`.
            settings: Settings in the place of the lab's, such as `profile="prod"`, `jobs=2` or `max_wall=3600`.

        Returns:
            The rounds. A round that failed is among them; its `status` says how it ended.

        Raises:
            UsageError, NotFoundError: The environment or a setting cannot be used. Nothing was written.
            BudgetSpentError: A budget is spent; the rounds so far are in git, and one may be open.
            AutoQECError: Something else than a round's own work failed; that round is open.
        """
        from autoqec.api.lab_work import run_in_lab

        chosen = env if env is None or isinstance(env, str) else env.loaded
        found = run_in_lab(
            self._ledger, chosen, (rounds, parallel), run=run, new=new, seed=seed, progress=progress, given=settings
        )
        return self._done(found)

    def resume(self, run: str | None = None, *, progress: Progress | None = None, **settings: Any) -> Rounds:
        """Finish interrupted rounds, each from the first step whose result is not in git.

        A round that another process is at work on is left alone. Do not call it while another thread of this process runs one.

        Args:
            run: Only those of this run.
            progress, settings: As for `run`.

        Raises:
            AutoQECError: A round cannot be finished; it stays open.
        """
        from autoqec.api.lab_work import resume_in_lab

        return self._done(resume_in_lab(self._ledger, run, progress=progress, given=settings))

    def verify(
        self,
        round: Round | str,
        *,
        max_shots: int | None = None,
        max_seconds: float | None = None,
        alpha: float | None = None,
        beacon: str = "",
        full_certificate: bool = False,
        progress: Progress | None = None,
        **settings: Any,
    ) -> Verdict:
        """Judge a round again on fresh shots, as `autoqec verify` does, and note the verdict.

        Every verification spends a share of the run's error budget.

        Args:
            round: The round, or its name.
            max_shots: Stop undecided after so many shots.
            max_seconds: Stop undecided after so many seconds; 0 for no limit. By default the profile's.
            alpha: A smaller error budget than the environment's.
            beacon: Public randomness, newer than the commit, to mix into the holdout's key.
            full_certificate: List all pairs of faults in the distance certificate, and not a sample of them.
            progress, settings: As for `run`.

        Returns:
            The verdict: `verdict`, `reason`, `figures`, and all its `evidence`.

        Raises:
            NotFoundError: There is no such round, or it has no weights here.
            UsageError: An option cannot be used.
            BudgetSpentError: The run's error budget is spent.
        """
        from autoqec.api.lab_work import verify_in_lab
        from autoqec.loop.judging import Asked

        name = round if isinstance(round, str) else round.name
        asked = Asked(max_shots, alpha, beacon, full_certificate, max_seconds)
        return verify_in_lab(self._ledger, *parse_round_name(name), asked, progress=progress, given=settings)

    def _rounds(self, records: list[RoundRecord]) -> list[Round]:
        names = take_snapshot(self._ledger).names
        return [Round(self._ledger, record, names) for record in records]

    def _done(self, records: list[RoundRecord]) -> Rounds:
        return Rounds(self._rounds(records), f"{counted(len(records), 'round')} of {self.path}")

    def __repr__(self) -> str:
        return f"<lab at {self.path}>"


def open(path: str | os.PathLike[str] = ".") -> Lab:
    """Open the lab that contains a path; its worktree, branch and uncommitted changes do not matter.

    Args:
        path: A folder in the repository; by default the current directory.

    Raises:
        NotFoundError: There is no such folder, or it is in no git repository.
        AutoQECError: The repository cannot be a lab: bare, shallow, empty, sha256, reftable, or another user's.
    """
    place = Path(path)
    if not place.exists():
        raise NotFoundError(f"there is no folder {place}", hint=f'make a lab there: autoqec.init("{place}")')
    try:
        ledger = open_ledger(place)
    except NotFoundError as error:
        raise NotFoundError(error.problem, hint=f'name a lab, or make one: autoqec.init("{place}")') from error
    fetch_bundle(ledger)
    return Lab(ledger)


def init(path: str | os.PathLike[str]) -> Lab:
    """Make a lab: turn the git repository at a path into one, or make a new one. Running it again changes nothing.

    It writes `.autoqec/config.toml` if that is absent, and nothing else into the working tree.

    Args:
        path: A folder; it is made if absent.

    Raises:
        AutoQECError: The repository cannot be a lab, or is not writable.
    """
    from autoqec.config import CONFIG_FILE, config_template
    from autoqec.wanted_settings import trust_file

    template = config_template().encode()
    ledger = initialise(Path(path), {CONFIG_FILE: template})
    file = ledger.workdir / CONFIG_FILE
    if file.is_file() and file.read_bytes() == template:
        trust_file(ledger.workdir, template)
    return Lab(ledger)
