"""A session in a tiny lab, with agents that say what a test wants."""

import pytest

from autoqec.config import load_settings
from autoqec.loop.session import Session, open_run
from autoqec.plugins import Registration, load_plugins


@pytest.fixture
def session(autoqec_lab):
    """A session of a new run with a fixed seed."""

    def make(agent=None, seed=7, **flags):
        registry = load_plugins()
        if agent is not None:
            registry.entries["agent", "scripted"] = Registration(
                "agent", "scripted", lambda: agent, {}, "test", "test 0"
            )
            flags |= dict.fromkeys(("ideator", "coder", "analyst"), "scripted")
        settings = load_settings(autoqec_lab.workdir, flags)
        run = open_run(autoqec_lab, registry, env="tiny", run_name=None, fresh=True, seed=seed)
        events = []
        made = Session(autoqec_lab, registry, settings, run, events.append)
        made.events = events
        return made

    return make
