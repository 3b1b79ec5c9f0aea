"""A round that ends says how it compares with the best reference, from its own notes."""

import re
import subprocess
from pathlib import Path

from autoqec.history import open_ledger, read_history
from autoqec.views.round_text import round_printer

BUNDLE = Path(__file__).parents[1] / "data/recorded-lab.bundle"


def test_a_round_ends_with_its_ratio_to_the_best_reference(tmp_path, capsys):
    subprocess.run(["git", "clone", "-q", str(BUNDLE), "."], cwd=tmp_path, check=True)
    subprocess.run(["git", "fetch", "-q", "origin", "+refs/*:refs/*", "--update-head-ok"], cwd=tmp_path, check=True)
    ledger = open_ledger(tmp_path)
    round_printer(ledger, as_json=False)(read_history(ledger)[0])
    told = " ".join(capsys.readouterr().out.split())
    assert re.search(r"ratio to mwpm_correlated 0\.\d{3} \[0\.\d{3}, [01]\.\d{3}\] \(95 %\) on the same shots", told)
