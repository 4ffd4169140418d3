"""The replicated key-value store: what Redis's clients ask of it, as a deterministic machine."""

# All of them, as each puts its commands into the table: replicas must have one and the same.
from quorate.systems.kv import connection, expiry, hashes, introspection, keys, strings

FAMILIES = (strings, keys, expiry, hashes, connection, introspection)
