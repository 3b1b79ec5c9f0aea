"""Canonical YAML and JSON: what is written is read back, and what two readers could understand differently is refused."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from autoqec.canonical import content_hash, dump_json, dump_yaml, load_yaml, told_fields
from autoqec.errors import UsageError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
)
#: YAML 1.1 reads some words as true or false, as keys too; no field has such a name.
KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,10}", fullmatch=True).filter(
    lambda key: key not in ("on", "off", "yes", "no", "y", "n", "true", "false", "null")
)
MAPPINGS = st.dictionaries(
    KEYS, SCALARS | st.lists(SCALARS, max_size=4) | st.dictionaries(KEYS, SCALARS, max_size=3), max_size=6
)


@given(MAPPINGS)
def test_what_is_written_is_read_back(mapping):
    assert load_yaml(dump_yaml(mapping), name="x") == (mapping or None)


@given(
    st.dictionaries(
        KEYS, st.integers() | st.text(st.characters(max_codepoint=126, min_codepoint=32)), min_size=1, max_size=4
    )
)
def test_another_yaml_reader_agrees(mapping):
    """A plain SafeLoader understands the same, but for numbers YAML 1.1 spells otherwise."""
    assert {key: str(value) for key, value in yaml.safe_load(dump_yaml(mapping)).items() if isinstance(value, str)} == {
        key: value
        for key, value in mapping.items()
        if isinstance(value, str) and isinstance(yaml.safe_load(dump_yaml({key: value}))[key], str)
    }


def test_numbers_are_read_as_a_physicist_writes_them():
    assert load_yaml("a: 5e-3\nb: 1e5\nc: .5\nd: 3", name="x") == {"a": 0.005, "b": 1e5, "c": 0.5, "d": 3}


def test_minus_zero_is_zero_and_what_only_yaml_1_1_calls_numbers_is_text():
    assert dump_yaml(load_yaml("a: -0.0", name="x")) == dump_yaml({"a": -0.0}) == dump_yaml({"a": 0.0})
    assert content_hash(load_yaml("a: -0.0", name="x")) == content_hash({"a": 0.0})
    odd = {"a": "1:30", "b": "1:30.5", "c": "010", "d": "0x10", "e": "0b1"}
    assert load_yaml("".join(f"{name}: {text}\n" for name, text in odd.items()), name="x") == odd


def test_words_stay_words():
    assert load_yaml("a: on\nb: yes\nc: 2024-01-01\nd: no", name="x") == {
        "a": "on",
        "b": "yes",
        "c": "2024-01-01",
        "d": "no",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\na: 2", "line 2: key 'a' is written twice"),
        ("a: &x 1\nb: 2", "anchors"),
        ("b: *x", "anchors"),
        ("a: !!python/object/apply:os.system [ls]", "tag"),
        ("a: !x 1", "tag"),
        ("? [1, 2]\n: 3", "keys must be plain words"),
        ("a: [", "line 1"),
        (b"\xff\xfe", "not UTF-8"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_ambiguous_or_hostile_yaml_is_refused_by_name(text, reason):
    with pytest.raises(UsageError, match=r"f\.yaml") as caught:
        load_yaml(text, name="f.yaml")
    assert reason in caught.value.problem


def test_one_scalar_a_line_with_a_blank_between_keys():
    assert dump_yaml({"b": [1, 2.0], "a": {"y": None, "x": True}}) == "a:\n  x: true\n  y: null\n\nb: [1, 2.0]\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_not_written(value):
    with pytest.raises(ValueError, match="finite"):
        dump_yaml({"a": value})
    with pytest.raises(ValueError, match=r"compliant|JSON"):
        dump_json({"a": value})


def test_hashes_do_not_depend_on_the_order_of_keys():
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1}) != content_hash({"a": 2, "b": 1})


def test_fields_of_a_file_that_has_none_are_none():
    files = {"a.yaml": b"x: 1\n", "list.yaml": b"- 1\n", "empty.yaml": b""}
    assert [told_fields(files, path) for path in ("a.yaml", "list.yaml", "empty.yaml", "gone.yaml")] == [
        {"x": 1},
        {},
        {},
        {},
    ]
    with pytest.raises(UsageError, match="bad.yaml"):
        told_fields({"bad.yaml": b"{"}, "bad.yaml")
