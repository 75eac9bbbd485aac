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

    package init(_ context: CallContext) {
        self.context = context
        // What a stream has sent is out.
        if context.method.kind.streams { context.act() }
    }

    /// Runs a handler.
    ///
    /// - Throws: what `body` throws, as `judged` has it.
    package nonisolated(nonsending) static func run(
        _ context: CallContext, _ body: nonisolated(nonsending) () async throws -> [UInt8]
    ) async throws -> [UInt8] {
        do {
            return try await $current.withValue(HandlerScope(context), operation: body)
        } catch {
            throw judged(error, context)
        }
    }

    /// What a handler has thrown: an error that says that nothing was done says so only where that is true of all that the
    /// handler did.
    package static func judged(_ error: any Error, _ context: CallContext) -> any Error {
        guard context.hasActed, var judged = error as? any ProcessedError, judged.processed == .no else { return error }
        judged.processed = .yes
        return judged
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
