import Glibc
import NIOPosix
package import RPCTransport

/// The addresses of a name, as the system resolves it.
struct DNSSource: AddressSource {
    /// Looks of all resolvers share these: a name server that does not answer holds up other names, never the process.
    static let threads = NIOThreadPool.running(2)
    /// `getaddrinfo` does not tell for how long an answer holds.
    static let interval = Duration.seconds(30)
    static let pause = Duration.seconds(1)

    let name: HostPort

    var description: String { "dns:///\(name)" }

    func look() throws(ResolverError) -> [HostPort]? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name.host, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard code == 0 else { throw ResolverError("the name \(name.host) does not resolve: \(Self.text(code))") }
        let hosts = Self.hosts(list)
        guard !hosts.isEmpty else { throw ResolverError("the name \(name.host) has no address") }
        return hosts.map { HostPort(host: $0, port: name.port) }
    }

    /// Each once, in the system's order.
    private static func hosts(_ list: UnsafeMutablePointer<addrinfo>?) -> [String] {
        var hosts: [String] = []
        var next = list
        while let entry = next?.pointee {
            if let host = host(entry), !hosts.contains(host) { hosts.append(host) }
            next = entry.ai_next
        }
        return hosts
    }

    private static func host(_ entry: addrinfo) -> String? {
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let code = getnameinfo(
            entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
        guard code == 0 else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func text(_ code: CInt) -> String { String(cString: gai_strerror(code)).lowercased() }
}

extension PeerResolver where Self == PollingResolver {
    /// The addresses that a name has, asked for again every 30 s and when connections fail.
    package static func dns(_ name: HostPort) -> PollingResolver {
        PollingResolver(
            DNSSource(name: name), on: DNSSource.threads,
            schedule: ResolutionSchedule(interval: DNSSource.interval, pause: DNSSource.pause))
    }
}
