"""What clients say in plain words arrives as what they said, or as a text."""

from typing import Any

import pytest

from quorate.systems.words import DEEPEST, Talk


def value_of(text: str) -> Any:
    """The value of an operation whose third word is this."""
    operation, count = Talk().take([(b"write", b"x", text.encode())], 0)
    assert (operation.f, operation.key, count) == ("write", "x", 1)
    return operation.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("five", "five"),
        ('["a", [1, true], null]', ("a", (1, True), None)),
        ("-9223372036854775808", -(2**63)),
        ("[" * DEEPEST + "]" * DEEPEST, ((),)),
    ],
)
def test_a_value_is_json_or_a_text(text: str, value: Any) -> None:
    found = value_of(text)
    while isinstance(found, tuple) and len(found) == 1 and found != value:
        (found,) = found
    assert found == value


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775808",  # No number that travels has more than 64 bits.
        "[1, -99999999999999999999]",
        '["NullArray"]',  # A tuple of this kind would arrive as a struct of that name.
        '["a", ["Request", 1]]',
        "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
        "[" * 100_000,
    ],
)
def test_what_could_not_travel_is_a_text(text: str) -> None:
    assert value_of(text) == text
