"""The lanes of the terminal's diagram: one line of them at a time, as characters with styles."""

from rich.text import Text

from quorate.trace.escaping import escape
from quorate.trace.trace import Step
from quorate.view.words import shorten

UP, ELEVATED, PAUSED, DOWN, FOLDED = "│", "┃", "┊", " ", "⋮"
"""What a lane is drawn with. A node is elevated while its role is not the one it began with."""
STYLES = {UP: "dim", ELEVATED: "magenta", PAUSED: "dim", FOLDED: "dim"}
CLIENTS = "clients"
Cells = list[tuple[str, str]]
"""One line: characters with their styles."""


class Lanes:
    """Where the lanes are, and what state each is in at the line being drawn.

    `lane_of` names the lane of each node that is drawn: its own, or one that all clients share.
    `width` is that of a line.
    """

    def __init__(self, lane_of: dict[str, str], gap: int) -> None:
        self.lane_of = lane_of
        self.gap = gap
        lanes = list(dict.fromkeys(lane_of.values()))
        inset = max(2, len(lanes[0]) // 2) if lanes else 2
        self._columns = {lane: inset + index * gap for index, lane in enumerate(lanes)}
        self.width = inset + gap * (len(lanes) - 1) + gap // 2 + 2
        self._state = dict.fromkeys(lanes, UP)
        self._first_roles: dict[str, str] = {}

    def advance(self, step: Step) -> None:
        """Take note of what a step means for its node's lane."""
        lane = self.lane_of.get(step.node)
        if lane is None:
            return
        if step.kind == "fault":
            state = {"crash": DOWN, "pause": PAUSED, "resume": UP, "restart": UP}.get(step.type)
            self._state[lane] = state or self._state[lane]
        elif self._state[lane] != PAUSED and step.role:
            first = self._first_roles.setdefault(lane, step.role)
            self._state[lane] = UP if step.role == first else ELEVATED

    def heads(self) -> Cells:
        """The nodes' names, each above its lane."""
        cells = [(" ", "")] * self.width
        for lane, column in self._columns.items():
            text = shorten(escape(lane), self.gap - 1)
            _write(cells, column - len(text) // 2, text, "bold")
        return cells

    def line(self, is_folded: bool = False) -> Cells:
        """The lanes as they are now, to draw upon."""
        cells = [(" ", "")] * self.width
        for lane, column in self._columns.items():
            state = self._state[lane]
            state = FOLDED if is_folded and state != DOWN else state
            cells[column] = (state, STYLES.get(state, ""))
        return cells

    def mark(self, cells: Cells, node: str, mark: str, style: str, label: str = "") -> None:
        """Mark a step on its lane, with a label beside it."""
        column = self._columns[self.lane_of[node]]
        cells[column] = (mark, style)
        after = [other for other in self._columns.values() if other > column]
        room = min(after, default=self.width + 1) - column - 2
        _write(cells, column + 1, shorten(label, room), "dim")

    def arrow(
        self,
        cells: Cells,
        ends: tuple[str, str],
        label: str,
        *,
        is_dotted: bool = False,
        is_lost: bool = False,
    ) -> None:
        """Draw a message from one node's lane to another's; a lost one breaks off on its way."""
        start, stop = (self._columns[self.lane_of[node]] for node in ends)
        step = 1 if stop > start else -1
        stop = start + step * (self.gap - 1) if is_lost else stop
        style = "red" if is_lost else "cyan"
        line = "┄" if is_dotted else "─"
        for column in range(start + step, stop, step):
            cells[column] = (line if cells[column][0] == " " else "┼", style)
        if cells[start][0] in STYLES:
            cells[start] = ("├" if step > 0 else "┤", style)
        cells[stop - step] = ("✗" if is_lost else "►" if step > 0 else "◄", style)
        # The label stands next to the sender if it fits between two lanes, else across them.
        fits = len(label) <= self.gap - 4 and abs(stop - start) > self.gap
        low, high = sorted((start, start + step * self.gap if fits else stop))
        text = shorten(label, high - low - 4)
        _write(cells, (low + high + 1 - len(text)) // 2, text, style)


def _write(cells: Cells, column: int, text: str, style: str) -> None:
    for offset, char in enumerate(text):
        if 0 <= column + offset < len(cells):
            cells[column + offset] = (char, style)


def cells_text(cells: Cells) -> Text:
    """The cells of one line as text."""
    text = Text()
    for char, style in cells:
        text.append(char, style)
    return text
