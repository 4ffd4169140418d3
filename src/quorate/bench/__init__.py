"""Measures what Quorate does, each goal beside its peer in the same run: `quorate bench`."""
