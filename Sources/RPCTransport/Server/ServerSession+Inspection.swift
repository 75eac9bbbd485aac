import NIOCore
import RPCCore

extension ServerSession {
    /// What this connection is doing. On its event loop.
    func report(_ channel: any Channel, loop: Int, now: MonotonicInstant) -> ConnectionReport {
        ConnectionReport(
            peer: driver.peer, address: channel.remoteAddress.map(Self.text) ?? "",
            age: openedAt?.duration(to: now), silence: driver.lastRead?.duration(to: now), totalCalls: totalCalls,
            loop: loop, calls: calls.sorted().map { report($0.value, now: now) })
    }

    private func report(_ open: OpenCall, now: MonotonicInstant) -> CallReport {
        CallReport(context: open.call.context, age: open.arrived.duration(to: now), state: state(of: open))
    }

    private func state(of open: OpenCall) -> CallReport.State {
        if let ticket = open.ticket, isQueued(ticket, open.call.context.method) { return .queued }
        return open.stop == nil ? .running : .stopping
    }

    private static func text(_ address: SocketAddress) -> String {
        guard let host = address.ipAddress, let port = address.port else { return "" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

extension ConnectionRegistry {
    /// The connections of one event loop.
    struct Place: Sendable {
        let loop: any EventLoop
        let entries: [Entry]
    }

    /// In order of the loops given, which are all that connections are served by.
    func byLoop(_ loops: [any EventLoop]) -> [Place] {
        let all = Dictionary(grouping: entries) { ObjectIdentifier($0.channel.eventLoop) }
        return loops.map { Place(loop: $0, entries: all[ObjectIdentifier($0)] ?? []) }
    }
}

extension ConnectionRegistry.Entry {
    func report(on loop: Int, now: MonotonicInstant) -> ConnectionReport {
        session.value.report(channel, loop: loop, now: now)
    }
}
