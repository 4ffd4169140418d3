"""What an operator may have done by a member: operations of the protocol, and new acquaintances."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from quorate.errors import Mistake
from quorate.kernel.canonical import Plain
from quorate.kernel.node import Message, Node, Operation
from quorate.kernel.values import NodeId
from quorate.live.codec import Undecodable
from quorate.live.config import Config, parse_address, write_config

if TYPE_CHECKING:
    from quorate.live.member import Member

Answer = Callable[[dict[str, Any]], None]


class Question(msgspec.Struct, kw_only=True):
    """As JSON. What else a question holds is for those who understand it.

    Attributes:
        ask: status; operate: have a client node of this member ask for an operation; snapshot:
            have the server take one; or meet: know another member by its address from now on.
        f, key, value: the operation, its value encoded and in hexadecimal.
        member, address: whom to meet.
    """

    ask: str = "status"
    f: str = ""
    key: str | None = None
    value: str = ""
    member: str = ""
    address: str = ""


def acquainted(config: Config, name: str, address: str) -> Config:
    """The configuration of a member that knows one more."""
    founders = config.founders or list(config.members)
    members = config.members | {name: address}
    return msgspec.structs.replace(config, members=members, founders=founders)


def take_snapshot(node: type[Node]) -> type[Message] | None:
    """The message by which an operator has a server take a snapshot; None if it takes none."""
    named = {kind.__name__: kind for kind in node.handlers if issubclass(kind, Message)}
    return named.get("TakeSnapshot")


class Administration:
    """Of one member."""

    def __init__(self, member: "Member") -> None:
        self._member = member
        self._count = 0

    def take(self, question: Question, answer: Answer) -> None:
        """Do what is asked, and answer when it is done."""
        try:
            if question.ask == "operate":
                self._operate(question, answer)
            elif question.ask == "snapshot":
                answer(self._take_snapshot())
            elif question.ask == "meet":
                self._meet(question.member, question.address)
                answer({"met": question.member})
            else:
                answer(self._member.status())
        except (Mistake, Undecodable, ValueError) as error:
            answer({"error": str(error)})

    def _operate(self, question: Question, answer: Answer) -> None:
        member, host = self._member, self._member.host
        value: Plain = None
        if question.value:
            value = host.codec.plain(bytes.fromhex(question.value))
        self._count += 1
        id = NodeId(f"o{self._count}@{member.config.member}.{member.disk.incarnation}")
        hosted = host.add(member.front.client(id, member.door.peers))

        def end(status: str, result: Any) -> None:
            answer({"status": status, "value": None if result is None else str(result)})
            member.door.soon(lambda: host.remove(hosted))

        hosted.on_complete = end
        host.invoke(hosted, Operation(question.f, question.key, value))

    def _take_snapshot(self) -> dict[str, Any]:
        """Have the server store what it has applied, if it knows how."""
        member = self._member
        me = NodeId(member.config.member)
        kind = take_snapshot(type(member.server.node))
        if kind is None:
            raise Mistake(f"{member.config.system} takes no snapshots")
        member.host.deliver(me, me, kind(), 0)
        return {"taking": member.config.member}

    def _meet(self, name: str, address: str) -> None:
        """Know the member, also after a restart, and connect to it."""
        member = self._member
        config = member.config
        parse_address(address, name)
        if config.members.get(name) == address:
            return
        config = acquainted(config, name, address)
        write_config(member.path, config)
        member.config = config
        member.connect(name, address)
        peers = member.door.peers
        if name not in peers:
            member.door.peers = (*peers, NodeId(name))
