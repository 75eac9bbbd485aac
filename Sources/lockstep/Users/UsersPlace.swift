import ArgumentParser
import Contracts
import Foundation
import RPCClient
import RPCCore
import SwiftProtobuf

/// Which auth is asked about users, and as whom.
struct UsersPlace: ParsableArguments {
    @Option(help: ArgumentHelp("Which auth: NAME@host:port. Default: as configured.", valueName: "target"))
    var target = "auth"

    @Option(help: "As whom: a certificate in the state directory.")
    var cert = "operator"

    @OptionGroup var state: StateOption

    /// Runs `body` with a connection to auth.
    func connected(_ body: (UsersClient) async throws -> Void) async throws {
        try await CommandFailure.reported {
            let settings = try OperatorSettings(environment: state.environment)
            let target = try LiveTarget(target, settings: settings)
            var failure: (any Error)?
            let result = try await target.connected(settings, cert: cert) { pool throws(RPCError) in
                do {
                    try await body(UsersClient(pool: pool, target: target, cert: cert))
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            _ = try result.get()
        }
    }

    /// Changes the account that `user` names and shows it afterwards.
    func change(
        _ user: String, _ body: (ClientPool, AuthAccount) async throws(RPCError) -> AuthAccount
    ) async throws {
        try await connected { auth in
            let account = try await auth.account(user)
            let changed = try await auth.ask { (pool) throws(RPCError) in try await body(pool, account) }
            Table.lines([UserText.head, UserText.row(changed)]).forEach { print($0) }
        }
    }
}

/// Auth's methods for the operator; what fails is told to a person.
struct UsersClient {
    let pool: ClientPool
    let target: LiveTarget
    let cert: String

    func search(_ request: AuthSearchUsersRequest) async throws -> AuthSearchUsersResponse {
        try await ask { (pool) throws(RPCError) in
            try await pool.call(UserOperatorServiceContract.searchUsers, request, .question)
        }
    }

    /// The account that an address or an id names.
    ///
    /// - Throws: `CommandFailure` that says which ones are like it.
    func account(_ user: String) async throws -> AuthAccount {
        var request = AuthSearchUsersRequest()
        request.query = user
        let found = try await search(request).users
        if let account = found.first(where: { $0.userID == user || $0.email == user.lowercased() }) { return account }
        let near = found.prefix(5).map(\.email).joined(separator: ", ")
        throw CommandFailure(
            near.isEmpty
                ? "There is no account of \(user); who is to have one registers first (POST /v1/users)."
                : "There is no account of \(user). Did you mean \(near)?", status: 66)
    }

    /// - Parameter lookup: What shows the names that there are.
    /// - Throws: `CommandFailure`
    func ask<Answer>(lookup: String = "", _ body: (ClientPool) async throws(RPCError) -> Answer) async throws -> Answer {
        do throws(RPCError) {
            return try await body(pool)
        } catch {
            throw CommandFailure(error, from: target, cert: cert, lookup: lookup)
        }
    }
}

/// Accounts in a table.
enum UserText {
    static let head = ["ADDRESS", "NAME", "ROLES", "STATE", "SESSIONS", "ID"]

    static func row(_ account: AuthAccount) -> [String] {
        [
            account.email, account.name, account.roles.joined(separator: ","), state(account), String(account.sessions),
            account.userID,
        ]
    }

    private static func state(_ account: AuthAccount) -> String {
        account.disabled ? "disabled" : account.emailVerified ? "active" : "unconfirmed"
    }
}
