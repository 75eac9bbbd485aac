/// What code beneath an ASYNC handler may know of the call that it works for, without being handed its context: until when,
/// and whether anything has been done for it that lasts.
///
/// It travels with the task. A task that is to outlive the call is started with `outside`.
package struct HandlerScope: Sendable {
    @TaskLocal package static var current: HandlerScope?

    private let context: CallContext

    /// Nil where the contract lets the work outlive its call (`on_cancel: DETACH`).
    package var deadline: Deadline? { context.method.onCancel == .detach ? nil : context.deadline }

    /// Something may have changed outside of this task: a transaction was committed, another service or a provider asked.
    package func act() { context.act() }

    /// Runs a handler.
    ///
    /// - Throws: what `body` throws; an error that says that nothing was done says so only where that is true of all that
    ///   the handler did.
    package nonisolated(nonsending) static func run(
        _ context: CallContext, _ body: nonisolated(nonsending) () async throws -> [UInt8]
    ) async throws -> [UInt8] {
        // What a stream has sent is out.
        if context.method.kind.streams { context.act() }
        do {
            return try await $current.withValue(HandlerScope(context: context), operation: body)
        } catch var error as any ProcessedError where error.processed == .no && context.hasActed {
            error.processed = .yes
            throw error
        }
    }

    /// Runs what outlives the call that it was begun for, or serves several.
    package static func outside<Result>(_ body: () throws -> Result) rethrows -> Result {
        try $current.withValue(nil, operation: body)
    }
}

/// A domain error that knows more of the work's outcome than that the handler ran.
package protocol ProcessedError: RPCErrorConvertible {
    /// `no` where nothing of the work is left anywhere, `maybe` where nobody knows.
    var processed: Processed { get set }
}
