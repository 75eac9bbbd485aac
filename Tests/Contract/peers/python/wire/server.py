"""The server's role: WIRE.md, sections 11.1 and 11.3."""

import heapq
from dataclasses import dataclass
from typing import Callable, Optional

from . import frames, metadata
from .connection import Connection
from .errors import CallError, Close, Code, Processed, WireError, broken
from .events import CallStarted, MessageArrived, RequestsEnded, StopRequested
from .flow import Inbound, Outbound
from .frames import BIDI, CLIENT_STREAM, SERVER_STREAM, UNARY
from .limits import MAX_DETAILS, MAX_TEXT, MESSAGE_COST, NO_DEADLINE, RETIRING_ID, Limits, Timers

RECEIVING, RUNNING, SENDING = "receiving", "running", "sending"
# Alarms of the connection itself.
GRACE, AGE, IDLE = 0, -1, -2


@dataclass
class MethodRules:
    """What a contract says of a method: bytes of a request, seconds."""

    request_limit: int
    default_deadline: Optional[float] = None
    max_deadline: Optional[float] = None


class ServerCall:
    def __init__(self, connection: "ServerConnection", frame: frames.Call, limit: int, entries: list, now: float):
        limits = connection.limits
        self.id, self.method, self.kind, self.lane = frame.call, frame.method, frame.kind, frame.lane
        self.metadata = entries
        self.client_streams = frame.kind in (CLIENT_STREAM, BIDI)
        self.server_streams = frame.kind in (SERVER_STREAM, BIDI)
        self.inbound = Inbound(connection.book, not self.client_streams, limit, limits.call_credit)
        self.outbound = Outbound(frame.call, not self.server_streams, connection.peer.call_credit, can_end=False)
        self.state = RUNNING if self.client_streams else RECEIVING
        self.message: Optional[bytes] = None
        self.arrived = now
        self.dispatched = now
        self.expires: Optional[float] = None
        self.told: Optional[Code] = None
        self.cut_off = False  # what the handler had sent was dropped
        self.status: Optional[frames.Status] = None  # waits for fragments before it


class ServerConnection(Connection):
    role, peer_role = frames.SERVER, frames.CLIENT

    def __init__(
        self, limits: Limits, timers: Timers, now: float, fingerprints: tuple = (), streams: bool = True,
        rules: Callable[[int], Optional[MethodRules]] = lambda method: None,
    ):
        super().__init__(limits, timers, now, fingerprints)
        self.streams, self.rules = streams, rules
        self.announced_calls = limits.max_concurrent_calls
        self.late_credit = 0  # what ended calls have left for frames under way to them
        self.last_call: Optional[int] = None  # of our DRAIN
        self.acknowledged = False
        self.quiet_since, self.seen = now, 0  # since when no look has found a call, and the highest id then
        if timers.max_age:
            heapq.heappush(self.alarms, (now + timers.max_age, AGE))
        if timers.idle:
            heapq.heappush(self.alarms, (now + timers.idle / 8, IDLE))

    @staticmethod
    def accepts_calls(count: int) -> bool:
        return count == 0

    @property
    def last_taken(self) -> int:
        return self.highest if self.last_call is None else self.last_call

    # ---- What a client sends -----------------------------------------------------------------------------------

    def take_other(self, frame, now: float):
        if isinstance(frame, frames.Call):
            self.take_call(frame, now)
        elif isinstance(frame, frames.End):
            self.take_end(frame, now)
        elif isinstance(frame, frames.Cancel):
            self.take_cancel(frame, now)
        elif isinstance(frame, frames.DrainAck):
            self.take_ack(frame)

    def take_call(self, frame: frames.Call, now: float):
        if self.acknowledged:
            raise broken(105, "a CALL after DRAIN_ACK")
        if frame.call <= self.highest:
            raise broken(20, f"call id {frame.call} after {self.highest}")
        self.highest = frame.call
        if len(frame.fragment) > (frame.length or 0):
            raise broken(41, "more bytes than declared")
        if frame.end and len(frame.fragment) < (frame.length or 0):
            raise broken(27, "END before the message is whole")
        try:
            if self.last_call is not None:
                raise CallError(Code.UNAVAILABLE, 100, "The server drains.")
            self.open(frame, now)
        except CallError as error:
            if not frame.end:
                self.expect_late(self.limits.call_credit)
            self.refuse(frame.call, error, now)
        if frame.call >= RETIRING_ID and self.last_call is None:
            self.drain(now, "call ids run out")

    def open(self, frame: frames.Call, now: float):
        """Takes a call, or raises why not."""
        self.check(frame)
        rules = self.rules(frame.method)
        limit = min(rules.request_limit, self.limits.max_message_size) if rules else self.limits.max_message_size
        entries = metadata.decode(frame.metadata, self.limits.max_metadata_size)
        if frame.remaining == 0:
            raise CallError(Code.DEADLINE_EXCEEDED, 71, "No time is left.")
        call = ServerCall(self, frame, limit, entries, now)
        whole = None
        if frame.length is not None:
            call.inbound.begin(frame.length, len(frame.fragment), paid=False)
            whole = call.inbound.add(frame.fragment, paid=False)
        self.calls[call.id] = call
        self.set_deadline(call, frame.remaining, rules, now)
        if call.client_streams:
            self.dispatch(call, now)
        self.take_whole(call, whole)
        if frame.end:
            self.take_requests_end(call, now)
        self.give_back(call)

    def check(self, frame: frames.Call):
        if len(self.calls) >= self.limits.max_concurrent_calls:
            raise CallError(Code.RESOURCE_EXHAUSTED, 22, "Too many calls at once.")
        if frame.kind > BIDI:
            raise CallError(Code.INVALID_ARGUMENT, 23, f"There is no kind {frame.kind}.")
        if frame.lane > 1:
            raise CallError(Code.INVALID_ARGUMENT, 24, f"There is no lane {frame.lane}.")
        if frame.kind in (UNARY, SERVER_STREAM) and frame.length is None:
            raise CallError(Code.INVALID_ARGUMENT, 25, "The call brings no message.")
        if frame.kind != UNARY and not self.streams:
            raise CallError(Code.UNIMPLEMENTED, 31, "There are no streams here.")

    def set_deadline(self, call: ServerCall, remaining: int, rules: Optional[MethodRules], now: float):
        asked = None if remaining == NO_DEADLINE else remaining / 1e6
        if asked is None and rules:
            asked = rules.default_deadline
        longest = rules.max_deadline if rules else None
        if asked is not None or longest is not None:
            call.expires = now + min(value for value in (asked, longest) if value is not None)
            heapq.heappush(self.alarms, (call.expires, call.id))
        if call.state == RECEIVING:
            heapq.heappush(self.alarms, (now + self.timers.message, call.id))

    def take_msg(self, msg: frames.Msg, now: float):
        cost = len(msg.fragment) + (MESSAGE_COST if msg.length is not None else 0)
        call = self.find(msg.call, now, cost)
        if not call:
            return
        if call.inbound.ended:
            raise broken(28, "MSG after END")
        second = call.inbound.single and msg.length is not None and call.inbound.count
        if second and call.inbound.declared is None:
            return self.end_call(call, CallError(Code.INVALID_ARGUMENT, 26, "A second message."), now)
        try:
            self.take_whole(call, self.collect(call, msg, now))
        except CallError as error:
            return self.end_call(call, error, now)
        if msg.end and call.inbound.declared is not None:
            raise broken(27, "END before the message is whole")
        if msg.end:
            self.take_requests_end(call, now)
        self.give_back(call)

    def take_whole(self, call: ServerCall, message: Optional[bytes]):
        if message is None:
            return
        if call.client_streams:
            self.events.append(MessageArrived(call.id, message))
        else:
            call.message = message

    def take_end(self, frame: frames.End, now: float):
        call = self.find(frame.call, now, MESSAGE_COST)
        if not call:
            return
        if call.inbound.ended:
            raise broken(28, "END after END")
        if call.inbound.declared is not None:
            raise broken(27, "END before the message is whole")
        self.take_requests_end(call, now)

    def take_requests_end(self, call: ServerCall, now: float):
        call.inbound.ended = True
        if call.state == RECEIVING:
            self.dispatch(call, now)
        elif call.client_streams and not call.told and call.state == RUNNING:
            self.events.append(RequestsEnded(call.id))

    def dispatch(self, call: ServerCall, now: float):
        call.state, call.dispatched = RUNNING, now
        self.events.append(
            CallStarted(
                call.id, call.method, call.kind, call.lane, call.metadata, call.expires, call.arrived, call.message))

    def take_cancel(self, frame: frames.Cancel, now: float):
        self.floods[122].add(now)
        call = self.find(frame.call, now, counted=True)
        if call:
            self.stop(call, Code.CANCELLED)

    def take_call_credit(self, credit: frames.Credit, now: float):
        call = self.find(credit.call, now)
        if call:
            call.outbound.grow(credit.bytes)

    def find(self, id: int, now: float, cost: Optional[int] = None, counted: bool = False) -> Optional[ServerCall]:
        """None for a call that has ended, whose frames are late. `cost`: the credit that pays for such a frame."""
        if id > self.highest:
            raise broken(29, f"a frame for call {id}, which never started")
        call = self.calls.get(id)
        if not call and not counted:
            self.take_late(cost, now)
        return call

    def take_late(self, cost: Optional[int], now: float):
        """A frame of an ended call: the credit that the call left pays for it, or it counts (W-125)."""
        if cost is not None and cost <= self.late_credit:
            self.late_credit -= cost
        else:
            self.floods[125].add(now)

    def expect_late(self, credit: int):
        """A call has ended before its client's END: so much, and an END, may be under way."""
        most = self.limits.max_concurrent_calls * (self.limits.call_credit + MESSAGE_COST)
        self.late_credit = min(most, self.late_credit + credit + MESSAGE_COST)

    def take_ack(self, frame: frames.DrainAck):
        if self.last_call is None or self.acknowledged:
            raise broken(102, "a DRAIN_ACK that answers no DRAIN")
        if frame.last_call != self.highest:
            raise broken(103, f"{frame.last_call} acknowledged, {self.highest} seen")
        self.acknowledged = True
        self.close_when_drained()

    # ---- What the application wants ------------------------------------------------------------------------------

    def respond(self, id: int, message: bytes) -> bool:
        """One message of the server's stream; False when nobody waits for it."""
        call = self.calls.get(id)
        if not call or call.told or call.state != RUNNING or len(message) > self.peer.max_message_size:
            return False
        self.enqueue(call, message)
        return True

    def finish(self, id: int, status: frames.Status, now: float):
        """The handler's answer. `status.message` is the response where there is exactly one."""
        call = self.calls.get(id)
        if not call or call.state != RUNNING:
            return
        status.call = id
        status.text, status.details = status.text[:MAX_TEXT], status.details[:MAX_DETAILS]
        status.queued = microseconds(call.dispatched - call.arrived)
        status.ran = microseconds(now - call.dispatched)
        if len(status.message or b"") > self.peer.max_message_size:
            status.message, status.code = None, Code.RESOURCE_EXHAUSTED
        call.inbound.drop()
        self.give_back(call)
        if call.told:
            return self.finish_told(call, status)
        if status.size > self.peer.max_frame_size:
            self.enqueue(call, status.message)
            status.message = None
        call.status, call.state = status, SENDING
        if not call.outbound.queue:
            self.all_sent(call)

    def finish_told(self, call: ServerCall, status: frames.Status):
        if call.told == Code.DEADLINE_EXCEEDED:
            status.processed = Processed.YES if status.code == Code.OK else Processed.MAYBE
            status.code, status.text, status.message = call.told, b"The deadline has passed.", None
        elif status.code == Code.OK and (call.cut_off or status.size > self.peer.max_frame_size):
            status.code, status.message = Code.CANCELLED, None
        self.close_call(call, status)

    def all_sent(self, call: ServerCall):
        """STATUS behind the last fragment."""
        if call.state == SENDING:
            self.close_call(call, call.status)

    def drain(self, now: float, reason: str = "", grace: Optional[float] = None):
        """Takes no more calls; ends when the client agrees and those under way have ended."""
        if self.closed or self.last_call is not None:
            return
        if self.peer is None:
            return self.say_goodbye()
        self.last_call = self.highest
        grace = self.timers.drain_grace if grace is None else grace
        heapq.heappush(self.alarms, (now + grace, GRACE))
        self.send(frames.Drain(self.last_call, int(grace * 1000), reason.encode()))

    # ---- How calls end -------------------------------------------------------------------------------------------

    def alarm(self, id: int, now: float):
        if id == GRACE:
            raise WireError(Close.TIMEOUT, 104, "the drain's grace is over")
        if id == AGE:
            return self.drain(now, "the connection is old")
        if id == IDLE:
            return self.look(now)
        call = self.calls.get(id)
        if not call:
            return
        if call.expires is not None and now >= call.expires:
            self.stop(call, Code.DEADLINE_EXCEEDED)
        elif call.state == RECEIVING and now >= call.arrived + self.timers.message:
            self.end_call(call, CallError(Code.DEADLINE_EXCEEDED, 45, "The request did not come whole."), now)

    def look(self, now: float):
        """W-108: calls need not tell when they come and go; an idle connection ends a little later for it."""
        if self.calls or self.highest != self.seen:
            self.seen, self.quiet_since = self.highest, now
        elif now >= self.quiet_since + self.timers.idle:
            return self.drain(now, "nobody calls")
        heapq.heappush(self.alarms, (now + self.timers.idle / 8, IDLE))

    def stop(self, call: ServerCall, reason: Code):
        """CANCEL or the deadline."""
        if call.state == RECEIVING:
            return self.close_call(call, frames.Status(call.id, reason, Processed.NO))
        cut_off = call.outbound.clear()
        if call.state == SENDING:
            status = call.status
            status.code, status.message = reason, None
            return self.close_call(call, status)
        if call.told:
            return
        call.told, call.cut_off = reason, cut_off
        call.inbound.drop()
        self.give_back(call)
        self.events.append(StopRequested(call.id, reason))

    def refuse(self, id: int, error: CallError, now: float):
        if error.rule in (22, 23, 24, 25, 26, 60, 61, 62, 63, 64, 65):
            self.floods[127].add(now)
        self.send(frames.Status(id, error.code, Processed.NO, str(error).encode()))

    def end_call(self, call: ServerCall, error: CallError, now: float):
        """A call error within a call: STATUS goes out at once; a handler that runs owes nothing."""
        if call.state == RECEIVING:
            self.forget(call)
            self.refuse(call.id, error, now)
            return self.close_when_drained()
        self.events.append(StopRequested(call.id, error.code))
        self.close_call(call, frames.Status(call.id, error.code, Processed.MAYBE, str(error).encode()))

    def forget(self, call: ServerCall):
        del self.calls[call.id]
        call.inbound.drop()
        if not call.inbound.ended:
            self.expect_late(call.inbound.left)

    def close_call(self, call: ServerCall, status: frames.Status):
        self.forget(call)
        self.send(status)
        self.close_when_drained()

    def close_when_drained(self):
        if self.acknowledged and not self.calls:
            self.say_goodbye()

    def finish_calls(self, last_call: Optional[int]):
        for call in self.calls.values():
            if call.state == RUNNING and not call.told:
                self.events.append(StopRequested(call.id, Code.UNAVAILABLE))


def microseconds(seconds: float) -> int:
    return min(int(seconds * 1e6), 2**32 - 1)
