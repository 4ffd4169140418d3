"""What an operator asks a member: one question, one answer, over a connection of its own."""

import socket
import ssl
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.live.frames import ANSWER, ASK, HELLO, LONGEST, REFUSAL, Garbled, Unframer, frame
from quorate.live.links import Address, own_hello

SECONDS = 2.0


class Unreachable(Exception):
    """The member did not answer; the text says why."""


def ask(
    address: Address,
    cluster: str,
    question: dict[str, Any],
    tls: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Ask the member at `address`. Raises Unreachable, or Mistake if it refuses."""
    hello = msgspec.msgpack.encode(own_hello(cluster, "", 0))
    words = frame(HELLO, hello) + frame(ASK, msgspec.json.encode(question))
    unframer = Unframer(LONGEST)
    try:
        with socket.create_connection(address, seconds) as plain:
            sock = plain if tls is None else tls.wrap_socket(plain, server_hostname=address[0])
            sock.sendall(words)
            while True:
                data = sock.recv(1 << 16)
                if not data:
                    raise Unreachable("it hung up")
                for answer in unframer.feed(data):
                    if answer.kind == REFUSAL:
                        raise Mistake(bytes(answer.payload).decode("utf-8", "replace"))
                    if answer.kind == ANSWER:
                        return msgspec.json.decode(answer.payload, type=dict[str, Any])
    except (OSError, Garbled, msgspec.DecodeError) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
