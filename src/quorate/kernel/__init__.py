"""All that a protocol may import."""

from quorate.kernel.canonical import Plain, encode, fingerprint
from quorate.kernel.client import Client, Redirect, Request, Response
from quorate.kernel.composition import ChildStepped, ToChild, run_child
from quorate.kernel.env import MICROSECOND, MILLISECOND, SECOND, Env, ms
from quorate.kernel.node import (
    BatchEnd,
    Durable,
    Event,
    Invoke,
    Message,
    Node,
    Operation,
    Start,
    Stored,
    Timer,
    on,
    step,
)
from quorate.kernel.properties import Monitor, always, each_step, eventually, sometimes
from quorate.kernel.quorums import majority
from quorate.kernel.values import Log, Map, NodeId, Set

__all__ = [
    "MICROSECOND",
    "MILLISECOND",
    "SECOND",
    "BatchEnd",
    "ChildStepped",
    "Client",
    "Durable",
    "Env",
    "Event",
    "Invoke",
    "Log",
    "Map",
    "Message",
    "Monitor",
    "Node",
    "NodeId",
    "Operation",
    "Plain",
    "Redirect",
    "Request",
    "Response",
    "Set",
    "Start",
    "Stored",
    "Timer",
    "ToChild",
    "always",
    "each_step",
    "encode",
    "eventually",
    "fingerprint",
    "majority",
    "ms",
    "on",
    "run_child",
    "sometimes",
    "step",
]
