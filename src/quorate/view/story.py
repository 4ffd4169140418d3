"""The story of a run in plain sentences: who did what, because of what, up to the violation."""

from collections.abc import Iterable
from textwrap import wrap

import msgspec

from quorate.trace.escaping import escape
from quorate.trace.trace import Sending, Step, Trace
from quorate.view.phrases import changes_of, ending_phrase, happening_phrase, loss_phrase
from quorate.view.selection import LIMIT, Row, new_roles, select_rows
from quorate.view.words import enumerate_words, show_time


class Sentence(msgspec.Struct):
    """One sentence, its number and virtual time, and the ids of the steps that it tells."""

    number: int
    time: int
    steps: list[int]
    text: str


def sentences(trace: Trace, ids: Iterable[int] | None = None, limit: int = LIMIT) -> list[Sentence]:
    """What happened, in order: a sentence for each row of `selection.select_rows`."""
    roles = new_roles(trace)
    return [
        Sentence(row.number, row.step.time, [s.id for s in row.steps], _tell(trace, row, roles))
        for row in select_rows(trace, ids, limit)
    ]


def conclusion(trace: Trace) -> str:
    """The violated property with the values that violate it; "" if all is well."""
    header = trace.header
    if header.violation is None:
        return ""
    where = f" ({escape(header.section)})" if header.section else ""
    told = [header.violation.message, header.explanation.text if header.explanation else ""]
    text = " ".join(escape(part) for part in dict.fromkeys(told) if part)
    return f"This violates {escape(header.violation.property)}{where}: {text}"


def story(trace: Trace, width: int = 80, limit: int = LIMIT) -> str:
    """The story as text, numbered and wrapped."""
    lines: list[str] = []
    for sentence in sentences(trace, limit=limit):
        lead = f"{sentence.number:>3}. "
        lines += wrap(lead + sentence.text, width, subsequent_indent=" " * len(lead))
    last = conclusion(trace)
    if last:
        lines += ["", *wrap(last, width)]
    return "".join(f"{line}\n" for line in lines)


def _tell(trace: Trace, row: Row, roles: set[int]) -> str:
    if row.is_folded:
        nodes = sorted({escape(step.node) for step in row.steps} - {""})
        first, last = show_time(row.steps[0].time), show_time(row.step.time)
        verb = "takes" if len(nodes) == 1 else "take"
        return f"{enumerate_words(nodes)} {verb} {row.summary()} ({first} to {last} ms)."
    step = row.step
    text = happening_phrase(step)
    if not step.node:
        text = text[:1].upper() + text[1:]
    role = step.role if step.id in roles else ""
    changes = ", ".join(changes_of(trace, step, role))
    if changes:
        verb = "forgets " if step.kind == "start" else "sets "
        text += f" and {verb}{changes}" if step.kind != "fire" else f"; it {verb}{changes}"
    more = [f"becomes {escape(role)}"] if role else []
    more += _sends(step)
    more += [ending_phrase(step)] if step.completed else []
    return text + "".join(f"; {_subject(one)}{one}" for one in more) + "."


def _subject(phrase: str) -> str:
    return "" if phrase.startswith("its ") else "it "


def _sends(step: Step) -> list[str]:
    """A phrase for each type of message, with what became of those that did not arrive."""
    groups: dict[str, list[Sending]] = {}
    for sending in step.sends:
        groups.setdefault(sending.type, []).append(sending)
    return [f"sends {escape(name)} to {_targets(step, group)}" for name, group in groups.items()]


def _targets(step: Step, group: list[Sending]) -> str:
    names = ["itself" if one.to == step.node else escape(one.to) for one in group]
    text = enumerate_words(dict.fromkeys(names))
    twice = sorted({name for name in names if names.count(name) > 1})
    fates = [f"{enumerate_words(twice)} gets it twice"] if twice else []
    if len(group) == 1 and group[0].lost:
        fates.append(f"which {loss_phrase(group[0])}")
    elif any(one.lost for one in group):
        fates += [f"the one to {escape(one.to)} {loss_phrase(one)}" for one in group if one.lost]
    return f"{text} ({', '.join(fates)})" if fates else text
