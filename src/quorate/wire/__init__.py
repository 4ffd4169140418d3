"""The protocols that real clients speak: codecs from bytes to values and back, without any I/O."""
