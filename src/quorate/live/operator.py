"""What an operator asks a member: one question, one answer, over a connection of its own."""

import socket
import ssl
from contextlib import ExitStack
from typing import Any, Self

import msgspec

from quorate.errors import Mistake, one_line
from quorate.live.config import Address
from quorate.live.frames import ANSWER, ASK, HELLO, LONGEST, REFUSAL, Garbled, Unframer, frame
from quorate.live.links import own_hello
from quorate.wire.malformed import MALFORMED

SECONDS = 2.0


class Unreachable(Exception):
    """The member did not answer; the text says why."""


class Operator:
    """One connection to a member, for as many questions as there are. Use it as a context."""

    def __init__(
        self,
        address: Address,
        cluster: str,
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """Connect. Raises Unreachable."""
        self._unframer = Unframer(LONGEST)
        hello = msgspec.msgpack.encode(own_hello(cluster, "", 0))
        with ExitStack() as unless_all_is_well:
            try:
                self._socket = socket.create_connection(address, seconds)
                unless_all_is_well.callback(self.close)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if tls is not None:
                    self._socket = tls.wrap_socket(self._socket, server_hostname=address[0])
                self._socket.sendall(frame(HELLO, hello))
            except OSError as error:
                raise Unreachable(str(error) or type(error).__name__) from error
            unless_all_is_well.pop_all()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """One question, one answer. Raises Unreachable, or Mistake if the member refuses."""
        try:
            self._socket.sendall(frame(ASK, msgspec.json.encode(question)))
            while True:
                data = self._socket.recv(1 << 16)
                if not data:
                    raise Unreachable("it hung up")
                for answer in self._unframer.feed(data):
                    if answer.kind == REFUSAL:
                        raise Mistake(bytes(answer.payload).decode("utf-8", "replace"))
                    if answer.kind == ANSWER:
                        return msgspec.json.decode(answer.payload, type=dict[str, Any])
        except (OSError, Garbled, *MALFORMED) as error:
            raise Unreachable(one_line(error)) from error

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def ask(
    address: Address,
    cluster: str,
    question: dict[str, Any],
    tls: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Ask the member at `address` once. Raises Unreachable, or Mistake if it refuses."""
    with Operator(address, cluster, tls, seconds) as operator:
        return operator.ask(question)
