"""A store in shards: every node has a replica of each, and each register belongs to one."""

from zlib import crc32

from quorate.kernel import Env, Map, Node, NodeId, Request, on, run_child
from quorate.protocols.replication.abd import Abd

SHARDS = 2


class Sharded(Node):
    shards: Map[str, Abd] = Map({str(shard): Abd(id=NodeId("")) for shard in range(SHARDS)})

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """The register's shard does it, and answers the client itself."""
        shard = crc32((msg.operation.key or "").encode()) % SHARDS
        run_child(self, f"shards.{shard}", msg, env, env.sender)
