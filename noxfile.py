#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2024.10"]
# ///
"""What the project does to itself. `nox -l` lists the sessions; each installs what it needs, pinned by constraints.txt."""

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.sessions = ["tests", "lint", "types", "docs"]
nox.options.error_on_external_run = True

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))
SOURCES = ["autoqec", "plugins", "tests", "benchmarks", "noxfile.py"]


def _install(session: nox.Session, extra: str = "") -> None:
    session.install("-c", "constraints.txt", f".{extra}")


@nox.session(python=PYTHONS[0])
def tests(session: nox.Session) -> None:
    """Run the fast tests, as the README does."""
    _install(session, "[test,browser]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS, default=False)
def pythons(session: nox.Session) -> None:
    """Run the fast tests on every Python that is supported and installed."""
    _install(session, "[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[0], default=False)
def stress(session: nox.Session) -> None:
    """Run the slow tests: large fuzzing, many writers, many kills, many shots, 5,000 simulated labs."""
    _install(session, "[test,browser]")
    session.run("python", "-m", "pytest", "-m", "slow", *session.posargs)


@nox.session(python=PYTHONS[0])
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install("-c", "constraints.txt", "ruff")
    session.run("ruff", "check", *SOURCES)
    session.run("ruff", "format", "--check", *SOURCES)


@nox.session(python=PYTHONS[0])
def types(session: nox.Session) -> None:
    """Check types."""
    _install(session, "[test]")
    session.run("mypy", "autoqec", "plugins")


@nox.session(python=PYTHONS[0])
def docs(session: nox.Session) -> None:
    """Run every example of the documents, check their links and words, and build the site into build/site, offline."""
    _install(session, "[docs,test]")
    session.run("python", "-m", "pytest", "-m", "", "tests/test_docs.py", "tests/docs", *session.posargs)
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(python=PYTHONS[0], default=False)
def bench(session: nox.Session) -> None:
    """Measure speed, as ratios within one run; prints small tables."""
    _install(session, "[dask]")
    for script in sorted(Path("benchmarks").glob("[a-z]*.py")):
        session.run("python", str(script), *session.posargs)


@nox.session(python=PYTHONS[0], default=False)
def mutate(session: nox.Session) -> None:
    """Change the code that decides what a record is worth, and list the changes that no test notices."""
    _install(session, "[test]")
    session.run("python", "tests/mutate.py", *session.posargs)


@nox.session(python=PYTHONS[0], default=False)
def demo(session: nox.Session) -> None:
    """Make a lab in a temporary folder, run a round in it, and show what it left."""
    _install(session)
    lab = Path(session.create_tmp()) / "lab"
    shutil.rmtree(lab, ignore_errors=True)
    session.run("autoqec", "init", str(lab))
    session.chdir(lab)
    session.run("autoqec", "round", *session.posargs)
    session.run("autoqec", "log")
    session.run("autoqec", "pareto")
