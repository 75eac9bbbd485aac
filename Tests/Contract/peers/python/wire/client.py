"""The client's role: WIRE.md, sections 11.2 and 11.4."""

import heapq
from typing import Optional

from . import frames, metadata
from .connection import Connection
from .errors import CallError, Code, Processed, broken
from .events import Draining, Finished, MessageArrived, Result, RoomForCalls
from .flow import Inbound, Outbound
from .frames import BIDI, CLIENT_STREAM, SERVER_STREAM
from .limits import NO_DEADLINE, RETIRING_ID, Limits, Timers


class ClientCall:
    def __init__(self, connection: "ClientConnection", id: int, kind: int, limit: int):
        self.id, self.kind = id, kind
        self.client_streams = kind in (CLIENT_STREAM, BIDI)
        self.server_streams = kind in (SERVER_STREAM, BIDI)
        limits = connection.limits
        self.inbound = Inbound(connection.book, not self.server_streams, limit, limits.call_credit)
        self.outbound = Outbound(id, not self.client_streams, connection.peer.call_credit, can_end=True)
        self.response: Optional[bytes] = None
        self.expires: Optional[float] = None
        self.abandoned = False

    @property
    def is_whole(self) -> bool:
        """Whether all of a request of one message has gone out; a stream may always have begun to run."""
        return self.client_streams or not self.outbound.queue


class ClientConnection(Connection):
    role, peer_role = frames.CLIENT, frames.SERVER
    announced_calls = 0
    last_taken = 0

    def __init__(self, limits: Limits, timers: Timers, now: float, fingerprints: tuple = ()):
        super().__init__(limits, timers, now, fingerprints)
        self.drained: Optional[int] = None  # last_call of the server's DRAIN
        self.leaving = False

    @staticmethod
    def accepts_calls(count: int) -> bool:
        return 1 <= count <= 65_536

    # ---- What the application wants ------------------------------------------------------------------------------

    @property
    def takes_calls(self) -> bool:
        """Whether calls may ever start here again."""
        return not self.closed and self.drained is None and not self.leaving and self.highest + 1 < RETIRING_ID

    @property
    def has_room(self) -> bool:
        return self.takes_calls and self.peer is not None and len(self.calls) < self.peer.max_concurrent_calls

    def call(
        self, method: int, kind: int, now: float, message: Optional[bytes] = None, timeout: Optional[float] = None,
        entries: tuple = (), lane: int = 0, limit: Optional[int] = None,
    ) -> int:
        """Starts a call where there is room; its id. Raises CallError for a message that the server never takes."""
        if len(message or b"") > self.peer.max_message_size:
            raise CallError(Code.RESOURCE_EXHAUSTED, 40, "The request is longer than the server takes.")
        self.highest += 1
        id = self.highest
        call = ClientCall(self, id, kind, min(limit or self.limits.max_message_size, self.limits.max_message_size))
        self.calls[id] = call
        remaining = NO_DEADLINE
        if timeout is not None:
            remaining = max(0, min(int(timeout * 1e6), NO_DEADLINE - 1))
            call.expires = now + timeout
            heapq.heappush(self.alarms, (call.expires, id))
        self.send_call(call, frames.Call(id, method, remaining, kind, lane, metadata.encode(entries)), message)
        return id

    def send_call(self, call: ClientCall, frame: frames.Call, message: Optional[bytes]):
        if message is not None:
            room = self.peer.max_frame_size - frames.Call.fixed.size - len(frame.metadata)
            frame.length, frame.fragment = len(message), message[:room]
            frame.end = not call.client_streams and len(message) <= room
            call.outbound.end_wanted = not call.client_streams
            call.outbound.end_sent = frame.end
        self.send(frame)
        if message is not None and len(message) > len(frame.fragment):
            self.enqueue(call, message, sent=len(frame.fragment))

    def request(self, id: int, message: bytes) -> bool:
        """One message of the client's stream; False when the call takes no more."""
        call = self.calls.get(id)
        if not call or call.abandoned or call.outbound.end_wanted or len(message) > self.peer.max_message_size:
            return False
        self.enqueue(call, message)
        return True

    def end_requests(self, id: int):
        """Ends the client's stream behind what waits."""
        call = self.calls.get(id)
        if not call or call.abandoned or call.outbound.end_wanted:
            return
        call.outbound.end_wanted = True
        if not call.outbound.queue:
            call.outbound.end_sent = True
            self.send(frames.End(id))

    def cancel(self, id: int):
        call = self.calls.get(id)
        if call and not call.abandoned:
            processed = Processed.MAYBE if call.is_whole else Processed.NO
            self.abandon(call, Result(Code.CANCELLED, "The caller gave up.", processed))

    def leave(self):
        """Ends the connection when its calls have ended (W-107)."""
        self.leaving = True
        self.leave_when_done()

    # ---- What a server sends -------------------------------------------------------------------------------------

    def take_other(self, frame, now: float):
        if isinstance(frame, frames.Status):
            self.take_status(frame)
        elif isinstance(frame, frames.Drain):
            self.take_drain(frame)

    def take_drain(self, frame: frames.Drain):
        if self.drained is not None:
            raise broken(101, "a second DRAIN")
        self.drained = frame.last_call
        self.send(frames.DrainAck(self.highest))
        self.events.append(Draining())

    def take_msg(self, msg: frames.Msg, now: float):
        call = self.find(msg.call)
        second = call.inbound.single and msg.length is not None and call.inbound.count
        if second and call.inbound.declared is None:
            raise broken(26, "a second response")
        try:
            message = self.collect(call, msg, now)
        except CallError as error:
            return self.abandon(call, Result(error.code, str(error), Processed.MAYBE))
        if message is not None and call.server_streams:
            self.events.append(MessageArrived(call.id, message))
        elif message is not None:
            call.response = message
        self.give_back(call)

    def take_status(self, status: frames.Status):
        call = self.find(status.call)
        del self.calls[call.id]
        if not call.abandoned:
            self.events.append(Finished(call.id, self.result(call, status)))
        call.inbound.drop()
        self.events.append(RoomForCalls())
        self.leave_when_done()

    def result(self, call: ClientCall, status: frames.Status) -> Result:
        result = Result(
            Code(status.code), status.text.decode(errors="replace"), Processed(status.processed), None, status.details,
            [], status.queued, status.ran, status.retry_after)
        try:
            result.metadata = metadata.decode(status.metadata, self.limits.max_metadata_size)
            if result.code == Code.OK:
                result.message = self.response(call, status)
        except CallError as error:
            # What is wrong with trailers is the server's fault, not the caller's argument (W-65).
            code = Code.INTERNAL if error.code == Code.INVALID_ARGUMENT else error.code
            result.code, result.text, result.details = code, str(error), b""
        return result

    def response(self, call: ClientCall, status: frames.Status) -> Optional[bytes]:
        """The one response of a call that ended well; none where the server streams."""
        if call.inbound.declared is not None:
            raise CallError(Code.INTERNAL, 87, "OK came within a message.")
        if status.message is not None and (call.server_streams or call.response is not None):
            raise CallError(Code.INTERNAL, 26, "A message too many came.")
        if call.server_streams:
            return None
        if status.message is not None and len(status.message) > call.inbound.limit:
            raise CallError(Code.RESOURCE_EXHAUSTED, 40, f"A message of more than {call.inbound.limit} bytes.")
        message = call.response if status.message is None else status.message
        if message is None:
            raise CallError(Code.INTERNAL, 87, "OK came without a message.")
        return message

    def take_call_credit(self, credit: frames.Credit, now: float):
        if credit.call > self.highest:
            raise broken(29, f"a frame for call {credit.call}, which never started")
        call = self.calls.get(credit.call)
        if not call:
            return self.floods[125].add(now)
        if not call.abandoned:
            call.outbound.grow(credit.bytes)

    def find(self, id: int) -> ClientCall:
        if id > self.highest:
            raise broken(29, f"a frame for call {id}, which never started")
        if id not in self.calls:
            raise broken(86, f"a frame for call {id}, which has ended")
        return self.calls[id]

    # ---- How calls end -------------------------------------------------------------------------------------------

    def alarm(self, id: int, now: float):
        call = self.calls.get(id)
        if call and not call.abandoned and call.expires is not None and now >= call.expires:
            processed = Processed.MAYBE if call.is_whole else Processed.NO
            self.abandon(call, Result(Code.DEADLINE_EXCEEDED, "The deadline has passed.", processed))

    def abandon(self, call: ClientCall, result: Result):
        """The application has its result; the server still has to end the call (W-75)."""
        call.abandoned = True
        call.outbound.clear()
        call.inbound.drop()
        self.send(frames.Cancel(call.id))
        self.give_back(call)
        self.events.append(Finished(call.id, result))

    def all_sent(self, call: ClientCall):
        pass

    def leave_when_done(self):
        retired = self.highest + 1 >= RETIRING_ID
        if (self.leaving or retired) and not self.calls:
            self.say_goodbye()

    def finish_calls(self, last_call: Optional[int]):
        """W-83."""
        reached = [last for last in (self.drained, last_call) if last is not None]
        for call in self.calls.values():
            if call.abandoned:
                continue
            ran = call.is_whole and all(call.id <= last for last in reached)
            processed = Processed.MAYBE if ran else Processed.NO
            text = f"The connection was lost: {self.closed.reason or self.closed.code.name}."
            self.events.append(Finished(call.id, Result(Code.UNAVAILABLE, text, processed)))
