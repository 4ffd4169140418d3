"""Numbers as Redis reads and writes them, exact on every machine.

Floating point stands for C's `long double` on x86, with 64 bits of mantissa: rational arithmetic,
rounded after each step as that hardware does, gives the same digits everywhere.
"""

import re
from fractions import Fraction
from math import inf

from quorate.systems.kv.table import Refused

LOWEST, HIGHEST = -(2**63), 2**63 - 1
NOT_AN_INTEGER = "value is not an integer or out of range"
NOT_A_FLOAT = "value is not a valid float"
INFINITE = "increment would produce NaN or Infinity"

_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")


def integer(data: bytes, otherwise: str = NOT_AN_INTEGER) -> int:
    """A whole number of 64 bits, written in the one way that Redis writes it. Raises Refused."""
    if _INTEGER.fullmatch(data):
        number = int(data)
        if LOWEST <= number <= HIGHEST:
            return number
    raise Refused(otherwise)


# Floating point

_DECIMAL = re.compile(rb"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")
_HEXADECIMAL = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?[0-9]+))?")
_INFINITY = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE)
_LONGEST = 5 * 1024 - 1
_AT_ONCE = 4000
"""Decimal digits that Python is willing to read or write at once; there may be 4933."""
_MANTISSA = 64
_BEYOND = Fraction(2) ** 16384
_SMALLEST = Fraction(1, 2**16445)


def real(data: bytes, otherwise: str = NOT_A_FLOAT) -> Fraction | float:
    """A number as C's strtold reads it; a float only if infinite. Raises Refused."""
    if not 0 < len(data) <= _LONGEST:
        raise Refused(otherwise)
    found = _INFINITY.fullmatch(data)
    if found:
        return -inf if found[1] == b"-" else inf
    found = _DECIMAL.fullmatch(data)
    base, radix, per_digit = 10, 10, 1
    if found is None:
        found = _HEXADECIMAL.fullmatch(data)
        base, radix, per_digit = 16, 2, 4
    digits = b"" if found is None else found[2] + (found[3] or b"")
    if found is None or not digits:
        raise Refused(otherwise)
    mantissa = _whole(digits, base)
    exponent = int(found[4] or 0) - len(found[3] or b"") * per_digit
    if mantissa == 0:
        return Fraction(0)
    if abs(exponent) > 20000:  # Far beyond what there is; never compute such a power.
        raise Refused(otherwise)
    number = rounded(mantissa * Fraction(radix) ** exponent)
    if not _SMALLEST <= number < _BEYOND:
        raise Refused(otherwise)
    return -number if found[1] == b"-" else number


def _whole(digits: bytes, base: int) -> int:
    """The number that the digits are, however many they are."""
    high, low = digits[:-_AT_ONCE], digits[-_AT_ONCE:]
    return int(high or b"0", base) * int(base ** len(low)) + int(low, base)


def total(one: Fraction | float, other: Fraction | float) -> Fraction:
    """The sum. Raises Refused if it is infinite."""
    if isinstance(one, float) or isinstance(other, float):
        raise Refused(INFINITE)
    number = rounded(one + other)
    if abs(number) >= _BEYOND:
        raise Refused(INFINITE)
    return number


def rounded(number: Fraction) -> Fraction:
    """The nearest number whose mantissa has 64 bits; of two, the even one."""
    size = number.numerator.bit_length() - number.denominator.bit_length()
    unit = Fraction(2) ** (size - _MANTISSA)
    if abs(number) / unit >= 2**_MANTISSA:
        unit *= 2
    return round(number / unit) * unit


def written(number: Fraction) -> bytes:
    """The number with up to 17 digits after the point, without needless zeros."""
    scaled = round(number * 10**17)
    whole, fraction = divmod(abs(scaled), 10**17)
    high, low = divmod(whole, 10**_AT_ONCE)
    digits = f"{high}{low:0{_AT_ONCE}d}" if high else f"{low}"
    text = f"{digits}.{fraction:017d}".rstrip("0").rstrip(".")
    return (f"-{text}" if scaled < 0 else text).encode()
