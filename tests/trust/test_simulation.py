"""Two clones, a remote and an attacker, by seeds: nothing honest disappears, no level rises, and nothing false is shown.

If a seed fails, the test prints the steps that are enough for that. Add them to `KEPT`, and they are tried forever.
What a step does depends on the simulation's code too, so write a test of the cause as well.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import simulation
from simulation import Step, make_setting, shrunk, simulate

from autoqec.history.reading import examined_lines
from autoqec.history.rounds import notes
from autoqec.history.rounds.signatures import Signature
from autoqec.history.sync import uniting
from autoqec.results import chain
from autoqec.results.trust import line_trust

SEEDS = 50
MANY = 5_000
BLOCK = 100

#: Runs that failed once: a seed, its steps or those that were enough, and what was wrong.
KEPT = [
    (
        10,
        ("two verify 145426", "two adds 275063", "one adds 479022", "one verify 693996 4", "two verify 251008"),
        "for the checker of one file, an intent whose `chain` is text broke the chain of an honest verdict",
    ),
    (
        48,
        ("two verify 29307", "two adds 523120", "remote adds 59349"),
        "for the checker of one file, other metrics under the id of the first made an honest verdict wrong",
    ),
]


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        return make_setting(tmp_path_factory.mktemp("setting"))


def play(setting, folder, seed, texts=None):
    """Run a seed; a failure tells which steps are enough for it."""
    log, steps = [], [Step.parse(text) for text in texts] if texts else None
    try:
        found = simulate(setting, folder / f"{seed}", seed, steps, log)
    except Exception as error:
        enough = steps or shrunk(setting, folder, seed)
        pytest.fail(
            f"seed {seed}: {type(error).__name__}: {error}\n\nThe steps:\n" + "\n".join(log) + "\n\nThese are enough:\n"
            f"python tests/trust/simulation.py {seed} " + " ".join(f"'{step}'" for step in enough)
        )
    shutil.rmtree(folder / f"{seed}")
    return found


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_simulated_lab_keeps_its_promises(setting, tmp_path, seed):
    play(setting, tmp_path, seed)


@pytest.mark.parametrize(("seed", "texts", "wrong"), KEPT, ids=[f"{seed}" for seed, *_ in KEPT])
def test_what_failed_once_fails_no_more(setting, tmp_path, seed, texts, wrong):
    play(setting, tmp_path, seed, texts)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SEEDS, MANY, BLOCK))
def test_very_many_simulated_labs_keep_their_promises(setting, tmp_path, first):
    for seed in range(first, min(first + BLOCK, MANY)):
        play(setting, tmp_path, seed)


def test_one_seed_is_one_run(setting, tmp_path):
    """To the byte, in another process with other hashes of text too."""
    seed = 5  # the real ssh-keygen signs
    found = simulate(setting, tmp_path / "here", seed)
    script = [sys.executable, str(Path(simulation.__file__)), str(seed)]
    done = subprocess.run(
        script, env={**os.environ, "PYTHONHASHSEED": "17"}, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == found, done.stderr


def _forgetful(real):
    """A union that takes the other version alone."""
    return lambda ledger, one, other: str(ledger.repo[other].tree_id)


#: Holes of each kind: the module or class, a name in it, what it is replaced by, and in which runs, by `seed % 4`.
HOLES = {
    "union": (uniting, "merge_note_trees", _forgetful, range(4)),
    "ancestry": (uniting, "lacking", lambda real: lambda *arguments: iter(()), range(4)),
    "figures": (examined_lines, "_EXAMINERS", lambda real: dict.fromkeys(real, lambda line: ""), range(4)),
    "signature": (examined_lines, "examine", lambda real: lambda record, signers: Signature("good", "anybody"), (1,)),
    "authority": (line_trust.Standing, "authority", lambda real: property(lambda each: int(each.counts)), (3,)),
    "time": (
        line_trust,
        "_rank",
        lambda real: lambda each, at: (str(each.record.get("ts")), each.line.digest),
        range(4),
    ),
    "level": (chain, "next_attempt", lambda real: lambda begun: min(begun, default=0) + 1, range(4)),
    "junk": (notes, "_records", lambda real: lambda lines, name, problems: real(lines, name, None), range(4)),
}


@pytest.mark.slow
@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_of_each_kind_is_found(setting, tmp_path, monkeypatch, hole):
    """A simulation that finds nothing proves nothing; so holes are made."""
    where, name, broken, kinds = HOLES[hole]
    monkeypatch.setattr(where, name, broken(getattr(where, name)))
    for seed in [seed for seed in range(MANY, MANY + 400) if seed % 4 in kinds][:100]:
        try:
            simulate(setting, tmp_path / f"{seed}", seed)
        except Exception:
            return
    pytest.fail("nothing was found")
