"""`neural_bp` passes the checks that every stage kind must pass."""

import pytest
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP

from autoqec.testing.conformance import check_stage
from autoqec.testing.tiny import tiny_problem


class Checked(NeuralBP):
    """The checks name their kind `checked`."""

    class Config(NeuralBPConfig):
        kind: str = "checked"


@pytest.mark.parametrize("fields", [{}, {"algorithm": "min_sum", "sharing": "per_check"}, {"damping": "scalar"}])
def test_conforms(fields):
    check_stage(Checked(), tiny_problem(), **fields)
