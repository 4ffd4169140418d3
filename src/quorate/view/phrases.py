"""What single steps, faults and losses are called: the words of the story and of the diagram."""

import re
from collections.abc import Sequence

from quorate.trace.escaping import escape
from quorate.trace.trace import Sending, Step, Trace, state_at
from quorate.view.words import change_list, enumerate_words, field_list, shorten, show

LOSSES = {
    "lost": "is lost",
    "cut": "finds the link cut",
    "down": "finds it down",
    "crash": "never leaves",
    "unsent": "never leaves",
    "": "is still under way",
}
MOST = 6
"""How many changes are told of one step."""
_FAULTS = (
    (r"crash (\S+)(?: keeping (\d+))?(?: after (\d+) sends)?", "{0} crashes{keeping}{sends}"),
    (r"restart (\S+)", "{0} is restarted"),
    (r"pause (\S+)", "{0} is paused"),
    (r"resume (\S+)", "{0} goes on"),
    (r"slow (\S+) by 0ms", "{0} is slow no longer"),
    (r"slow (\S+) by (\S+)", "every message to {0} takes {1} longer"),
    (r"limit (\S+) by 0ms", "the links out of {0} are free again"),
    (r"limit (\S+) by (\S+)", "each link out of {0} carries one message in {1}"),
    (r"clock (\S+) rate (\S+)", "{0}'s clock runs {1} off"),
    (r"clock (\S+) step (\S+)", "{0}'s wall clock jumps by {1}"),
    (r"cut (.+)", "{links} cut"),
    (r"heal(?: (.*→.*))", "{links} whole again"),
    (r"heal: (.+)", "{0}"),
    (r"heal", "all links are whole again"),
)


def fault_phrase(step: Step) -> str:
    """`n2 crashes`, `the links n1→n2 and n2→n1 are cut`."""
    detail = escape(step.detail)
    for pattern, phrase in _FAULTS:
        match = re.fullmatch(pattern, detail)
        if match:
            groups = [group or "" for group in match.groups()]
            kept, sent = [*groups, "", "", ""][1:3]
            return phrase.format(
                *groups,
                keeping=f", keeping {kept} of its unsynced steps" if kept else "",
                sends=f" with {sent} of its last messages sent" if sent else "",
                links=_links(groups[0] if groups else ""),
            )
    return detail


def _links(text: str) -> str:
    words = text.split()
    return f"the links {enumerate_words(words)} are" if len(words) > 1 else f"the link {text} is"


def loss_phrase(sending: Sending) -> str:
    """What became of a message that did not arrive."""
    return LOSSES.get(sending.lost, escape(sending.lost))


def happening_phrase(step: Step) -> str:
    """What a node is given to handle: `n2 handles Vote from n1 (term=1)`."""
    node, name = escape(step.node), escape(step.type)
    match step.kind:
        case "start":
            return f"{node} restarts from its disk" if step.incarnation else f"{node} starts"
        case "deliver":
            content = ", ".join(field_list(step.fields))
            content = f" ({content})" if 0 < len(content) <= 72 else ""
            sender = "itself" if step.source == step.node else escape(step.source)
            return f"{node} handles {name} from {sender}{content}"
        case "fire":
            return f"{node}'s {name} timer fires"
        case "batch":
            return f"{node} ends a batch"
        case "sync":
            return f"{node}'s disk has caught up"
        case "stored":
            return f"{node} has stored {escape(str(step.fields.get('name', '')))}"
        case "invoke":
            return f"{node} invokes {shorten(show(step.fields.get('operation')))}"
    return fault_phrase(step)


def ending_phrase(step: Step) -> str:
    """How a client's operation ended: `its operation ends with 5`; "" if none did."""
    if not step.completed:
        return ""
    completion = step.completed[-1]
    value = "" if completion.value is None else f" with {shorten(show(completion.value))}"
    if completion.status == "info":
        return "gives up, and never learns whether it happened"
    return f"its operation {'fails' if completion.status == 'fail' else 'ends'}{value}"


def changes_of(trace: Trace, step: Step, role: str) -> list[str]:
    """What a step changed that is worth telling; for a restart, what was forgotten.

    That the node is now in `role` is told already.
    """
    if step.kind == "start":
        return _forgotten(trace, step) if step.incarnation else []
    if step.node in trace.header.clients:
        return []
    told = f"={show(role)}" if role else "\n"
    return _most([text for text in change_list(step.changes) if not text.endswith(told)])


def _forgotten(trace: Trace, step: Step) -> list[str]:
    before = state_at(trace, step.node, step.id - 1)
    after = state_at(trace, step.node, step.id)
    lost = {name: value for name, value in before.items() if after.get(name) != value}
    return _most(field_list(lost))


def _most(texts: Sequence[str]) -> list[str]:
    more = len(texts) - MOST
    return [*texts[:MOST], f"{more} more"] if more > 0 else list(texts)
