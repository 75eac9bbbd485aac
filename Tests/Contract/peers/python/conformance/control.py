"""Carries out the harness's commands."""

import asyncio
from dataclasses import replace
from typing import Optional

from net.client import Channel
from net.server import Server
from net.tls import Credentials
from wire.limits import Limits, Timers

from . import methods
from .caller import Caller
from .messages import FEATURE, Reply
from .service import Service
from .stdio import Pipe

NAME = "lockstep-python 1.0"
FEATURES = ["STREAMS", "REPORT", "LIMITS", "FORWARD", "RAW_DETAILS", "DRAIN", "RELOAD", "TRAILERS", "AGE"]
TIMERS = {
    "handshake": "handshake_ms", "frame": "frame_ms", "message": "message_ms", "write": "write_ms",
    "keepalive_interval": "keepalive_interval_ms", "keepalive_timeout": "keepalive_timeout_ms",
    "drain_grace": "drain_grace_ms", "max_age": "max_age_ms", "idle": "idle_timeout_ms",
}
LIMITS = {
    "max_frame_size", "max_concurrent_calls", "connection_credit", "call_credit", "max_metadata_size",
    "max_message_size",
}


class Refused(Exception):
    """A command that cannot be carried out; why."""


class Peer:
    """A server or a client under test: which one, the commands say."""

    def __init__(self):
        self.pipe = Pipe()
        self.server: Optional[Server] = None
        self.service: Optional[Service] = None
        self.channels: dict = {}
        self.callers: dict = {}  # id of the command -> what it started
        self.tasks: set = set()

    async def run(self):
        while (command := await self.pipe.command()) is not None:
            task = asyncio.ensure_future(self.obey(command))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            # In their order: a call finds the channel that was opened before it.
            await asyncio.sleep(0)
        if self.server:
            self.server.close()

    async def obey(self, command):
        reply = Reply(id=command.id)
        verb = command.WhichOneof("body")
        try:
            if verb is None or not hasattr(self, verb):
                raise Refused("This peer does not know the command.")
            await getattr(self, verb)(getattr(command, verb), reply)
        except Refused as refusal:
            reply.failure = str(refusal)
        except Exception as error:
            reply.failure = f"{type(error).__name__}: {error}"
        self.pipe.reply(reply)

    async def describe(self, command, reply: Reply):
        reply.description.implementation = NAME
        reply.description.features.extend(FEATURE[name] for name in FEATURES)

    # ---- As a server -------------------------------------------------------------------------------------------------

    async def start_server(self, command, reply: Reply):
        if command.sync:
            raise Refused("This peer has no SYNC service.")
        if self.server:
            raise Refused("The server runs already.")
        credentials = read_credentials(command.credentials)
        limits = read_limits(command.limits)
        self.service = Service(credentials)
        self.server = Server(
            self.service.handle, methods.rules, credentials, limits, read_timers(command.timers))
        await self.server.listen()
        reply.server_ready.host, reply.server_ready.port = "127.0.0.1", self.server.port

    def running(self) -> Server:
        if not self.server:
            raise Refused("There is no server.")
        return self.server

    async def drain_server(self, command, reply: Reply):
        await self.running().drain(command.grace_ms / 1000)
        reply.done.SetInParent()

    async def reload(self, command, reply: Reply):
        if self.server:
            await self.server.reload()
        for channel in self.channels.values():
            channel.reload()
        reply.done.SetInParent()

    async def report(self, command, reply: Reply):
        self.running()
        reply.tally.CopyFrom(self.service.counters.tallies[command.tag])
        reply.tally.connections = len(self.server.links)

    # ---- As a client -------------------------------------------------------------------------------------------------

    async def open_channel(self, command, reply: Reply):
        if len(command.endpoints) != 1:
            raise Refused("This peer's channels have one endpoint.")
        endpoints = [(endpoint.host, endpoint.port) for endpoint in command.endpoints]
        self.channels[command.name] = Channel(
            endpoints, command.service, read_credentials(command.credentials), read_limits(command.limits),
            read_timers(command.timers))
        reply.done.SetInParent()

    def channel(self, name: str) -> Channel:
        if name not in self.channels:
            raise Refused(f"There is no channel {name}.")
        return self.channels[name]

    async def close_channel(self, command, reply: Reply):
        await self.channel(command.name).close(command.grace_ms / 1000)
        del self.channels[command.name]
        reply.done.SetInParent()

    async def call(self, command, reply: Reply):
        if command.method >= len(methods.METHODS):
            raise Refused("This peer has no SYNC service.")
        caller = self.callers[reply.id] = Caller(self.channel(command.channel), command)
        try:
            reply.call_result.CopyFrom(await caller.run())
        finally:
            del self.callers[reply.id]

    async def cancel_call(self, command, reply: Reply):
        if command.call in self.callers:
            self.callers[command.call].cancel()
        reply.done.SetInParent()


def read_credentials(given) -> Credentials:
    return Credentials(given.certificate_file, given.key_file, given.authority_file)


def read_limits(given) -> Limits:
    """Zero is WIRE.md's default."""
    values = {name: getattr(given, name) for name in LIMITS if getattr(given, name)}
    if given.min_ping_interval_ms:
        values["min_ping_interval"] = given.min_ping_interval_ms
    limits = replace(Limits(), **values)
    call_credit = min(limits.call_credit, limits.connection_credit)
    return replace(limits, call_credit=call_credit, max_reassembly=max(limits.max_reassembly, limits.max_message_size))


def read_timers(given) -> Timers:
    values = {name: getattr(given, field) / 1000 for name, field in TIMERS.items() if getattr(given, field)}
    return replace(Timers(), **values)
