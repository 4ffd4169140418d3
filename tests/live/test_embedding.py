"""A cluster inside a program: as a user's test would have one."""

import asyncio
from pathlib import Path

import pytest

from quorate.errors import Mistake
from quorate.live.cluster import KV, Cluster, Refused

REGISTER = '''
"""A register on one server: not replicated, but a node class of somebody's own."""

from quorate.kernel import Durable, Env, Node, Operation, Request, Response, on


class Single(Node):
    """Keeps one value on its disk."""

    value: Durable[int | None] = None

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        if msg.operation.f == "put":
            self.value = msg.operation.value
        env.reply(Response(msg.number, self.value))
'''


def test_a_store_within_a_program() -> None:
    async def program() -> list[object]:
        async with Cluster(KV, nodes=3) as cluster:
            assert len(cluster.addresses) == 3
            await cluster.put("x", "1")
            counted = await cluster.ask("INCRBY", "x", 4)
            value = await cluster.get("x")
            await cluster.delete("x")
            with pytest.raises(Refused, match="wrong number of arguments"):
                await cluster.ask("GET")
            return [counted, value, await cluster.get("x")]

    assert asyncio.run(program()) == [5, b"5", None]


def test_data_in_a_directory_outlives_the_cluster(tmp_path: Path) -> None:
    async def put() -> None:
        async with Cluster(KV, nodes=1, directory=tmp_path / "c") as cluster:
            await cluster.put("x", "kept")

    async def get() -> object:
        async with Cluster(KV, directory=tmp_path / "c") as cluster:
            return await cluster.get("x")

    asyncio.run(put())
    assert asyncio.run(get()) == b"kept"


def test_a_node_class_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "single.py"
    path.write_text(REGISTER, "utf-8")

    async def program() -> object:
        async with Cluster(f"{path}:Single", nodes=1) as cluster:
            await cluster.put("x", 7)
            return await cluster.get("x")

    assert asyncio.run(program()) == 7


def test_what_is_no_system_is_told(tmp_path: Path) -> None:
    async def program() -> None:
        async with Cluster("kvv", nodes=1, directory=tmp_path / "c"):
            pass

    with pytest.raises(Mistake, match="kvv"):
        asyncio.run(program())
