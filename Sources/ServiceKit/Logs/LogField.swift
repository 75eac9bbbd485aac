package import RPCCore

/// A named value in a log line.
package struct LogField: Sendable {
    let name: String
    let value: LogValue

    private init(_ name: StaticString, _ content: LogValue.Content) {
        self.init(name, LogValue(content: content))
    }

    private init(_ name: StaticString, _ value: LogValue) {
        self.name = "\(name)"
        self.value = value
    }

    /// An identifier of ours (`ses_…`, a key's name, a host). Text that is not shaped like one becomes a placeholder.
    package static func id(_ name: StaticString, _ text: String) -> LogField { LogField(name, .identifier(text)) }

    package static func count(_ name: StaticString, _ number: some BinaryInteger) -> LogField {
        LogField(name, .number(Int64(clamping: number)))
    }

    /// In milliseconds; `_ms` is added to the name.
    package static func duration(_ name: StaticString, _ duration: Duration) -> LogField {
        LogField(name: "\(name)_ms", value: LogValue(content: .fraction(duration.milliseconds)))
    }

    private init(name: String, value: LogValue) {
        self.name = name
        self.value = value
    }

    /// A word of the program's own.
    package static func word(_ name: StaticString, _ word: StaticString) -> LogField {
        LogField(name, .text("\(word)"))
    }

    package static func flag(_ name: StaticString, _ flag: Bool) -> LogField { LogField(name, .flag(flag)) }

    /// A path or address of our own configuration. Nothing that a caller sent.
    package static func path(_ name: StaticString, _ path: String) -> LogField { LogField(name, .text(path)) }

    package static func request(_ context: CallContext) -> LogField { requestID(context.requestID) }

    package static func requestID(_ id: String) -> LogField { LogField("request_id", .identifier(id)) }

    package static func method(_ method: MethodDescriptor) -> LogField { LogField("method", .text(method.fullName)) }

    package static func peer(_ peer: PeerIdentity) -> LogField { LogField("peer", .text(peer.service)) }

    package static func code(_ code: StatusCode) -> LogField { LogField("code", .text(code.name)) }

    /// A message with all that is not OPEN as placeholders.
    package static func message(_ name: StaticString, _ message: some ContractMessage) -> LogField {
        LogField(name, .text(message.redactedDescription))
    }

    /// What an error says of itself for logs; of one that says nothing, its type.
    package static func error(_ error: any Error) -> LogField { LogField("error", .text(Self.line(of: error))) }

    private static func line(of error: any Error) -> String {
        switch error {
        case let known as any LoggableError: known.logLine
        case let known as any RPCErrorConvertible: known.rpcError.description
        case is CancellationError: "cancelled"
        default: String(reflecting: type(of: error))
        }
    }
}

extension Duration {
    /// With microseconds behind the point.
    fileprivate var milliseconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds * 1_000_000 + attoseconds / 1_000_000_000_000) / 1000
    }
}
