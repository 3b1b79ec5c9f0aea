"""The typed JSON objects have the fields of the models that validate or write them."""

from typing import NotRequired, get_args, get_origin, get_type_hints

import pytest

from autoqec.agents.agent_contract import ROLES
from autoqec.agents.budget import Spent
from autoqec.agents.context_parts import AnalysisMessage, HypothesisMessage, Message, ProfileLimits, ProposalMessage
from autoqec.agents.role_messages import MESSAGES
from autoqec.round_events import AgentsSpent
from autoqec.settings_schema import Profile

TYPED = {"ideator": HypothesisMessage, "coder": ProposalMessage, "analyst": AnalysisMessage}


@pytest.mark.parametrize("role", ROLES)
def test_a_typed_message_has_the_fields_of_its_model(role):
    model = MESSAGES[role].model_fields
    typed = get_type_hints(TYPED[role], include_extras=True)
    assert typed.keys() == model.keys()
    assert {name for name, hint in typed.items() if get_origin(hint) is not NotRequired} == {
        name for name, field in model.items() if field.is_required()
    }
    assert TYPED[role] in get_args(Message)


def test_limits_have_the_fields_of_a_profile():
    assert ProfileLimits.__annotations__.keys() == Profile.model_fields.keys()


def test_an_event_says_all_that_agents_spent():
    assert AgentsSpent.__annotations__.keys() == {"event", "run", "round"} | Spent().to_dict().keys()
