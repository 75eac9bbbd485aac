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

extension MethodDescriptor {
    /// Whether the contract lets a user with these roles use the emergency lane here. A method that only services call
    /// names no roles: there the lane comes from whoever vouched for the user.
    package func grantsEmergency(to roles: [String]) -> Bool {
        guard maximumLane == .emergency else { return false }
        return emergencyRoles.isEmpty ? exposure == .internal : !emergencyRoles.isDisjoint(with: roles)
    }

    /// How many calls of this method may run at once in one process.
    package var admission: AdmissionLimit {
        guard isAdaptive else { return .fixed(concurrency) }
        return .adaptive(concurrency.map(LatencyGradient.Policy.init(maximum:)) ?? LatencyGradient.Policy())
    }
}

extension [String] {
    fileprivate func isDisjoint(with other: [String]) -> Bool { !contains(where: other.contains) }
}
