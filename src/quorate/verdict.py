"""The three verdicts, and how many verdicts make one."""

from collections.abc import Iterable
from enum import Enum


class Verdict(Enum):
    """What a judge says. The value is the word that is printed and written to files."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 2 unknown; 3 is a `Mistake` and no verdict at all."""
        return _EXIT_CODES[self]


_EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.UNKNOWN: 2}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of many: any fail is fail, else any unknown is unknown, else pass."""
    return max(verdicts, key=_SEVERITY.index, default=Verdict.UNKNOWN)


_SEVERITY = [Verdict.PASS, Verdict.UNKNOWN, Verdict.FAIL]
