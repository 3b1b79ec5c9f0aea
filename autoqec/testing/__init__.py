"""Test tools for plugin authors and for our own tests: a tiny lab, a scripted agent, conformance checks, pytest fixtures.

from autoqec.testing import check_decoder, tiny_problem

def test_my_decoder():
    check_decoder(MyDecoder(), tiny_problem())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.lazy_names import lazy_names

if TYPE_CHECKING:
    from autoqec.testing.agent_context import tiny_context
    from autoqec.testing.candidates import custom_module, untrained
    from autoqec.testing.conformance import check_agent, check_decoder, check_estimates, check_stage
    from autoqec.testing.conformance_code import check_code
    from autoqec.testing.conformance_command import check_command
    from autoqec.testing.conformance_executor import check_executor
    from autoqec.testing.conformance_host import check_host
    from autoqec.testing.conformance_verifier import check_verifier
    from autoqec.testing.difficult_inputs import DIFFICULT_INPUTS, DifficultInput
    from autoqec.testing.recorded import figures, record_round, record_run
    from autoqec.testing.scripted_agent import ScriptedAgent
    from autoqec.testing.tiny import (
        TINY_CONFIG,
        TINY_ENVIRONMENT,
        colour_problem,
        make_tiny_lab,
        surface_problem,
        tiny_problem,
        tiny_proposal,
    )

__all__ = [
    "DIFFICULT_INPUTS",
    "TINY_CONFIG",
    "TINY_ENVIRONMENT",
    "DifficultInput",
    "ScriptedAgent",
    "check_agent",
    "check_code",
    "check_command",
    "check_decoder",
    "check_estimates",
    "check_executor",
    "check_host",
    "check_stage",
    "check_verifier",
    "colour_problem",
    "custom_module",
    "figures",
    "make_tiny_lab",
    "record_round",
    "record_run",
    "surface_problem",
    "tiny_context",
    "tiny_problem",
    "tiny_proposal",
    "untrained",
]

__getattr__ = lazy_names(
    __name__,
    {
        "agent_context": ("tiny_context",),
        "candidates": ("custom_module", "untrained"),
        "conformance": ("check_agent", "check_decoder", "check_estimates", "check_stage"),
        "conformance_code": ("check_code",),
        "conformance_command": ("check_command",),
        "conformance_executor": ("check_executor",),
        "conformance_host": ("check_host",),
        "conformance_verifier": ("check_verifier",),
        "difficult_inputs": ("DIFFICULT_INPUTS", "DifficultInput"),
        "recorded": ("figures", "record_round", "record_run"),
        "scripted_agent": ("ScriptedAgent",),
        "tiny": (
            "TINY_CONFIG",
            "TINY_ENVIRONMENT",
            "colour_problem",
            "make_tiny_lab",
            "surface_problem",
            "tiny_problem",
            "tiny_proposal",
        ),
    },
)
