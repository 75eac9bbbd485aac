extension MethodDescriptor {
    /// Whether the contract lets `peer` call this method. Default deny: callers not named are refused.
    ///
    /// - Throws: `RPCError` PERMISSION_DENIED, not processed.
    package func authorize(peer: PeerIdentity) throws(RPCError) {
        guard callers.contains(peer.service) else {
            throw RPCError(
                .permissionDenied, "\(peer.service) may not call \(fullName).", reason: "caller_not_allowed",
                processed: .no)
        }
    }

    /// Whether the contract lets this end user reach this method.
    ///
    /// - Throws: `RPCError` UNAUTHENTICATED without a user where one is needed, PERMISSION_DENIED without a role.
    package func authorize(user: UserIdentity?) throws(RPCError) {
        switch exposure {
        case .internal, .public: return
        case .user, .admin: break
        }
        guard let user else {
            throw RPCError(
                .unauthenticated, "\(fullName) needs a signed-in user.", reason: "unauthenticated", processed: .no)
        }
        guard case .admin(let roles) = exposure else { return }
        guard !roles.isDisjoint(with: user.roles) else {
            throw RPCError(
                .permissionDenied, "\(fullName) needs one of the roles \(roles.joined(separator: ", ")).",
                reason: "role_missing", processed: .no)
        }
    }
}

extension [String] {
    fileprivate func isDisjoint(with other: [String]) -> Bool { !contains(where: other.contains) }
}
