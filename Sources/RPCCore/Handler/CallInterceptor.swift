/// Sees each call that a server has authorized, before it takes a place, and lets it go on or refuses it: for rules that the
/// contract has no word for, such as a quota of a customer's. A server without one pays nothing.
///
/// What watches and does not decide is a `ServerObserver`; on the calling side any `RPCChannel` may wrap another.
package protocol CallInterceptor: Sendable {
    /// On the connection's event loop: must not block.
    ///
    /// - Parameter user: The verified end user, when the call has one.
    /// - Throws: `RPCError`, which the caller gets, as not processed whatever it says of that.
    func intercept(_ request: CallRequest, _ method: MethodDescriptor, user: UserIdentity?) throws(RPCError)
}
