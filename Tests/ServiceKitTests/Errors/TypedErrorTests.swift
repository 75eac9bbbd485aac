import RPCCore
import ServiceKit
import Testing

@Suite struct TypedErrorTests {
    static let errors: [(any LoggableError & RPCErrorConvertible, StatusCode)] = [
        (SecurityError.unauthenticated(), .unauthenticated),
        (SecurityError.notAllowed("Only the owner may do that."), .permissionDenied),
        (SecurityError.tampered("keyring"), .dataLoss),
        (DatabaseError(.busy, operation: "create session", detail: "planted"), .unavailable),
        (DatabaseError(.unavailable, operation: "create session", detail: "planted"), .unavailable),
        (DatabaseError(.conflict, operation: "create session", detail: "planted"), .aborted),
        (DatabaseError(.corrupt, operation: "create session", detail: "planted"), .dataLoss),
        (TimeoutError(operation: "asking the provider", after: .seconds(5)), .deadlineExceeded),
        (ProviderError(.unreachable, provider: "acme", detail: "planted"), .unavailable),
        (ProviderError(.rejected, provider: "acme", detail: "planted"), .failedPrecondition),
        (ProviderError(.malformed, provider: "acme", detail: "planted"), .unavailable),
        (ProviderError(.needsReconnection, provider: "acme", detail: "planted"), .failedPrecondition),
    ]

    @Test(arguments: errors.indices)
    func eachHasAStatusALogLineAndASentence(index: Int) {
        let (error, code) = Self.errors[index]
        let known = error.rpcError
        #expect(known.code == code)
        #expect(!known.reason.isEmpty && known.reason.allSatisfy { $0.isLowercase || $0 == "_" })
        #expect(known.message.hasSuffix(".") && known.message.count > 20)
        #expect(!known.message.contains("planted"), "detail is for the log alone")
        #expect(!error.logLine.isEmpty && !error.logLine.contains("\n"))
        #expect(RPCError.fromHandler(error) == known)
    }
}
