"""The one exception for a mistake of the user's or the harness's. It imports nothing."""


class Mistake(Exception):
    """Bad input, told in one line: what is wrong, where, and how to mend it. Exit code 3.

    Raise it with a finished sentence; the command line prints the sentence and nothing else.
    """


def one_line(error: BaseException) -> str:
    """What an error says, in one line: it may quote what it was given."""
    return " ".join(str(error).split()) or type(error).__name__
