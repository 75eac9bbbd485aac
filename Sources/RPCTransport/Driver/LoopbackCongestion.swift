package import NIOCore

/// Congestion control within one machine, where nothing is lost and nothing is learnt from delay.
///
/// Where a system's default is BBR, a large write on a loopback connection leaves at the bandwidth that BBR has measured, timer by
/// timer: messages of 1 MB took an eighth more of both cores. Reno sends what the window lets through, and lets it grow until
/// something is lost. It is part of every kernel and needs no privilege (tcp(7), `tcp_allowed_congestion_control`). For small messages
/// nothing is gained.
package struct LoopbackCongestion {
    /// A burst from which this is worth while, in bytes.
    private static let large = 96 * 1024

    private var isChosen = false

    package init() {}

    /// As `TCP_CONGESTION` takes it: four bytes, no terminator.
    private typealias Name = (UInt8, UInt8, UInt8, UInt8)
    private static var reno: Name { (UInt8(ascii: "r"), UInt8(ascii: "e"), UInt8(ascii: "n"), UInt8(ascii: "o")) }
    /// `TCP_CONGESTION` of <netinet/tcp.h>.
    private static var option: NIOBSDSocket.Option { NIOBSDSocket.Option(rawValue: 13) }

    /// To be told of each burst, before it leaves.
    package mutating func note(_ burst: ByteBuffer, on channel: @autoclosure () -> any Channel) {
        guard burst.readableBytes >= Self.large, !isChosen else { return }
        isChosen = true
        Self.choose(for: channel())
    }

    /// Chooses it for a connection to a loopback address; others stay as they are, and so does one where the system refuses.
    package static func choose(for channel: any Channel) {
        guard channel.remoteAddress?.isLoopback == true, let socket = channel as? any SocketOptionProvider else { return }
        _ = socket.unsafeSetSocketOption(level: .tcp, name: option, value: reno)
    }
}

extension SocketAddress {
    /// An address of 127.0.0.0/8 (RFC 1122 section 3.2.1.3), or ::1 (RFC 4291 section 2.5.3).
    package var isLoopback: Bool {
        switch self {
        case .v4(let address): UInt32(bigEndian: address.address.sin_addr.s_addr) >> 24 == 127
        case .v6(let address):
            withUnsafeBytes(of: address.address.sin6_addr) { bytes in bytes.last == 1 && bytes.dropLast().allSatisfy { $0 == 0 } }
        case .unixDomainSocket: false
        }
    }
}
