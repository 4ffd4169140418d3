"""What happened in a run: the narrow waist between everything that runs and all that looks.

In memory it is `record.Record`, a row of references. A `Trace` is the same, spelled out.
"""

from quorate.trace.causality import causal_past
from quorate.trace.encoding import from_records, spell, spell_out
from quorate.trace.escaping import escape
from quorate.trace.hashing import trace_hash
from quorate.trace.jsonl import read_trace, write_trace
from quorate.trace.record import Flight, Record, Violation
from quorate.trace.shiviz import shiviz
from quorate.trace.trace import (
    Explanation,
    Header,
    JudgedOperation,
    Step,
    Trace,
    state_at,
)

__all__ = [
    "Explanation",
    "Flight",
    "Header",
    "JudgedOperation",
    "Record",
    "Step",
    "Trace",
    "Violation",
    "causal_past",
    "escape",
    "from_records",
    "read_trace",
    "shiviz",
    "spell",
    "spell_out",
    "state_at",
    "trace_hash",
    "write_trace",
]
