"""`quorate bench`: hands over to `quorate.bench`, which reads its own arguments."""

from argparse import Namespace
from importlib import import_module


def main(options: Namespace) -> int:
    """Run the benchmark."""
    code: int = import_module("quorate.bench.main").main(options.arguments)
    return code
