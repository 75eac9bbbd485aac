package import NIOCore
package import WireCore

/// What the driver needs of a connection's state machine, on either side.
package protocol WireMachine: ~Copyable {
    associatedtype Event
    var isCongested: Bool { get }
    var isClosed: Bool { get }
    func nextTimeout() -> WireInstant?
    mutating func receive(_ bytes: ByteBuffer, now: WireInstant)
    mutating func nextEvent() -> Event?
    mutating func takeOutbound() -> ByteBuffer?
    mutating func handleTimeout(now: WireInstant)
    mutating func connectionClosed(now: WireInstant)
    mutating func close(_ reason: String, now: WireInstant)
}

extension ServerConnection: WireMachine {}
extension ClientConnection: WireMachine {}
