import RPCCore
import SwiftProtobuf
import Testing

/// Bytes that are no message end as the caller's fault, before the handler, and nothing recurses over them.
@Suite struct HostileBytesTests {
    static let samples: [(name: String, bytes: [UInt8])] = [
        ("cut short", [0x0a, 0x05, 1]),
        ("a varint of eleven bytes", [UInt8](repeating: 0xff, count: 10) + [1]),
        ("a field number of 0", [0x00]),
        ("a length of 2 GiB", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x07]),
        // Unknown groups within each other (CVE-2024-7254): 100,000 deep, never closed, and closed.
        ("groups without end", [UInt8](repeating: 0x7b, count: 100_000)),
        ("deep groups", [UInt8](repeating: 0x7b, count: 100_000) + [UInt8](repeating: 0x7c, count: 100_000)),
    ]

    @Test(arguments: samples.map(\.name))
    func areTheCallersFault(_ name: String) throws {
        let bytes = try #require(Self.samples.first { $0.name == name }).bytes
        let error = try #require(throws: RPCError.self) {
            let _: DigestSumRequest = try DigestServiceContract.sum.decode(request: bytes)
        }
        #expect(error.code == .invalidArgument)
        #expect(error.reason == "malformed_request")
    }
}
