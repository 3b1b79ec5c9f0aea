"""What the Coder may say: complete sets and edits, with code or without."""

import pytest
from pydantic import ValidationError

from autoqec.agents.role_messages import Proposal
from autoqec.errors import UsageError

PARENT = {"output.yaml": "mode: soft_priors\n", "stages/bp/stage.yaml": "kind: neural_bp\n"}


def test_a_complete_set_is_what_it_says():
    assert Proposal(files={"a": "b"}).complete(PARENT) == {"a": "b"}


def test_an_edit_keeps_what_it_does_not_name():
    edit = Proposal(edit=True, files={"output.yaml": "mode: hard_flip\n", "new": "x"}, remove=["stages/bp/stage.yaml"])
    assert edit.complete(PARENT) == {"output.yaml": "mode: hard_flip\n", "new": "x"}
    assert Proposal(edit=True, files={}).complete(PARENT) == PARENT


def test_what_is_not_there_cannot_go():
    with pytest.raises(UsageError, match="remove: the parent has no file stages/x; it has output.yaml"):
        Proposal(edit=True, files={}, remove=["stages/x"]).complete(PARENT)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"files": {}, "remove": ["a"]}, "remove needs edit: true"),
        ({"files": {"stages/x/module.py": "import os"}}, "tier 1 brings no code"),
        ({"files": {"a": "b"}, "tier": 3}, "tier"),
        ({"files": {"a" * 201: "b"}}, "files"),
        ({"files": {"a": "b" * 200_001}}, "files"),
        ({"files": {str(i): "" for i in range(65)}}, "files"),
        ({"files": {"a": "b"}, "verdict": "VERIFIED"}, "Extra inputs"),
    ],
)
def test_what_is_not_allowed_is_refused(fields, why):
    with pytest.raises(ValidationError, match=why):
        Proposal(**fields)


def test_code_says_that_it_is_code():
    assert Proposal(files={"stages/x/module.py": "import torch"}, tier=2).tier == 2
