"""Environments at other cells, and the do-no-harm cells next to an environment's target."""

from __future__ import annotations

from autoqec.canonical import dump_flow
from autoqec.problem.cell import CODE_FIELDS, Cell, target_cell
from autoqec.problem.environment import (
    ENVIRONMENT_FILE,
    RECORDED,
    Environment,
    LoadedEnvironment,
    environment_from_files,
)

#: Significant digits of a rescaled physical error rate, so that 0.003 times 1.2 is 0.0036.
_DIGITS = 6

#: Physical error rates of neighbouring cells stay below this.
_MOST_NOISE = 0.5

#: The target's p times these, where an environment names no factors.
_USUAL_FACTORS = (0.8, 1.2)


def at_cell(loaded: LoadedEnvironment, cell: Cell) -> LoadedEnvironment:
    """Return the environment with this cell as its target.

    Decoder, references and files stay the same; the noise has only the cell's physical error rate.

    Args:
        loaded: The environment.
        cell: The changed values.

    Raises:
        UsageError: The environment has no such cell; the message names the field.
    """
    fields = loaded.environment.model_dump(mode="json")
    fields["protocol"].pop("cells", None)
    if cell.p is not None:
        fields["noise"] |= {"p": [cell.p], "target_p": cell.p}
    if cell.factor is not None:
        fields["noise"] |= {"factor": cell.factor}
    fields["code"] |= {name: value for name, value in cell.said.items() if name in CODE_FIELDS}
    text = "".join(f"{name}: {dump_flow(value)}\n" for name, value in fields.items())
    files = dict(loaded.files) | {ENVIRONMENT_FILE: text.encode()}
    return environment_from_files(files, origin=f"{loaded.origin} at {cell.label}")


def environment_cell(environment: Environment) -> Cell:
    """Return the cell of an environment's own verdict."""
    return target_cell(environment.code.fields, environment.noise)


def rates_beside(environment: Environment) -> tuple[float, ...]:
    """Return the noise strengths of the do-no-harm cells; without such cells, those that are usual.

    They are physical error rates or, where a file brings the noise, factors of its probabilities. Recorded shots have none.
    """
    if environment.code.kind == RECORDED:
        return ()
    noise = environment.noise
    given = noise.kind == "given"
    target = (noise.factor or 1.0) if given else noise.target
    factors = environment.protocol.harm_cells or _USUAL_FACTORS
    rates = [float(f"{target * factor:.{_DIGITS}g}") for factor in factors] if target is not None else []
    return tuple(rate for rate in rates if (given or rate < _MOST_NOISE) and rate != target)


def neighbours(environment: Environment) -> list[Cell]:
    """Return the do-no-harm cells: the target's noise times each factor of `protocol.harm_cells`, and one round more and less.

    A quantity that the environment fixes (noise given by a file, a code without `rounds`) has no neighbours, and recorded shots
    have none.
    """
    if environment.code.kind == RECORDED:
        return []
    target = environment_cell(environment)
    found = []
    if environment.protocol.harm_cells:
        given = environment.noise.kind == "given"
        found += [Cell(factor=rate) if given else Cell(p=rate) for rate in rates_beside(environment)]
    if target.rounds is not None:
        found += [Cell(rounds=rounds) for rounds in (target.rounds - 1, target.rounds + 1) if rounds >= 1]
    return found
