"""What a row of a preset says is what Hydra reads from the override made of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from triplicate.jobs.rows import typed

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False), TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.from_regex("[a-z]{1,3}[.=]?[a-z]{0,3}", fullmatch=True).filter(
                lambda key: key not in ("nan", "inf", "null", "true")
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=200)
@given(VALUES)
def test_a_value_reads_back_as_itself(value: Any) -> None:
    override = OverridesParser.create().parse_override(f"key={typed(value)}")
    assert not override.is_sweep_override()
    assert override.value() == value
    assert type(override.value()) is type(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0.01, "0.01"),
        ("adam", "adam"),
        ("null", "'null'"),
        ("1", "'1'"),
        ("0.1,0.2", "'0.1,0.2'"),
        ("it's", r"'it\'s'"),
        ([128, 64], "[128,64]"),
        ([], "[]"),
        ({"a": [1, "b c"]}, "{a:[1,'b c']}"),
    ],
)
def test_it_is_written_as_on_the_command_line(value: Any, text: str) -> None:
    assert typed(value) == text


def test_no_number_is_one() -> None:
    (read,) = [OverridesParser.create().parse_override(f"key={typed(math.nan)}").value()]
    assert math.isnan(read)  # type: ignore[arg-type]
