"""A load generator for etcd: puts over gRPC, many under way at once on one connection.

    python -m quorate.bench.etcd_load HOST PORT COUNT OUTSTANDING     prints a JSON object

A client made of the usual libraries would use more of the processor than etcd itself, and be
measured in its place. This one knows of HTTP/2 what a put needs: every request has the same header
block, which refers to no table; of answers it looks at frame types alone. A put is done when its
answer carries a message: errors carry none.
"""

import json
import resource
import socket
import struct
import sys
import time

VALUE = b"x" * 100
KEYS = 100_000
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_LARGEST_WINDOW = (1 << 31) - 1 - 65_535


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """RFC 9113, section 4.1."""
    head = struct.pack(">I", len(payload))[1:] + bytes((kind, flags))
    return head + struct.pack(">I", stream) + payload


def _literal(text: bytes) -> bytes:
    return bytes((len(text),)) + text


def header_block(authority: bytes) -> bytes:
    """RFC 7541: names of the static table, and literals that are kept in no table."""
    return (
        b"\x83\x86"  # :method POST, :scheme http
        + b"\x04" + _literal(b"/etcdserverpb.KV/Put")  # :path
        + b"\x01" + _literal(authority)  # :authority
        + b"\x0f\x10" + _literal(b"application/grpc")  # content-type
        + b"\x00" + _literal(b"te") + _literal(b"trailers")
    )  # fmt: skip


def put(key: bytes, value: bytes) -> bytes:
    """A gRPC message with etcd's PutRequest: key is its field 1, value 2."""
    assert max(len(key), len(value)) < 128
    request = b"\x0a" + _literal(key) + b"\x12" + _literal(value)
    return b"\0" + struct.pack(">I", len(request)) + request


class Load:
    """One connection, with many puts under way."""

    def __init__(self, host: str, port: int) -> None:
        self._sock = socket.create_connection((host, port), 10)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = header_block(f"{host}:{port}".encode())
        window = frame(_WINDOW, 0, 0, struct.pack(">I", _LARGEST_WINDOW))
        self._sock.sendall(_PREFACE + frame(_SETTINGS, 0, 0, b"") + window)
        self._stream = 1
        self._buffer = bytearray()
        self._began: dict[int, float] = {}
        self.seconds: list[float] = []

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def run(self, count: int, outstanding: int) -> None:
        """Put so many keys. Raises RuntimeError if etcd refuses one, or hangs up."""
        self._begin(min(outstanding, count))
        begun = min(outstanding, count)
        while self._began:
            ended = self._receive()
            more = min(ended, count - begun)
            begun += more
            self._begin(more)

    def _begin(self, count: int) -> None:
        words, now = [], time.perf_counter()
        for _ in range(count):
            stream, self._stream = self._stream, self._stream + 2
            body = put(b"key:%012d" % (stream % KEYS), VALUE)
            words.append(frame(_HEADERS, _END_HEADERS, stream, self._headers))
            words.append(frame(_DATA, _END_STREAM, stream, body))
            self._began[stream] = now
        if words:
            self._sock.sendall(b"".join(words))

    def _receive(self) -> int:
        """Take in what has come; how many puts it ended."""
        data = self._sock.recv(1 << 18)
        if not data:
            raise RuntimeError("etcd hung up")
        buffer = self._buffer
        buffer += data
        at = ended = 0
        while len(buffer) - at >= 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            if len(buffer) - at < 9 + length:
                break
            kind, flags = buffer[at + 3], buffer[at + 4]
            stream = int.from_bytes(buffer[at + 5 : at + 9], "big")
            ended += self._take(kind, flags, stream, bytes(buffer[at + 9 : at + 9 + length]))
            at += 9 + length
        del buffer[:at]
        return ended

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> int:
        if kind == _DATA and payload:
            self.seconds.append(time.perf_counter() - self._began.pop(stream))
            return 1
        if kind == _SETTINGS and not flags & _ACK:
            self._sock.sendall(frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._sock.sendall(frame(_PING, _ACK, 0, payload))
        elif kind in (_RESET, _GOAWAY) or (
            kind == _HEADERS and flags & _END_STREAM and stream in self._began
        ):
            raise RuntimeError(f"etcd refused a put: {payload[-80:]!r}")
        return 0


def main(host: str, port: int, count: int, outstanding: int) -> None:
    """Put, and print what was seen."""
    load = Load(host, port)
    started = time.perf_counter()
    load.run(count, outstanding)
    took = time.perf_counter() - started
    load.close()
    seconds = sorted(load.seconds)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "done": len(seconds),
        "rate": len(seconds) / took,
        "p50_ms": seconds[len(seconds) // 2] * 1e3,
        "p99_ms": seconds[len(seconds) * 99 // 100] * 1e3,
        "cpu": usage.ru_utime + usage.ru_stime,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
