"""A round taken along answers as it was scored."""

import numpy as np
import pytest

from autoqec.errors import UsageError
from autoqec.exchange.deploy import Deployed
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import sample_chunk
from autoqec.scoring.scoring_requests import ScoringTask
from autoqec.scoring.shard import score_chunks
from autoqec.testing import TINY_ENVIRONMENT

#: sinter's own matching, as a backend that takes no beliefs.
FOREIGN = TINY_ENVIRONMENT.replace(
    "decoder: mwpm", "decoder: 'sinter:sinter._decoding._decoding_pymatching:PyMatchingDecoder'"
)

OSD = TINY_ENVIRONMENT.replace("decoder: mwpm", "decoder: osd")


@pytest.mark.parametrize(
    ("environment", "files"),
    [
        (TINY_ENVIRONMENT, {}),
        (FOREIGN, {"output.yaml": b"mode: hard_flip\nthreshold: 0.9\n"}),
        (TINY_ENVIRONMENT, {"gate.yaml": b"kind: gap\nthreshold: 4.0\nevents: 2\n"}),
        (TINY_ENVIRONMENT, {"gate.yaml": b"short_bp: 3\n", "output.yaml": b"mode: hard_flip\nthreshold: 0.9\n"}),
        (TINY_ENVIRONMENT, {"gate.yaml": b"events: 10000\n"}),
        (TINY_ENVIRONMENT, {"ensemble.yaml": b"members: 5\npasses: 3\nagree: 2\n"}),
        (TINY_ENVIRONMENT, {"gate.yaml": b"kind: gap\nthreshold: 4.0\n", "ensemble.yaml": b"members: 3\npasses: 3\n"}),
        (OSD, {"ensemble.yaml": b"members: 3\npasses: 3\nselect: least_weight\n"}),
    ],
    ids=[
        "beliefs",
        "hard flips before a sinter decoder",
        "a gate",
        "hard flips behind a gate",
        "nothing is sent on",
        "an ensemble",
        "an ensemble behind a gate",
        "an ensemble of osd",
    ],
)
def test_it_fails_on_the_very_shots_the_judge_saw_it_fail_on(make_package, environment, files):
    package = make_package(environment, **files)
    task = ScoringTask(environment=package.environment_files, sealed=package.sealed, seeds=(11,), references=True)
    chunk = score_chunks(task.to_message()).fields["chunks"][0]
    deployed = Deployed(package, load_plugins())
    shots = sample_chunk(deployed.problem, 11)
    failed = deployed.decode(shots.syndromes).failures(shots.observables)
    assert np.packbits(failed).tobytes().hex() == chunk["failed"]
    assert (chunk["counts"]["baseline_only"] > 0) == (chunk["sent"] != 0)
    assert chunk["references"].keys() == {"mwpm_correlated"}


def test_soft_priors_before_a_decoder_that_takes_none_are_refused(make_package):
    package = make_package(FOREIGN)
    deployed = Deployed(package, load_plugins())
    with pytest.raises(UsageError, match="takes no beliefs") as caught:
        deployed.decode(np.zeros((1, deployed.problem.syndrome_bytes), dtype=np.uint8))
    assert "hard_flip" in caught.value.hint


def test_an_empty_pipeline_is_the_baseline(make_package):
    package = make_package()
    empty = {path: data for path, data in package.sealed.files.items() if not path.startswith("stages/")}
    bare = type(package)(*("exp/here/2", "c0ffee", package.environment_files), type(package.sealed)(empty, b""), None)
    deployed = Deployed(bare, load_plugins())
    shots = sample_chunk(deployed.problem, 3)
    plain = load_plugins().get("decoder", "mwpm").create().compile(deployed.problem).decode(shots.syndromes)
    assert (deployed.decode(shots.syndromes).observables == plain.observables).all()
