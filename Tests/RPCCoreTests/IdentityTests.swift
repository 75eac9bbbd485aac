import RPCCore
import Testing

@Suite struct IdentityTests {
    @Test(arguments: ["auth", "a", "e2e-probe", String(repeating: "x", count: 32)])
    func acceptsNamesOfServices(name: String) throws {
        let peer = try #require(PeerIdentity(uri: "spiffe://lockstep.local/service/\(name)"))
        #expect(peer.service == name && peer.description == name)
        #expect(peer == PeerIdentity(service: name))
    }

    @Test(arguments: [
        "", "auth", "spiffe://lockstep.local/service/", "spiffe://lockstep.local/service/Auth",
        "spiffe://lockstep.local/service/auth/", "spiffe://lockstep.local/service/auth/x",
        "spiffe://lockstep.local/service/../gateway", "spiffe://lockstep.local/service/auth?x",
        "spiffe://lockstep.local/service/au th", "spiffe://lockstep.local/service/auth\0",
        "spiffe://lockstep.local/service/àuth", "spiffe://other.local/service/auth",
        "SPIFFE://lockstep.local/service/auth", "https://lockstep.local/service/auth",
        "spiffe://lockstep.local/user/auth",
        "spiffe://lockstep.local/service/" + String(repeating: "x", count: 33),
    ])
    func refusesEverythingElse(uri: String) {
        #expect(PeerIdentity(uri: uri) == nil)
    }

    @Test(arguments: ["req_1", "a", "A-Z_0-9", String(repeating: "r", count: 64)])
    func acceptsRequestIDs(text: String) {
        #expect(RequestID.isValid(text))
    }

    @Test(arguments: ["", "a b", "a\nb", "a\"b", "ä", "a.b", String(repeating: "r", count: 65)])
    func refusesWhatCouldForgeALogLine(text: String) {
        #expect(!RequestID.isValid(text))
    }

    @Test(
        "A request id says what it was made of, be it held as a number or as text",
        arguments: [
            "req_0123456789abcdef0123456789abcdef", "req_ffffffffffffffff0000000000000000",
            "req_9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a", "req_0123456789ABCDEF0123456789abcdef",
            "req_0123456789abcdeg0123456789abcdef", "REQ_0123456789abcdef0123456789abcdef",
            "req_0123456789abcdef0123456789abcde", "req_0123456789abcdef0123456789abcdef0",
            "req_0123456789-bcdef0123456789abcde_", "a",
        ])
    func keepsRequestIDs(text: String) throws {
        let id = try #require(RequestID(text))
        var bytes = [UInt8](repeating: 0, count: id.size)
        bytes.withUnsafeMutableBytes { id.write(to: $0) }
        let written = String(decoding: bytes, as: UTF8.self)
        #expect(id.text == text && written == text)
        #expect(RequestID("a\nb") == nil && RequestID("") == nil)
    }

    @Test func makesRequestIDs() {
        struct Zeros: RandomNumberGenerator {
            mutating func next() -> UInt64 { 0xab }
        }
        var zeros = Zeros()
        #expect(RequestID.make(using: &zeros) == "req_00000000000000ab00000000000000ab")
        #expect(RequestID.isValid(RequestID.make()) && RequestID.make() != RequestID.make())
        #expect(RequestID() != RequestID() && RequestID(RequestID.make()) != nil)
    }
}
