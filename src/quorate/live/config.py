"""What a member is told by its configuration file, `node.toml`.

cluster = "kv-7f3a"            # the same on all members
system = "kv"                  # or NAME, as for `quorate run`
member = "n1"
data = "n1"                    # relative to this file
clients = "127.0.0.1:7001"     # where clients connect
[members]                      # where members reach each other
n1 = "127.0.0.1:7101"
n2 = "127.0.0.1:7102"
"""

import ipaddress
import re
import ssl
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from quorate.errors import Mistake
from quorate.live.storage.journal import SEGMENT_BYTES

Address = tuple[str, int]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_MEMBER = re.compile(r"[a-z][a-z0-9_]{0,30}")
_HOST = re.compile(r"[\w.:%-]+")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PEM files, relative to the configuration file. Members must have certificates of `ca`."""

    ca: str
    certificate: str
    key: str
    clients: bool = False  # Whether clients, too, connect by TLS.
    client_certificates: bool = False  # Whether they must have certificates of `ca`.


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One member's configuration.

    Attributes:
        members: where each one is reached by the others, this one included.
        founders: those with whom the cluster began; none for all members. Who came later is in it
            by the protocol's own changes.
        configuration: which of the system's settings to run; "" for the first.
        segment_bytes: the size of the journal's files; four of them are cut short by a checkpoint.
        record: which steps to record: all, so that they can be run again; a sample of them, each
            run twice on the spot; or none.
        via: where to dial another member, if not at its own address: chaos stands between.
        chaos: whether an operator may bend the clock and the disk.
        stepwise: whether an operator takes every step, and nothing happens by itself.
        reacts: whether to follow the script of reactions beside the configuration.
        visitors: where to dial nodes that are no members, or are to be dialled elsewhere.
        insecure: whether to listen beyond this machine without TLS.
        password: what clients must AUTH with, if anything.
        metrics: where to serve metrics and health by HTTP; "" for nowhere.
        spans: the URL of the collector that is told spans, by OTLP over HTTP; "" for none.
        log: how events are told on standard output: for people, or a JSON object a line.
    """

    cluster: str
    system: str
    member: str
    data: str
    clients: str
    members: dict[str, str]
    founders: list[str] = []
    configuration: str = ""
    segment_bytes: Annotated[int, msgspec.Meta(ge=1 << 12, le=1 << 30)] = SEGMENT_BYTES
    record: Literal["all", "sample", "none"] = "sample"
    via: dict[str, str] = {}
    chaos: bool = False
    stepwise: bool = False
    reacts: bool = False
    visitors: dict[str, str] = {}
    insecure: bool = False
    password: str = ""
    metrics: str = ""
    spans: str = ""
    log: Literal["text", "json"] = "text"
    tls: Tls | None = None


def read_config(path: Path) -> Config:
    """The configuration in a file. Raises Mistake for whatever is wrong with it."""
    try:
        with path.open("rb") as file:
            config = msgspec.convert(tomllib.load(file), Config)
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Mistake(f"{path}: no TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise Mistake(f"{path}: {error}") from error
    _check(config, str(path))
    return config


def _check(config: Config, where: str) -> None:
    if not _NAME.fullmatch(config.cluster):
        raise Mistake(f"{where}: cluster is letters, digits, - and _, not {config.cluster!r:.80}")
    for member in config.members:
        if not _MEMBER.fullmatch(member):
            raise Mistake(f"{where}: a member is named as n1, not {member!r:.80}")
    if config.member not in config.members:
        names = ", ".join(config.members)
        raise Mistake(f"{where}: members has no {config.member!r:.80}; it has {names}")
    strangers = sorted(set(config.founders) - set(config.members))
    if strangers:
        raise Mistake(f"{where}: founders names {strangers[0]!r:.80}, which is no member")
    unknown = sorted(set(config.via) - set(config.members))
    if unknown:
        raise Mistake(f"{where}: via names {unknown[0]!r:.80}, which is no member")
    for key in ("clients", "metrics"):
        if getattr(config, key):
            parse_address(getattr(config, key), f"{where}: {key}")
    if config.spans:
        check_url(config.spans, f"{where}: spans")
    for table in ("members", "via", "visitors"):
        for member, text in getattr(config, table).items():
            parse_address(text, f"{where}: {table}.{member}")
    exposed = [config.clients, config.members[config.member], config.metrics]
    for text, is_safe in zip(exposed, _safe(config), strict=True):
        if text and not is_safe and not is_loopback(text) and not config.insecure:
            raise Mistake(
                f"{where}: {text} is open to other machines without TLS: "
                "give a [tls] table (with clients = true for clients), or set insecure = true"
            )


def _safe(config: Config) -> tuple[bool, bool, bool]:
    """Whether TLS protects clients, members, and metrics, which are never protected."""
    return config.tls is not None and config.tls.clients, config.tls is not None, False


def parse_address(text: str, where: str) -> Address:
    """`host:port` as a pair. Raises Mistake."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isdecimal() and 0 <= int(port[:6]) < 65536
    if not colon or not is_port or not _HOST.fullmatch(host):
        raise Mistake(f"{where}: expected an address such as 127.0.0.1:7001, found {text!r:.80}")
    return host, int(port)


def check_url(text: str, where: str) -> None:
    """Raises Mistake unless it is the URL of a server."""
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or set(text) & set(" ?#") or not text.isprintable():
        raise Mistake(f"{where}: expected a URL such as http://127.0.0.1:4318, found {text!r:.80}")


def is_loopback(text: str) -> bool:
    """Whether the address can be reached from this machine alone."""
    host = parse_address(text, "address")[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_contexts(
    tls: Tls | None, base: Path
) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None, ssl.SSLContext | None]:
    """For dialling members, for being dialled by them, and for clients. Raises Mistake."""
    if tls is None:
        return None, None, None
    try:
        ca, chain, key = (str(base / name) for name in (tls.ca, tls.certificate, tls.key))
        dial = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
        serve = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
        clients = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
        for context in (dial, serve, clients):
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(chain, key)
    except (OSError, ssl.SSLError) as error:
        raise Mistake(f"tls: {error}: check ca, certificate and key") from error
    serve.verify_mode = ssl.CERT_REQUIRED
    if tls.client_certificates:
        clients.verify_mode = ssl.CERT_REQUIRED
    return dial, serve, clients if tls.clients else None


def tell_failures(context: ssl.SSLContext, tell: Callable[[str], None]) -> None:
    """Let handshakes that fail be told: event loops let them go without a word."""

    class Told(ssl.SSLObject):
        """Tells why its handshake has failed."""

        def do_handshake(self) -> None:
            """As ever."""
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                tell(f"TLS: {error.reason or error}".replace("_", " ").lower())
                raise

    context.sslobject_class = Told


def to_toml(values: dict[str, Any]) -> str:
    """Settings as TOML: texts, numbers, truth values, lists of texts, and tables of these."""
    lines = [f"{key} = {_toml(v)}" for key, v in values.items() if not isinstance(v, dict)]
    for key, table in values.items():
        if isinstance(table, dict):
            lines += ["", f"[{key}]", *(f"{_key(name)} = {_toml(v)}" for name, v in table.items())]
    return "\n".join(lines) + "\n"


def write_config(path: Path, config: Config) -> None:
    """Put a configuration in place of the one in the file, whole.

    Raises Mistake, also if the configuration could not be read again.
    """
    _check(config, str(path))
    given = {
        key: value
        for key, value in msgspec.to_builtins(config).items()
        if value is not None and value != {} and value != []
    }
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_text(to_toml(given), "utf-8")
        new.replace(path)
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror}") from error


def _toml(value: str | int | list[str]) -> str:
    """As JSON, but for the one character that JSON leaves as it is, and TOML refuses."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _toml(name)
