import ArgumentParser
import Contracts
import Foundation
import RPCClient
import RPCCore
import SwiftProtobuf

/// `lockstep clients`
struct ClientsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clients",
        abstract: "Register machine clients, programs with credentials of their own.",
        discussion: """
              lockstep clients add "nightly report" --scope admin   # prints its id and secret, this once
              lockstep clients list
              lockstep clients rotate cli_...                 # a second secret beside the present one
              lockstep clients rotate cli_... --end-previous  # when a secret has become known
              lockstep clients remove cli_...

            A client gets its tokens from POST /v1/oauth2/token. Asks the running auth, as the operator.
            """,
        subcommands: [Add.self, ListClients.self, Rotate.self, Remove.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Register a client; its secret is printed this once.")

        @Argument(help: "What people call it.")
        var name: String

        @Option(name: .customLong("scope"), help: "A role that the contract asks for; may be repeated.")
        var scopes: [String]

        @OptionGroup var place: UsersPlace

        func run() async throws {
            try await place.connected { auth in
                var request = AuthCreateClientRequest()
                request.name = name
                request.scopes = scopes
                let answer: AuthClientSecret = try await auth.ask { (pool) throws(RPCError) in
                    try await pool.call(ClientOperatorServiceContract.createClient, request, .question)
                }
                ClientText.show(answer)
            }
        }
    }

    struct ListClients: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List clients.")

        @OptionGroup var place: UsersPlace

        func run() async throws {
            try await place.connected { auth in
                let answer: AuthListClientsResponse = try await auth.ask { (pool) throws(RPCError) in
                    try await pool.call(ClientOperatorServiceContract.listClients, AuthListClientsRequest(), .question)
                }
                if answer.clients.isEmpty { return print("There is no client.") }
                Table.lines([ClientText.head] + answer.clients.map(ClientText.row)).forEach { print($0) }
            }
        }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a further secret.",
            discussion: "Two are good at once, so that a program can change over; the one before the last ends.")

        @Argument(help: "The client's id.")
        var client: String

        @Flag(help: "End all earlier secrets at once, with their tokens.")
        var endPrevious = false

        @OptionGroup var place: UsersPlace

        func run() async throws {
            try await place.connected { auth in
                var request = AuthRotateClientSecretRequest()
                request.clientID = client
                request.endPrevious = endPrevious
                let answer: AuthClientSecret = try await auth.ask(lookup: ClientText.lookup) { (pool) throws(RPCError) in
                    try await pool.call(ClientOperatorServiceContract.rotateClientSecret, request, .question)
                }
                ClientText.show(answer)
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Remove a client and end its tokens.")

        @Argument(help: "The client's id.")
        var client: String

        @OptionGroup var place: UsersPlace

        func run() async throws {
            try await place.connected { auth in
                // To remove one twice is no mistake of the service's to tell, but who mistypes an id has to hear of it.
                let known: AuthListClientsResponse = try await auth.ask { (pool) throws(RPCError) in
                    try await pool.call(ClientOperatorServiceContract.listClients, AuthListClientsRequest(), .question)
                }
                guard known.clients.contains(where: { $0.clientID == client }) else {
                    throw CommandFailure("There is no client \(client). \(ClientText.lookup)", status: 66)
                }
                var request = AuthDeleteClientRequest()
                request.clientID = client
                let _: AuthDeleteClientResponse = try await auth.ask { (pool) throws(RPCError) in
                    try await pool.call(ClientOperatorServiceContract.deleteClient, request, .question)
                }
                print("\(client) is removed.")
            }
        }
    }
}

/// Clients in a table.
enum ClientText {
    static let lookup = "`lockstep clients list` shows them."
    static let head = ["NAME", "SCOPES", "SECRETS", "LAST TOKEN", "ID"]

    static func row(_ client: AuthClient) -> [String] {
        [
            client.name, client.scopes.joined(separator: ","), String(client.live),
            client.hasLastUsedAt ? client.lastUsedAt.date.formatted(.iso8601) : "never", client.clientID,
        ]
    }

    static func show(_ secret: AuthClientSecret) {
        print("client_id      \(secret.clientID)")
        print("client_secret  \(secret.clientSecret)")
        print("Shown this once; \(secret.live == 1 ? "it is" : "\(secret.live) secrets are") good now.")
    }
}
