import Foundation
import RPCCore
import RPCTransport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// A process without descriptors left takes connections again as soon as there are some.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct DescriptorTests {
    @Test("The accept loop survives the exhaustion of descriptors")
    func exhaustion() async throws {
        try await withServer([.echo]) { _, address in
            // Made before the others are gone: the kernel completes its connection, the server cannot accept it.
            let waiting = Socket()
            let greedy = try Descriptors.takeAll()
            #expect(waiting.connect(to: address.port))
            #expect(Socket().isInvalid, "there is still a descriptor")
            greedy.release()
            try await withClient(address) { client in
                let answer = try await client.call(AsyncMethod.echoDescriptor, [1])
                #expect(answer == [1])
            }
        }
    }

    @Test("Connections that are reset in their handshake leave the listener alone")
    func resets() async throws {
        try await withServer([.echo]) { _, address in
            for _ in 0..<200 {
                let socket = Socket()
                #expect(socket.connect(to: address.port))
                socket.reset()
            }
            try await withClient(address) { client in
                let answer = try await client.call(AsyncMethod.echoDescriptor, [2])
                #expect(answer == [2])
            }
        }
    }
}

/// A TCP socket without a library between.
private final class Socket {
    private let descriptor: CInt

    init() { descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0) }

    deinit { if descriptor >= 0 { close(descriptor) } }

    var isInvalid: Bool { descriptor < 0 }

    func connect(to port: Int) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    /// Makes closing send RST instead of FIN.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
    }
}

/// All descriptors that the process may still have.
private final class Descriptors {
    private var taken: [CInt] = []
    private var before: rlimit

    private init(before: rlimit) { self.before = before }

    /// Lowers the limit to what is in use and a little, then takes the little.
    static func takeAll() throws -> Descriptors {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { throw POSIXError(.EINVAL) }
        let all = Descriptors(before: limit)
        let highest = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap(Int.init).max() ?? 0
        limit.rlim_cur = min(limit.rlim_cur, rlim_t(highest + 16))
        guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { throw POSIXError(.EINVAL) }
        while case let copy = dup(0), copy >= 0 { all.taken.append(copy) }
        return all
    }

    func release() {
        for descriptor in taken { close(descriptor) }
        taken = []
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
    }

    deinit { release() }
}
