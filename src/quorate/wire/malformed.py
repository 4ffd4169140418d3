"""What decoders raise for bytes that are no value of the kind that was expected."""

import msgspec

MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""To be caught wherever bytes from outside are decoded: msgspec raises all three."""
