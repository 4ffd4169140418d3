"""Exhaustive exploration: every state of a small configuration, or a shortest way to a failure."""

from quorate.explore.exhaustive.exploring import Result, explore
from quorate.explore.exhaustive.progress import Limits, Progress

__all__ = ["Limits", "Progress", "Result", "explore"]
