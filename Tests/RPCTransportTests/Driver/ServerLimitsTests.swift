import Testing

@testable import RPCTransport

@Suite struct ServerLimitsTests {
    @Test("A server without streams gives its calls more credit, never less, and never more than the connection has")
    func unaryCredit() {
        var options = ServerOptions()
        #expect(options.limits(acceptsStreams: false).callCredit == options.unaryCallCredit)
        #expect(options.limits(acceptsStreams: true) == options.limits)
        options.limits.callCredit = 1024 * 1024
        #expect(options.limits(acceptsStreams: false).callCredit == 1024 * 1024)
        (options.limits.callCredit, options.limits.connectionCredit) = (16 * 1024, 64 * 1024)
        #expect(options.limits(acceptsStreams: false).callCredit == 64 * 1024)
    }
}
