"""An environment at another cell, and the cells next to its target where a predecoder should do no harm."""

from __future__ import annotations

from autoqec.canonical import dump_flow
from autoqec.problem.cell import Cell, target_cell
from autoqec.problem.environment import ENVIRONMENT_FILE, Environment, LoadedEnvironment, environment_from_files

#: A physical error rate times a factor is rounded to this many digits, so that 0.003 times 1.2 is 0.0036.
_DIGITS = 6

#: Noise stronger than this is no neighbour of anything.
_MOST_NOISE = 0.5


def at_cell(loaded: LoadedEnvironment, cell: Cell) -> LoadedEnvironment:
    """The environment whose target is this cell.

    Everything that a cell does not name — decoder, references, files — stays as it is; the noise has one strength only.

    Args:
        loaded: The environment.
        cell: What differs.

    Raises:
        UsageError: The environment has no such cell; the message names the field.
    """
    fields = loaded.environment.model_dump(mode="json")
    fields["protocol"].pop("cells", None)
    if cell.p is not None:
        fields["noise"] |= {"p": [cell.p], "target_p": cell.p}
    fields["code"] |= {name: value for name, value in cell.said.items() if name != "p"}
    text = "".join(f"{name}: {dump_flow(value)}\n" for name, value in fields.items())
    files = dict(loaded.files) | {ENVIRONMENT_FILE: text.encode()}
    return environment_from_files(files, origin=f"{loaded.origin} at {cell.label}")


def environment_cell(environment: Environment) -> Cell:
    """Where an environment's own verdict stands."""
    return target_cell(environment.code.fields, environment.noise)


def neighbours(environment: Environment) -> list[Cell]:
    """The do-no-harm cells: the target's p times each factor of `protocol.harm_cells`, and a round more and less.

    What an environment cannot change — the noise of a file, the rounds of a code that says none — has no neighbour.
    """
    target = environment_cell(environment)
    found = []
    if target.p is not None:
        rates = [float(f"{target.p * factor:.{_DIGITS}g}") for factor in environment.protocol.harm_cells]
        found += [Cell(p=p) for p in rates if p < _MOST_NOISE and p != target.p]
    if target.rounds is not None:
        found += [Cell(rounds=rounds) for rounds in (target.rounds - 1, target.rounds + 1) if rounds >= 1]
    return found
