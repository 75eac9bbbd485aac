import ArgumentParser
import AuthService
import EmailService
import Foundation
import SQL
import ServiceKit
import TokenService

/// `lockstep db`
struct DatabaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "db", abstract: "Move services' data between databases.", subcommands: [Copy.self])

    /// `lockstep db copy`
    struct Copy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy a service's SQLite database to PostgreSQL.",
            discussion: """
                Stop the service first: what it writes meanwhile is not copied. The target's schema and tables are made; \
                they must hold no rows, unless --replace removes them. Each table is read back and compared, rows and \
                checksum; after a failure in that the target is empty. A source that is missing or empty replaces nothing.
                """)

        @Option(help: "Where the data is: sqlite:<path>.")
        var from: String

        @Option(help: "Where it goes: postgres://user:password@host:5432/name.")
        var to: String

        @Option(help: "Whose data it is: auth, token or email. Default: as the SQLite file is named.")
        var service: String?

        @Flag(help: "Remove the rows of the service that the target holds.")
        var replace = false

        func run() async throws {
            try await CommandFailure.reported {
                do {
                    let name = try Self.service(service, from: from)
                    guard let url = DatabaseURL(raw: .text(to)), case .postgres = url else {
                        throw CommandFailure("--to must be postgres://user:password@host:5432/name.", status: 64)
                    }
                    let copy = DatabaseCopy(service: name, isReplacing: replace) { StandardError.print($0) }
                    print(Self.report(try await copy.run(from: from, to: url.resolved(in: "", schema: name.rawValue))))
                } catch let error as SQLError {
                    throw CommandFailure(error)
                }
            }
        }

        /// One line for each table.
        static func report(_ tallies: [DatabaseCopy.Tally]) -> String {
            let lines = tallies.map {
                "\($0.table): \($0.rows) rows, checksum \(String($0.checksum, radix: 16)), the same on both sides"
            }
            return (lines + ["\(tallies.reduce(0) { $0 + $1.rows }) rows copied and compared."]).joined(separator: "\n")
        }

        private static func service(_ given: String?, from: String) throws -> StoringService {
            let file = (from.split(separator: "/").last ?? "").split(separator: ".").first.map(String.init) ?? ""
            let name = given ?? String(file.split(separator: ":").last ?? "")
            guard let service = StoringService(rawValue: name) else {
                throw CommandFailure("Name the service with --service auth, --service token or --service email.", status: 64)
            }
            return service
        }
    }
}

/// A service that keeps data.
enum StoringService: String {
    case auth
    case token
    case email

    /// Tables that have rows from the start.
    var seeded: Set<String> { self == .auth ? ["revocation_counter", "token_version_counter", "audit_sealer"] : [] }

    var migrations: [Migration] {
        switch self {
        case .auth: AuthMigrations.all
        case .token: TokenMigrations.all
        case .email: EmailMigrations.all
        }
    }
}

extension CommandFailure {
    /// - Parameter more: What is to be done about it.
    init(_ error: SQLError, _ more: String = "") {
        let status: Int32 = switch error.kind {
        case .unavailable where error.message.hasPrefix("cannot open database"): 66
        case .busy, .refused, .timeout, .unavailable: 75
        case .corrupt, .decoding, .constraint: 65
        case .unsupported: 64
        case .full: 73
        // Not to be tried again unseen: it may have happened.
        default: 1
        }
        self.init("\(error)\(more)", status: status)
    }
}
