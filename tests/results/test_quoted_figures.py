"""Figures of prose are looked up in the record by their path."""

import pytest

from autoqec.results.quoted_figures import field_of

RECORD = {"a": {"b.c=0.5": {"ler": 1, "ci": [2, None]}, "b": {"c": 3}}, "b.c": 4}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b.c=0.5.ler", 1),
        ("a.b.c=0.5.ci.0", 2),
        ("a.b.c=0.5.ci.1", None),
        ("a.b.c=0.5.ci.2", None),
        ("a.b.c=0.5.ci.x", None),
        ("a.b.c", 3),
        ("b.c", 4),
        ("a.b.c.d", None),
        ("x", None),
    ],
)
def test_a_name_in_a_path_may_have_dots(path, value):
    assert field_of(RECORD, path) == value
