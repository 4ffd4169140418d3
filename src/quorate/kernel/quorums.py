"""How many are enough."""

from collections.abc import Sized


def majority(members: Sized) -> int:
    """The size of the smallest majority: any two majorities share a member."""
    return len(members) // 2 + 1
