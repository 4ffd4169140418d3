"""Faults on a real cluster: what strikes, what proves that it bit, and what the clients saw."""
