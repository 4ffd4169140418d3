"""`python -m quorate.bench.checker MODEL FILE...`: a new process that judges histories.

Prints a line for each file: the verdict, the seconds that the check alone took, and the file's
name. MODEL is cas-register, kv, or kv-whole, which does not judge each key alone. The checkers of
others can be measured beside it by a command that takes and prints the same.
"""

import sys
from time import perf_counter

from quorate.check.linearizability import Budget, check_history
from quorate.check.models import model_named
from quorate.check.readers import read_history

WHOLE = "-whole"
BUDGET = Budget(steps=10**9, seconds=600.0)


def main(model_name: str, files: list[str]) -> None:
    """Judge them, one after the other."""
    model = model_named(model_name.removesuffix(WHOLE))
    is_split = not model_name.endswith(WHOLE)
    for file in files:
        history = read_history(file)
        started = perf_counter()
        result = check_history(history, model, BUDGET, split=is_split, explained=False)
        print(result.verdict.value, perf_counter() - started, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
