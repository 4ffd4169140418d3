"""The one exception for a mistake of the user's or the harness's."""


class Mistake(Exception):
    """Bad input, told in one line: what is wrong, where, and how to mend it. Exit code 3.

    Raise it with a finished sentence; the command line prints the sentence and nothing else.
    """
