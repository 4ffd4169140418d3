"""The store while one operation changes it: what is new lies over the content before.

Commands see a mutable store, and cost a dictionary's look-up; `finish` makes one update of all that
they changed.
"""

from bisect import bisect_left

from quorate.kernel import Map
from quorate.systems.kv.agenda import Agenda, changed, first_due
from quorate.systems.kv.content import Content, Entry, Hash, Text, as_bytes, is_large, slot_of
from quorate.systems.kv.table import Refused
from quorate.wire.resp import Failure

WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
PURGED = 64
"""How many keys that are due an operation forgets, besides its own work."""


class Draft:
    """A store to read and to change, as of one moment.

    Attributes:
        clock: a key is expired, and not to be seen, from its expiry on.
        now: the operation's time; later than the clock if it only reads.
        version: what the keys that it changes have as their version.
        has_expiries: whether any key may expire.
    """

    def __init__(self, content: Content, clock: int, now: int, version: int) -> None:
        self.clock = clock
        self.now = now
        self.version = version
        self._begin(content)

    def _begin(self, content: Content) -> None:
        self._content = content
        self._entries = content.entries
        self._find = content.entries.get
        self._changed: dict[bytes, Entry | None] = {}
        self._expiries: dict[bytes, int | None] = {}
        agenda = content.agenda
        self._has_due = bool(agenda) and agenda[0][0][0] <= self.clock
        self.has_expiries = bool(agenda)

    def purge(self) -> None:
        """Forget keys that are due: some of them, if there are many."""
        if self._has_due:
            for _, key in first_due(self._content.agenda, PURGED, self.clock):
                self.drop(key)

    def get(self, key: bytes) -> Entry | None:
        """What the key holds; None if it is absent or expired."""
        entry = self._changed[key] if key in self._changed else self._find(key)
        if self._has_due and entry is not None and self._is_due(key):
            return None
        return entry

    def text(self, key: bytes) -> bytes | None:
        """The string at the key, if any. Raises Refused if it holds something else."""
        # Mostly nothing has changed and nothing is due: that needs no further call.
        entry = self.get(key) if self._changed or self._has_due else self._find(key)
        if entry is None:
            return None
        if type(entry) is not Text:
            raise Refused(WRONG_TYPE)
        value = entry.value
        return value if type(value) is bytes else as_bytes(value)

    def fields(self, key: bytes) -> Map[bytes, bytes] | None:
        """The fields of the hash at the key, if any. Raises Refused if it holds something else."""
        entry = self.get(key)
        if entry is None:
            return None
        if type(entry) is not Hash:
            raise Refused(WRONG_TYPE)
        return entry.fields

    def put(self, key: bytes, entry: Entry) -> None:
        """Let the key hold this. It keeps its expiry."""
        if self._has_due and self._is_due(key):
            self._expiries[key] = None  # That was of the key which is no more.
        self._changed[key] = entry

    def put_text(self, key: bytes, data: bytes) -> None:
        """Let the key hold this string. It keeps its expiry."""
        self.put(key, Text(data, self.version))

    def put_fields(self, key: bytes, fields: Map[bytes, bytes]) -> None:
        """Let the key hold this hash, or nothing if there are no fields. It keeps its expiry."""
        if fields:
            self.put(key, Hash(fields, self.version))
        else:
            self.drop(key)

    def replace(self, key: bytes, data: bytes) -> None:
        """Let the key hold this string, for ever."""
        self._changed[key] = Text(data, self.version)
        if self.has_expiries:
            self._expiries[key] = None

    def drop(self, key: bytes) -> None:
        """Let the key be absent."""
        self._changed[key] = None
        if self.has_expiries:
            self._expiries[key] = None

    def touch(self, key: bytes) -> None:
        """Let the key, which is there, count as changed."""
        entry = self.get(key)
        if type(entry) is Text:
            self._changed[key] = Text(entry.value, self.version)
        elif type(entry) is Hash:
            self._changed[key] = Hash(entry.fields, self.version)

    def expiry(self, key: bytes) -> int | None:
        """When the key, which is there, expires."""
        if not self.has_expiries:
            return None
        if key in self._expiries:
            return self._expiries[key]
        return self._content.expiries.get(key)

    def expire(self, key: bytes, time: int | None) -> None:
        """Let the key, which is there, expire at this time: never if None, at once if past."""
        if time is not None and time <= self.clock:
            self.drop(key)
        else:
            self.has_expiries = True
            self._expiries[key] = time

    def _is_due(self, key: bytes) -> bool:
        expiry = self.expiry(key)
        return expiry is not None and expiry <= self.clock

    def clear(self) -> None:
        """Drop every key."""
        self._begin(Content())

    def settled(self) -> Content:
        """The content with all changes so far, for commands that look at all of it."""
        if self._changed or self._expiries:
            self._begin(self.finish())
        return self._content

    def finish(self) -> Content:
        """The content with all changes."""
        if not self._changed and not self._expiries:
            return self._content
        content, entries = self._content, self._entries
        new: dict[bytes, Entry] = {}
        come, gone, large = list[bytes](), [], content.large
        for key, entry in self._changed.items():
            if entry is None:
                if key in entries:
                    gone.append(key)
            else:
                new[key] = entry
            if (large or type(entry) is Hash) and is_large(entry) != (key in large):
                large = large.remove(key) if key in large else large.add(key)
        before, entries = entries, entries.update(new)
        if len(entries) > len(before):
            come = [key for key in new if key not in before]
        for key in gone:
            entries = entries.remove(key)
        slots = _indexed(content.slots, come, gone) if come or gone else content.slots
        expiries, agenda = self._expired() if self._expiries else (content.expiries, content.agenda)
        return Content(entries, expiries, agenda, slots, large)

    def _expired(self) -> tuple[Map[bytes, int], Agenda]:
        """The expiries, and the same in order of time."""
        expiries, new = self._content.expiries, dict[bytes, int]()
        gone, come = [], []
        for key, time in self._expiries.items():
            before = expiries.get(key)
            if before == time:
                continue
            if before is not None:
                gone.append((before, key))
            if time is not None:
                come.append((time, key))
                new[key] = time
        agenda = changed(self._content.agenda, gone, come)
        expiries = expiries.update(new)
        for _, key in gone:
            if key not in new:
                expiries = expiries.remove(key)
        return expiries, agenda


def _indexed(
    slots: Map[int, tuple[bytes, ...]], come: list[bytes], gone: list[bytes]
) -> Map[int, tuple[bytes, ...]]:
    """The slots with the keys that have come, and without those that are gone."""
    changed: dict[int, tuple[bytes, ...]] = {}
    for key in come:
        slot = slot_of(key)
        keys = changed[slot] if slot in changed else slots.get(slot, ())
        index = bisect_left(keys, key)
        changed[slot] = (*keys[:index], key, *keys[index:])
    for key in gone:
        slot = slot_of(key)
        keys = changed[slot] if slot in changed else slots[slot]
        index = bisect_left(keys, key)
        changed[slot] = (*keys[:index], *keys[index + 1 :])
    slots = slots.update(changed)
    for slot, keys in changed.items():
        if not keys:
            slots = slots.remove(slot)
    return slots
