"""Record the labs of README and docs anew, by really running their rounds: `python tests/docs/record_labs.py`.

It takes ten minutes on two free cores. Afterwards `python tests/docs/document_blocks.py` writes the new outputs into the
documents. Read them then: the text around an output may describe the old one.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from document_blocks import DATA

#: What is run in each lab, from an empty folder to its bundle.
LABS = {
    "recorded": """
        autoqec init .
        autoqec round --seed 5
        autoqec round --rounds 4
    """,
    "own-circuit": """
        autoqec init .
        mkdir envs
        stim gen --code surface_code --task rotated_memory_x --distance 3 --rounds 3 \\
            --after_clifford_depolarization 0.004 --before_round_data_depolarization 0.004 \\
            --after_reset_flip_probability 0.004 --before_measure_flip_probability 0.01 > envs/memory.stim
        autoqec env new memory --from envs/memory.stim \\
            --story "My memory experiment, with readout errors of one per cent."
        git add envs
        git commit --quiet -m "The environment of my memory experiment"
        autoqec round --env memory --seed 1
    """,
    "killed": """
        autoqec init .
        printf '\\n[profiles.hasty]\\ntrain_seconds = 2\\n' >> .autoqec/config.toml
        git add .autoqec/config.toml
        git commit --quiet -m "A profile in whose time no training ends"
        autoqec round --env surface_d3_depol --seed 1 --profile hasty
    """,
}


def record(name: str, commands: str) -> None:
    """Run the commands in a new folder, and keep all refs of what they leave as a bundle."""
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _RESEARCHER.items()}
    with tempfile.TemporaryDirectory() as folder:
        for script in (commands, f"git bundle create --quiet {DATA / f'{name}-lab.bundle'} --all"):
            subprocess.run(["bash", "-euc", script], cwd=Path(folder), env=os.environ | who, check=True)


_RESEARCHER = {"NAME": "A Researcher", "EMAIL": "researcher@example.org"}


if __name__ == "__main__":
    for name, commands in LABS.items():
        record(name, commands)
