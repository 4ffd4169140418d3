"""Numbers are read and written as Redis does, whatever the machine."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.systems.kv.numbers import integer, real, rounded, total, written
from quorate.systems.kv.table import Refused


@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers(number: int) -> None:
    assert integer(b"%d" % number) == number
    assert total(real(b"%d" % number), real(b"0")) == number
    assert written(Fraction(number)) == b"%d" % number


@pytest.mark.parametrize(
    "text", [b"", b"+1", b"01", b"-0", b" 1", b"1 ", b"1.0", b"0x1", b"1_0", b"x"]
)
def test_what_is_no_whole_number(text: bytes) -> None:
    with pytest.raises(Refused):
        integer(text)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_what_is_beyond_64_bits(number: int) -> None:
    with pytest.raises(Refused):
        integer(b"%d" % number)


@pytest.mark.parametrize(
    ("one", "other", "sum_"),
    [
        (b"0.1", b"0.2", b"0.3"),
        (b"3.0e3", b"200", b"3200"),
        (b"10.50", b"0.1", b"10.6"),
        (b"1e19", b"0.5", b"10000000000000000000"),  # One bit too many: to the even one.
        (b"1e19", b"1.5", b"10000000000000000002"),
        (b"-0.0", b"0", b"0"),
        (b"-1", b"1e-18", b"-1"),
        (b"0x1p-3", b"0X.8", b"0.625"),
        (b".5", b"5.", b"5.5"),
        (b"1e-4950", b"0", b"0"),
    ],
)
def test_sums(one: bytes, other: bytes, sum_: bytes) -> None:
    assert written(total(real(one), real(other))) == sum_


def test_the_largest_has_4933_digits() -> None:
    digits = written(real(b"1.18e4932") + Fraction(0))
    assert len(digits) == 4933
    assert digits.startswith(b"118")
    assert written(real(b"1" + b"0" * 4900) + Fraction(0)) == written(real(b"1e4900") + Fraction(0))
    assert real(b"0." + b"0" * 4900 + b"1") == real(b"1e-4901")
    assert written(-(Fraction(10) ** 4001)) == b"-1" + b"0" * 4001


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b" 1", b"1 ", b".", b"e1", b"1e", b"nan", b"-nan(1)", b"0x", b"1e5000", b"1e-5000"),
        *(b"1,5", b"1e99999999999999", b"1" * 5120, b"--1", b"infin", b"1\0"),
    ],
)
def test_what_is_no_number(text: bytes) -> None:
    with pytest.raises(Refused):
        real(text)


@pytest.mark.parametrize("pair", [(b"inf", b"1"), (b"-inf", b"inf"), (b"1.1e4932", b"1.1e4932")])
def test_no_sum_is_infinite(pair: tuple[bytes, bytes]) -> None:
    with pytest.raises(Refused):
        total(*map(real, pair))


@given(st.fractions())
def test_rounding_is_to_64_bits(number: Fraction) -> None:
    """To the nearest m / 2**e with |m| below 2**64; floats, of 53 bits, stay what they are."""
    near = rounded(number)
    if number:
        assert abs(near - number) <= abs(number) / 2**64
        mantissa = near.numerator
        assert mantissa.bit_length() - (mantissa & -mantissa).bit_length() < 64
    assert near.denominator & (near.denominator - 1) == 0
    assert rounded(Fraction(float(number))) == Fraction(float(number))
