"""Text that is safe to show, whatever a trace, a history or a schedule holds."""


def escape(text: str) -> str:
    """The text with everything that is not printable spelled out, as a backslash escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
