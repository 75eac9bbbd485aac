import ArgumentParser
import Contracts
import Foundation
import RPCClient
import RPCCore
import SwiftProtobuf

/// `lockstep users`
struct UsersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "users",
        abstract: "Look after accounts: roles, disabling, ending of sessions, the audit trail.",
        discussion: """
              lockstep users list ada                        # whose address or name has "ada" in it
              lockstep users grant ada@example.com admin     # how the first admin comes to be
              lockstep users revoke ada@example.com responder
              lockstep users disable ada@example.com
              lockstep users tier ada@example.com plus       # how many sessions
              lockstep users reset-factors ada@example.com   # who lost the app and all recovery codes
              lockstep users end-sessions ada@example.com    # after a breach; --everyone --grace 300
              lockstep users audit ada@example.com

            Asks the running auth, as the operator. A user is named by address or id.
            """,
        subcommands: [
            ListUsers.self, Grant.self, Revoke.self, Disable.self, Enable.self, SetTier.self, ResetFactors.self,
            EndSessions.self, Audit.self,
        ])

    struct ListUsers: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List accounts, or search them.")

        @Argument(help: "A part of address or name, or an id.")
        var query = ""

        @Option(help: "Only who has this role.")
        var role = ""

        @Flag(help: "Only disabled accounts.")
        var disabled = false

        @OptionGroup var place: UsersPlace

        func run() async throws {
            try await place.connected { auth in
                var request = AuthSearchUsersRequest()
                request.query = query
                request.role = role
                request.disabled = disabled
                var rows = [UserText.head]
                repeat {
                    let answer = try await auth.search(request)
                    rows += answer.users.map(UserText.row)
                    request.pageToken = answer.nextPageToken
                } while !request.pageToken.isEmpty
                if rows.count == 1 { return print("No account is like that.") }
                Table.lines(rows).forEach { print($0) }
            }
        }
    }

    struct Grant: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a user a role.", discussion: "It counts from the user's next access token on: at most 15 minutes.")

        @Argument(help: "An address or a user id.")
        var user: String

        @Argument(help: "A role that the contract asks for: admin, responder.")
        var role: String

        @OptionGroup var place: UsersPlace

        func run() async throws {
            try await place.change(user) { auth, account throws(RPCError) in
                var request = AuthGrantRoleRequest()
                request.userID = account.userID
                request.role = role
                return try await auth.call(UserOperatorServiceContract.grantRole, request, .question)
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a role from a user.", discussion: "The user's sessions end, since their tokens name the role.")

        @Argument(help: "An address or a user id.")
        var user: String

        @Argument(help: "The role.")
        var role: String

        @OptionGroup var place: UsersPlace

        func run() async throws {
            try await place.change(user) { auth, account throws(RPCError) in
                var request = AuthRevokeRoleRequest()
                request.userID = account.userID
                request.role = role
                return try await auth.call(UserOperatorServiceContract.revokeRole, request, .question)
            }
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "End a user's sessions and let them sign in no more.")

        @Argument(help: "An address or a user id.")
        var user: String

        @OptionGroup var place: UsersPlace

        func run() async throws {
            try await place.change(user) { auth, account throws(RPCError) in
                var request = AuthDisableUserRequest()
                request.userID = account.userID
                return try await auth.call(UserOperatorServiceContract.disableUser, request, .question)
            }
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let a disabled user sign in again.")

        @Argument(help: "An address or a user id.")
        var user: String

        @OptionGroup var place: UsersPlace

        func run() async throws {
            try await place.change(user) { auth, account throws(RPCError) in
                var request = AuthEnableUserRequest()
                request.userID = account.userID
                return try await auth.call(UserOperatorServiceContract.enableUser, request, .question)
            }
        }
    }

    struct SetTier: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "tier", abstract: "Say how many sessions a user may have.",
            discussion: "basic 2, essential 3, plus 5, premium 10, pro as many as they like; none for what auth is configured for.")

        @Argument(help: "An address or a user id.")
        var user: String

        @Argument(help: "basic, essential, plus, premium, pro or none.")
        var tier: String

        @OptionGroup var place: UsersPlace

        func run() async throws {
            try await place.change(user) { auth, account throws(RPCError) in
                var request = AuthSetTierRequest()
                request.userID = account.userID
                request.tier = tier == "none" ? "" : tier
                return try await auth.call(UserOperatorServiceContract.setTier, request, .question)
            }
        }
    }

    struct ResetFactors: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "reset-factors", abstract: "Remove the second factors and passkeys of a user who has lost them.",
            discussion: """
                The user's sessions end, and the user is told by mail. A password that is too short to be enough by itself is no \
                good from then on: its owner asks for a link to choose another.
                """)

        @Argument(help: "An address or a user id.")
        var user: String

        @OptionGroup var place: UsersPlace

        func run() async throws {
            try await place.change(user) { auth, account throws(RPCError) in
                var request = AuthResetFactorsRequest()
                request.userID = account.userID
                return try await auth.call(UserOperatorServiceContract.resetFactors, request, .question)
            }
        }
    }

    struct EndSessions: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "end-sessions", abstract: "End the sessions that have begun until now, of one user or of everybody.",
            discussion: "Raises the minimum token version. Whoever is affected can sign in again at once.")

        @Argument(help: "An address or a user id.")
        var user: String?

        @Flag(help: "Everybody's.")
        var everyone = false

        @Option(help: "How long these sessions live on, seconds.")
        var grace: UInt32 = 0

        @OptionGroup var place: UsersPlace

        func validate() throws {
            guard everyone == (user == nil) else { throw ValidationError("Name one user, or write --everyone.") }
        }

        func run() async throws {
            try await place.connected { auth in
                var request = AuthRaiseTokenVersionRequest()
                if let user { request.userID = try await auth.account(user).userID }
                request.everyone = everyone
                request.graceS = grace
                let answer: AuthRaiseTokenVersionResponse = try await auth.ask { (pool) throws(RPCError) in
                    try await pool.call(UserOperatorServiceContract.raiseTokenVersion, request, .question)
                }
                print("Sessions below version \(answer.minimumVersion) are over from \(answer.effectiveAt.date.formatted(.iso8601)) on.")
            }
        }
    }

    struct Audit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the audit trail, newest first.")

        @Argument(help: "Of one user: an address or an id.")
        var user: String?

        @Option(help: "Only events with this word: authz_fail, authn_token_reuse.")
        var event = ""

        @Option(help: "Rows to show, at most 100.")
        var limit: UInt32 = 50

        @OptionGroup var place: UsersPlace

        private static func nothing(of user: String?, _ event: String) -> String {
            "Nothing" + (event.isEmpty ? "" : " with \"\(event)\"") + (user.map { " of \($0)" } ?? "") + " is recorded."
        }

        func validate() throws {
            guard (1...100).contains(limit) else { throw ValidationError("--limit is from 1 to 100.") }
        }

        func run() async throws {
            try await place.connected { auth in
                var request = AuthSearchAuditEventsRequest()
                if let user { request.userID = try await auth.account(user).userID }
                request.event = event
                request.pageSize = limit
                let answer: AuthListAuditEventsResponse = try await auth.ask { (pool) throws(RPCError) in
                    try await pool.call(UserOperatorServiceContract.searchAuditEvents, request, .question)
                }
                if answer.events.isEmpty { return print(Self.nothing(of: user, event)) }
                let rows = answer.events.map {
                    [$0.at.date.formatted(.iso8601), $0.event, $0.subject, $0.actor, $0.detail, $0.address]
                }
                Table.lines([["AT", "EVENT", "SUBJECT", "ACTOR", "DETAIL", "ADDRESS"]] + rows).forEach { print($0) }
            }
        }
    }
}
