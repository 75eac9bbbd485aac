/// Raised when a call's caller cancelled or its deadline passed. A SYNC handler checks it between items.
///
/// It lives in the call's context: most calls end without anybody asking for it.
package struct CancellationFlag: Sendable {
    let context: CallContext

    package var isCancelled: Bool { context.isCancelled }

    package func cancel() { context.cancel() }

    /// Throws `CancellationError` once the flag is raised.
    package func check() throws {
        if isCancelled { throw CancellationError() }
    }
}
