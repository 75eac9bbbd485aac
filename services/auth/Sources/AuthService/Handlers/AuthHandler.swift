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

    /// Runs what decides about a counted guess. What ends otherwise than with a wrong password (Encryption away, a caller
    /// that left) was no guess; it is taken back even then.
    func deciding<T>(_ guess: Guess, _ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as AuthError where error == .invalidCredentials || error == .wrongCurrentPassword {
            throw error
        } catch {
            await Task { [store] in try? await store.takeBack(guess) }.value
            throw error
        }
    }
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
