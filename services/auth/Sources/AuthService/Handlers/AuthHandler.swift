internal import Contracts
internal import RPCCore
internal import ServiceKit
internal import SwiftProtobuf

/// The methods of `lockstep.auth.v1.AuthService`. Each is told in the extension of its subject.
package struct AuthHandler: AuthServiceHandler {
    let store: AuthStore
    let passwords: Passwords
    let accessTokens: AccessTokens

    var policy: AuthPolicy { store.policy }
    var clock: any AuthClock { store.clock }
}

extension CallContext {
    /// For rows: sessions and the audit trail.
    var rowOrigin: Origin {
        Origin(address: origin.address, userAgent: origin.userAgent, requestID: requestID)
    }
}

extension User {
    var message: AuthUser {
        var message = AuthUser()
        message.userID = id
        message.email = email
        message.name = name
        message.emailVerified = emailVerified
        message.createdAt = createdAt.message
        return message
    }
}

extension Timestamp {
    var message: Google_Protobuf_Timestamp {
        Google_Protobuf_Timestamp(
            seconds: microseconds / 1_000_000, nanos: Int32(microseconds % 1_000_000) * 1000)
    }
}
