"""True and false, and times of day, are no numbers: in candidates, environments, settings and replies; the field is named."""

import pytest

from autoqec.agents.asking import validated as of_reply
from autoqec.candidate.schema import Training
from autoqec.canonical import load_yaml
from autoqec.config import load_settings
from autoqec.decoding.gate_file import read_gate
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files, validated
from autoqec.testing.tiny import TINY_ENVIRONMENT


@pytest.mark.parametrize("value", ["true", "1:30"])
@pytest.mark.parametrize("field", ["learning_rate", "shots", "patience"])
def test_in_a_candidate(field, value):
    with pytest.raises(UsageError, match=rf"training\.yaml: {field}: must be a"):
        validated(Training, load_yaml(f"{field}: {value}", name="x"), "training.yaml")


def test_in_a_gate():
    with pytest.raises(UsageError, match=r"gate\.yaml: threshold: must be a number, not true or false"):
        read_gate({"gate.yaml": b"kind: gap\nthreshold: true\n"})


def environment(old, new):
    assert old in TINY_ENVIRONMENT
    text = TINY_ENVIRONMENT.replace(old, new)
    return environment_from_files({ENVIRONMENT_FILE: text.encode()}, origin="tiny.yaml")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("protocol: {", "protocol: {shots_factor: true, ", r"protocol\.shots_factor"),
        ("protocol: {", "protocol: {harm_cells: [1.2, true], ", r"protocol\.harm_cells\.1"),
        ("min_shots: 16384", "min_shots: 1:30", r"protocol\.min_shots"),
    ],
)
def test_in_an_environment(old, new, field):
    with pytest.raises(UsageError, match=f"{field}: must be a"):
        environment(old, new)


def test_in_the_fields_of_a_code():
    kinds = load_plugins()
    with pytest.raises(UsageError, match=r"rounds: must be a number"):
        build_problem(environment("rounds: 3", "rounds: true"), lambda kind: kinds.get("code", kind).create())


def test_in_settings(tmp_path, monkeypatch):
    (tmp_path / ".autoqec").mkdir()
    (tmp_path / ".autoqec/config.toml").write_text("jobs = true\n")
    with pytest.raises(UsageError, match="jobs"):
        load_settings(tmp_path)


def test_an_error_names_the_first_of_many_wrong_fields():
    many = {"text": "\0", "fork_from": ["?"] * 5000}
    with pytest.raises(UsageError) as caught:
        of_reply("ideator", many)
    assert "and 4993 more" in str(caught.value) or "and 4993 more" in caught.value.problem
    assert len(caught.value.problem) < 1000
    with pytest.raises(UsageError, match="text: it has no visible character"):
        of_reply("ideator", {"text": " \x1b\0 "})


def test_in_a_reply():
    with pytest.raises(UsageError, match="expected_delta_ler: must be a number"):
        of_reply("ideator", {"text": "an idea", "fork_from": [], "expected_delta_ler": True, "rationale": "why"})
