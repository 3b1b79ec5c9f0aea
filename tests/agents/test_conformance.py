"""What `check_agent` holds an agent to: our own pass, and each way to fall short is named."""

import pytest

from autoqec.agents.agent_contract import Context, Estimate
from autoqec.loop.agent_contexts import stage_kinds
from autoqec.plugins import load_plugins
from autoqec.testing import ScriptedAgent, check_agent, tiny_proposal

REGISTRY = load_plugins()
CONTEXT = Context(
    environment={"name": "tiny", "decoder": {"kind": "mwpm"}},
    run="r-abcd",
    round=1,
    seed=1,
    stages=stage_kinds(REGISTRY),
    limits={"train_shots": 1024, "train_seconds": 60.0},
)
GOOD = {
    "ideator": [{"text": "an idea"}],
    "coder": [tiny_proposal()],
    "analyst": [{"summary": "s", "decision": "ignore"}],
}


@pytest.mark.parametrize("name", ["search", "random", "evolution"])
def test_the_embedded_agents_conform(name):
    said = check_agent(REGISTRY.get("agent", name).create(), CONTEXT)
    assert said["coder"].files
    assert said["analyst"].decision == "candidate"


def test_a_scripted_agent_conforms_in_the_roles_it_plays():
    assert check_agent(ScriptedAgent(GOOD), CONTEXT).keys() == GOOD.keys()
    assert check_agent(ScriptedAgent({"coder": GOOD["coder"]}), CONTEXT, ["coder"]).keys() == {"coder"}


class Priced(ScriptedAgent):
    def __init__(self, estimate):
        super().__init__(GOOD)
        self.told = estimate

    def estimate(self, role, context):
        return self.told


@pytest.mark.parametrize(
    ("agent", "why"),
    [
        (ScriptedAgent({**GOOD, "coder": [{}, {}]}), "coder: .*files"),
        (ScriptedAgent({"ideator": GOOD["ideator"]}), "coder: .*no further reply"),
        (Priced(Estimate(10, 5)), "no fewer tokens than its prompt"),
        (Priced(Estimate(1, 5, -1.0)), "cannot cost -1.0"),
    ],
)
def test_what_falls_short_is_named(agent, why):
    with pytest.raises(AssertionError, match=why):
        check_agent(agent, CONTEXT)
