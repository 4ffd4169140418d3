"""The space-time diagram in a terminal: a lane for each node, time downwards.

A step stands where it is handled, and its message comes in from the sender's lane; a dotted
message left before its sender's last step shown. Where there is no room for lanes, the steps are
a list.
"""

from collections.abc import Iterable, Sequence
from textwrap import wrap

from rich.text import Text

from quorate.trace.escaping import escape
from quorate.trace.trace import Sending, Step, Trace
from quorate.view.lanes import CLIENTS, Cells, Lanes, cells_text
from quorate.view.phrases import changes_of, ending_phrase, fault_phrase, loss_phrase
from quorate.view.selection import LIMIT, Row, new_roles, select_rows
from quorate.view.story import conclusion
from quorate.view.words import field_list, shorten, show, show_time

LEAD = 14
"""Columns for a step's number and time."""
NOTES = 34
"""Columns that must remain for what happened, or there are no lanes."""
NARROWEST, WIDEST = 9, 24
"""Columns from lane to lane."""
ROOMY = 40
"""Up to so many rows, a blank line begins each episode."""
NOTE_LINES = 3
LOSSES_SHOWN = 3
Note = tuple[str, str]
"""A text that stays on one line if it can, and its style."""

MARKS = {
    "deliver": ("●", "cyan", "message"),
    "fire": ("○", "yellow", "timer"),
    "invoke": ("◆", "green", "client"),
    "start": ("↻", "bold green", "restart"),
    "batch": ("■", "blue", "disk"),
    "sync": ("■", "blue", "disk"),
    "stored": ("■", "blue", "disk"),
    "fault": ("▲", "bold red", "fault"),
    "crash": ("✗", "bold red", "crash, loss"),
    "restart": ("↻", "bold green", "restart"),
    "cut": ("≁", "bold red", "cut"),
    "heal": ("≈", "bold green", "healed"),
    "pause": ("‖", "bold red", "pause"),
    "resume": ("▸", "bold green", "resume"),
    "violation": ("◉", "bold red", "violation"),
}
_ASCII = str.maketrans("│┃┊├┤─┄┼►◄●○◆■✗↻≁≈‖▸▲◉↩⋮…·→−", '|#:||-.+><oT*=XR/~"^!@<:~.>-')


def diagram(
    trace: Trace,
    width: int = 100,
    *,
    ids: Iterable[int] | None = None,
    limit: int = LIMIT,
    is_ascii: bool = False,
) -> Text:
    """The steps with these ids (by default what led to the violation) as a drawing.

    No line is longer than `width`, which is at least 40. `is_ascii` is for an output that can
    show nothing else.
    """
    text = _Drawing(trace, max(width, 40), select_rows(trace, ids, limit)).draw()
    return _in_ascii(text) if is_ascii else text


def _in_ascii(text: Text) -> Text:
    plain = text.plain.translate(_ASCII).encode("ascii", "replace").decode()
    return Text(plain, spans=text.spans)


class _Drawing:
    """Draws rows one below the other, with lanes if there is room."""

    def __init__(self, trace: Trace, width: int, rows: list[Row]) -> None:
        self.trace = trace
        self.width = width
        self.rows = rows
        self.text = Text()
        self.roles = new_roles(trace)
        self.numbers = {step.id: row.number for row in rows for step in row.steps}
        self.latest: dict[str, int] = {}
        self.legend: dict[str, tuple[str, str]] = {}
        self.lanes = _room_for_lanes(trace, rows, width - LEAD - NOTES)
        self.margin = LEAD + (self.lanes.width + 1 if self.lanes else 4)

    def draw(self) -> Text:
        lanes = self.lanes
        head = Text(f"{'step':>4}{'ms':>9} ", "dim")
        self._line(head.append_text(cells_text(lanes.heads())) if lanes else head)
        done = 0
        for position, row in enumerate(self.rows):
            if lanes:
                for step in self.trace.steps[done : row.step.id]:
                    lanes.advance(step)
                done = row.step.id
                if self._begins_episode(position):
                    self._line(self._beside(lanes.line()))
            if row.is_folded:
                self._folded(row)
            elif lanes:
                self._laned(row, lanes)
            else:
                self._listed(row)
        self._foot()
        return self.text

    def _line(self, text: Text) -> None:
        text.rstrip()
        self.text.append_text(text).append("\n")

    def _begins_episode(self, position: int) -> bool:
        if position == 0 or len(self.rows) > ROOMY:
            return False
        row, before = self.rows[position], self.rows[position - 1]
        if row.is_folded or before.is_folded:
            return False
        return row.step.kind in ("fire", "invoke", "fault") and row.step.kind != before.step.kind

    def _lead(self, row: Row) -> Text:
        return Text(f"{row.number:>4}{show_time(row.step.time):>9} ", "dim")

    def _beside(self, cells: Cells, lead: Text | None = None) -> Text:
        return (lead or Text(" " * LEAD)).append_text(cells_text(cells))

    # With lanes

    def _laned(self, row: Row, lanes: Lanes) -> None:
        step = row.step
        cells = lanes.line()
        mark, style = self._mark(step)
        asides: list[str] = []
        if step.kind == "deliver" and lanes.lane_of[step.source] != lanes.lane_of[step.node]:
            is_old = self.latest.get(step.source, -1) > step.cause
            if is_old:
                self.legend["┄"] = ("cyan", "sent earlier")
                number = self.numbers.get(step.cause)
                asides += [f"sent in step {number}"] if number else []
            lanes.mark(cells, step.node, mark, style)
            lanes.arrow(cells, (step.source, step.node), escape(step.type), is_dotted=is_old)
        else:
            label = {"deliver": f"↩{step.type}", "fire": f" {step.type}"}.get(step.kind, "")
            for node in self._marked(step, lanes):
                lanes.mark(cells, node, mark, style, escape(label))
        lanes.advance(step)
        self.latest[step.node] = step.id
        notes = self._notes(step)
        if lanes.lane_of.get(step.node) == CLIENTS and step.kind != "fault":
            notes.insert(0, (escape(step.node), "bold"))
        self._noted(self._beside(cells, self._lead(row)), notes, asides + _content(step))
        for sending in _losses(step)[:LOSSES_SHOWN]:
            self._lost(step, sending, lanes)

    def _lost(self, step: Step, sending: Sending, lanes: Lanes) -> None:
        cells = lanes.line()
        if sending.to != step.node:
            lanes.arrow(cells, (step.node, sending.to), escape(sending.type), is_lost=True)
        self._noted(self._beside(cells), [self._loss(sending)])

    def _marked(self, step: Step, lanes: Lanes) -> list[str]:
        """The nodes to mark a step at: for cut links, the one that all of them touch."""
        if step.node:
            return [step.node] if step.node in lanes.lane_of else []
        links = [set(link) for link in step.links]
        touched = set.intersection(*links) or set.union(*links) if links else set[str]()
        return [node for node in lanes.lane_of if node in touched]

    def _noted(self, line: Text, notes: list[Note], asides: Sequence[str] = ()) -> None:
        """A line with notes to its right; what does not fit goes on below, but for asides."""
        for text in _flow(notes, asides, self.width - self.margin) or [Text()]:
            line.append(" " * (self.margin - len(line)))
            self._line(line.append_text(text))
            line = self._beside(self.lanes.line()) if self.lanes else Text()

    # As a list

    def _listed(self, row: Row) -> None:
        step = row.step
        mark, style = self._mark(step)
        line = self._lead(row).append(f"{mark} ", style).append(escape(step.node), "bold")
        if step.kind == "deliver":
            source = "itself" if step.source == step.node else escape(step.source)
            line.append(f" ◄ {source}", "dim").append(f"  {escape(step.type)}", "cyan")
        elif step.kind == "fire":
            line.append(f"  {escape(step.type)}", "yellow")
        notes = self._notes(step)
        if step.kind not in ("deliver", "fire") and notes:
            line.append("  " if step.node else "").append(*notes.pop(0))
        line.truncate(self.width, overflow="ellipsis")
        self._line(line)
        notes += [self._loss(sending) for sending in _losses(step)[:LOSSES_SHOWN]]
        for text in _flow(notes, _content(step), self.width - self.margin):
            self._line(Text(" " * self.margin).append_text(text))

    # Either

    def _folded(self, row: Row) -> None:
        line = self._beside(self.lanes.line(is_folded=True)) if self.lanes else Text(" " * LEAD)
        self._noted(line, [], [row.summary()])

    def _mark(self, step: Step) -> tuple[str, str]:
        violation = self.trace.header.violation
        kind: str = "violation" if violation and violation.record == step.id else step.kind
        if kind == "fault" and step.type in MARKS:
            kind = step.type
        mark, style, meaning = MARKS[kind]
        self.legend[mark] = (style, meaning)
        return mark, style

    def _loss(self, sending: Sending) -> Note:
        style, meaning = MARKS["crash"][1:]
        self.legend["✗"] = (style, meaning)
        return f"{escape(sending.type)} to {escape(sending.to)} {loss_phrase(sending)}", "red"

    def _notes(self, step: Step) -> list[Note]:
        """What to say beside a step, the most telling first."""
        notes: list[Note] = []
        if step.kind == "fault":
            notes.append((fault_phrase(step), "red"))
        elif step.kind == "invoke":
            notes.append((f"invokes {shorten(show(step.fields.get('operation')))}", "green"))
        elif step.kind == "start":
            notes.append(("restarts" if step.incarnation else "starts", "green"))
        elif step.kind == "batch":
            notes.append(("ends a batch", ""))
        if step.id in self.roles:
            notes.append((f"becomes {escape(step.role)}", "bold magenta"))
        if step.completed:
            notes.append((ending_phrase(step), "green"))
        verb = "forgets " if step.kind == "start" else ""
        role = step.role if step.id in self.roles else ""
        return notes + [(verb + text, "") for text in changes_of(self.trace, step, role)]

    def _foot(self) -> None:
        self._line(Text())
        for line in wrap(conclusion(self.trace), self.width):
            self._line(Text(line, "bold red"))
        legend = Text()
        for mark, (style, meaning) in self.legend.items():
            if len(legend) + len(meaning) + 5 > self.width:
                self._line(legend)
                legend = Text()
            legend.append(f"{mark} ", style).append(f"{meaning}   ", "dim")
        self._line(legend)


def _room_for_lanes(trace: Trace, rows: list[Row], room: int) -> Lanes | None:
    """Lanes for the nodes that take part; one for all clients if there is no room for more."""
    found: set[str] = set()
    longest = 0
    for row in rows:
        if not row.is_folded:
            step = row.step
            found.update((step.node, step.source), *step.links)
            found.update(sending.to for sending in _losses(step))
            longest = max(longest, len(step.type))
    ideal = min(max(longest + 6, NARROWEST + 4), WIDEST)
    own = {node: node for node in trace.lanes if node in found}
    clients = set(trace.header.clients).intersection(own)
    if len(clients) > 1 and ideal * len(own) > room:
        own.update(dict.fromkeys(clients, CLIENTS))
    gap = min(ideal, room // max(len(set(own.values())), 1))
    return Lanes(own, gap) if gap >= NARROWEST else None


def _losses(step: Step) -> list[Sending]:
    return [sending for sending in step.sends if sending.lost]


def _content(step: Step) -> list[str]:
    """What the message says, unless it is a client's answer, which is told otherwise."""
    if step.kind != "deliver" or step.completed or not step.fields:
        return []
    return [f"({' '.join(field_list(step.fields))})"]


def _flow(notes: list[Note], asides: Sequence[str], width: int) -> list[Text]:
    """The notes on a few lines; only a note that is longer than a line is broken.

    Asides are added for as long as they fit.
    """
    lines: list[Text] = []
    for text, style in notes:
        rest = text
        if lines and len(lines[-1]) + 2 + len(rest) <= width:
            lines[-1].append("  ").append(rest, style)
            continue
        while rest and len(lines) < NOTE_LINES:
            cut = len(rest) if len(rest) <= width else rest.rfind(" ", 1, width) + 1 or width
            lines.append(Text(rest[:cut].rstrip(), style))
            rest = rest[cut:]
        if rest:
            lines[-1].truncate(width - 1)
            lines[-1].append("…", "dim")
            return lines
    for aside in asides:
        last = lines.pop() if lines else Text()
        gap = "  " if last else ""
        if len(last) + len(gap) + len(aside) <= width:
            last.append(gap + aside, "dim")
        elif not last:
            last.append(shorten(aside, width), "dim")
        lines.append(last)
    return lines
