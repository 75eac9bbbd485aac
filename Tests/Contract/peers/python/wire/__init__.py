"""The lockstep/1 protocol as Protocols/WIRE.md describes it: bytes and time in, bytes and events out. No sockets."""
