"""Whether the hot modules run as machine code: `pip install` compiles if QUORATE_COMPILE=1."""

import os
from importlib.machinery import EXTENSION_SUFFIXES


def is_compiled() -> bool:
    """Whether this package was compiled. What it does is the same, but for the speed."""
    module = os.path.join(os.path.dirname(__file__), "check", "search")
    return any(os.path.exists(module + suffix) for suffix in EXTENSION_SUFFIXES)
