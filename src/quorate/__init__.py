"""Quorate: write a distributed system once; simulate, explain, explore and run it."""

__version__ = "0.1.0"
