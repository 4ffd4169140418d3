"""The one exception for a mistake of the user's or the harness's, and what errors say.

It imports nothing.
"""


class Mistake(Exception):
    """Bad input, told in one line: what is wrong, where, and how to mend it. Exit code 3.

    Raise it with a finished sentence; the command line prints the sentence and nothing else.
    """


def one_line(error: BaseException) -> str:
    """What an error says, in one line: it may quote what it was given."""
    return " ".join(str(error).split()) or type(error).__name__


def place_of(error: BaseException) -> str:
    """The innermost line of a node's code that raised it: `register.py:12, in serve`."""
    found = "outside the node's code"
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not traceback.tb_frame.f_globals.get("__name__", "").startswith(_AROUND):
            file = code.co_filename.replace("\\", "/").rpartition("/")[2]
            found = f"{file}:{traceback.tb_lineno}, in {code.co_name}"
        traceback = traceback.tb_next
    return found


_AROUND = ("quorate.kernel.", "quorate.simulate.", "quorate.live.")
"""What runs nodes."""
