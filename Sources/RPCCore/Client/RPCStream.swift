/// A streaming call under way, at its caller.
package protocol RPCStream: Sendable {
    /// What the server sends; at its end when the call has ended well.
    var responses: InboundMessages { get }
    /// What the client sends, where it streams.
    var requests: OutboundMessages { get }
    /// The client sends nothing more. Once is enough.
    func finishRequests()
    /// Ends the call here, and asks the server to stop. Does nothing when it has ended.
    func cancel()
    /// Waits for the call's end.
    ///
    /// - Returns: The one response where the server does not stream, else nothing.
    func answer() async throws(RPCError) -> [UInt8]
}
