"""Candidates as files: canonical, strict, and every mistake named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoqec.candidate.schema import candidate_hash, read_candidate, write_candidate
from autoqec.decoding.gate_file import Gate
from autoqec.errors import NotFoundError, UsageError
from autoqec.plugins import load_plugins

STAGES = load_plugins().maker("stage")


def read(files):
    return read_candidate({path: text.encode() for path, text in files.items()}, STAGES)


@given(
    st.fixed_dictionaries({"threshold": st.floats(0.01, 0.99), "mode": st.sampled_from(["soft_priors", "hard_flip"])}),
    st.integers(1, 50),
    st.floats(1e-6, 1.0),
)
def test_reading_and_writing_are_inverse(output, iterations, rate):
    sources = {
        "output.yaml": f"mode: {output['mode']}\nthreshold: {output['threshold']!r}\n",
        "training.yaml": f"learning_rate: {rate!r}\n",
        "stages/a/stage.yaml": f"kind: neural_bp\niterations: {iterations}\n",
    }
    written = write_candidate(read(sources))
    assert set(written) == set(sources)
    assert write_candidate(read_candidate(written, STAGES)) == written
    assert read_candidate(written, STAGES) == read(sources)


def test_a_gate_is_written_only_by_a_candidate_that_has_one():
    stage = {"stages/a/stage.yaml": "kind: neural_bp\niterations: 3\n"}
    written = write_candidate(read({**stage, "gate.yaml": "kind: gap\nthreshold: 4.4\n"}))
    assert written.pop("gate.yaml") == b"events: 0\n\nkind: gap\n\nshort_bp: 0\n\nthreshold: 4.4\n"
    assert written == write_candidate(read(stage))
    # As version 0.1 and everything before gates wrote it: an old candidate is still the same one.
    assert candidate_hash(written) == "343eb63fc4117b367df8f18ab2f365af47fab9b3c256a7a0f20cd8fe4abb4be2"
    gated = read({**stage, "gate.yaml": "{}\n"})
    assert gated.gate == Gate(), "which sends every shot on"
    assert candidate_hash(write_candidate(gated)) != candidate_hash(written)
    assert read_candidate(write_candidate(gated), STAGES) == gated


def test_every_field_is_written_on_a_line_of_its_own():
    text = write_candidate(read({"stages/a/stage.yaml": "kind: neural_bp\n"}))["stages/a/stage.yaml"].decode()
    assert "iterations: 8\n\nkind: neural_bp\n\n" in text


def test_newer_fields_are_written_only_where_they_mean_something_new():
    """An old candidate keeps its files, and so its hash."""
    old = write_candidate(read({"training.yaml": "loss: logical_gap\n"}))
    assert "sampl" not in old["training.yaml"].decode()
    same = write_candidate(read({"training.yaml": "loss: logical_gap\nsampling: all\nsampled_share: 0.125\n"}))
    assert candidate_hash(old) == candidate_hash(same)
    new = read({"training.yaml": "sampling: gated\nsampled_share: 0.25\n"})
    assert b"sampled_share: 0.25\n\nsampling: gated\n" in write_candidate(new)["training.yaml"]
    assert read_candidate(write_candidate(new), STAGES) == new


def test_stages_run_by_position_then_slug():
    stage = "kind: neural_bp\nposition: {}\n"
    files = {f"stages/{slug}/stage.yaml": stage.format(p) for slug, p in (("c", 5), ("b", 100), ("a", 100))}
    assert [s.slug for s in read(files).stages] == ["c", "a", "b"]


def test_the_empty_pipeline_is_a_candidate():
    assert read({}).stages == ()


def test_the_hash_is_of_the_content():
    one, two = (write_candidate(read({"stages/a/stage.yaml": f"kind: neural_bp\niterations: {n}\n"})) for n in (3, 4))
    same = write_candidate(read({"stages/a/stage.yaml": "iterations: 3\nkind: neural_bp\n"}))
    assert candidate_hash(one) == candidate_hash(same) != candidate_hash(two)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"stages/bp/stage.yaml": "kind: neural_bp\niterations: 0\n"}, "stages/bp/stage.yaml: iterations"),
        ({"stages/bp/stage.yaml": "kind: neural_bp\nkind: neural_bp\n"}, "written twice"),
        ({"stages/bp/stage.yaml": "iterations: 3\n"}, "kind: every stage needs a kind"),
        ({"stages/bp/stage.yaml": "3\n"}, "kind: every stage needs a kind"),
        ({"stages/bp/stage.yaml": "kind: neural_bp\nwidth: 3\n"}, "width: unknown field"),
        ({"stages/bp/module.py": "import os\n"}, "stages/bp/module.py belongs to no stage"),
        ({"stages/../x/stage.yaml": "kind: neural_bp\n"}, "not allowed in a candidate"),
        ({"stages/Big/stage.yaml": "kind: neural_bp\n"}, "not allowed in a candidate"),
        ({".github/workflows/run.yaml": "a: 1\n"}, "not allowed in a candidate"),
        ({"training.yaml": "learning_rate: .nan\n"}, "learning_rate"),
        ({"training.yaml": "epochs: 1.5\n"}, "training.yaml: epochs"),
        ({"output.yaml": "- 1\n"}, "output.yaml is not a mapping"),
        ({"output.yaml": "threshold: 1.0\n"}, "output.yaml: threshold"),
        ({"gate.yaml": "threshold: -1\n"}, "gate.yaml: threshold"),
        ({"gate.yaml": "threshold: .nan\n"}, "gate.yaml: threshold"),
        ({"gate.yaml": "gap: 3\n"}, "gate.yaml: gap: unknown field"),
        ({"gates.yaml": "kind: gap\n"}, "not allowed in a candidate"),
        ({f"stages/s{i}/stage.yaml": "kind: neural_bp\n" for i in range(17)}, "17 stages; at most 16"),
    ],
)
def test_a_mistake_names_file_and_field(files, reason):
    with pytest.raises(UsageError) as caught:
        read(files)
    assert reason in caught.value.problem


def test_an_unknown_kind_lists_those_that_exist():
    with pytest.raises(NotFoundError, match="no stage named 'nonesuch'") as caught:
        read({"stages/a/stage.yaml": "kind: nonesuch\n"})
    assert "neural_bp" in caught.value.hint
