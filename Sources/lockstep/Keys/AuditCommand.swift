import ArgumentParser
import AuthService
import EncryptionService
import Foundation
import LibCrypto
import SQL
import ServiceKit

/// `lockstep audit`
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Check the log of what was done to keys, and with them, or auth's audit trail.",
        subcommands: [Verify.self, Export.self])

    /// `lockstep audit verify`
    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check that each record follows the one before it.",
            discussion: """
                Several files are one log, the oldest first. Records that were changed, removed, moved or put in are found, \
                and the line is named; so is a log without its beginning. That none is missing at the end the encryption \
                service checks at its start, since the sealed keyring knows the last one. The last one's number and hash are \
                printed here: kept elsewhere, and given with --holds another time, they show that the log still holds what it \
                did. `lockstep call EncryptionService/DescribeService --cert operator` has them from the keyring.

                Without a file auth's database is checked: that each entry of the chain over its audit trail follows the one \
                before it, that no row was changed, removed before its time, or put in. --holds takes what an earlier check printed.

                Ends with 0, or with 65 when something is damaged.
                """)

        @Flag(help: "The log may lack its beginning: older files were put away.")
        var withoutBeginning = false

        @Option(help: ArgumentHelp("A record that the log must hold.", valueName: "number:hash"))
        var holds: AuditAnchor?

        @Argument(help: ArgumentHelp("key-audit.log and what went before it.", valueName: "file"))
        var files: [String] = []

        @Option(help: "Auth's database; a file's path begins in the current folder. Default: auth.database, or LOCKSTEP_DATABASE_URL.")
        var database: String?

        @OptionGroup var state: StateOption

        func run() async throws {
            try await CommandFailure.reported {
                guard !files.isEmpty else { return try await verifyTrail() }
                var check = AuditCheck(mayLackBeginning: withoutBeginning, held: holds?.head)
                for file in files {
                    guard let bytes = try? Data(contentsOf: URL(filePath: file)) else {
                        throw CommandFailure("Cannot read \(file).", status: 66)
                    }
                    print(try check.take(Array(bytes), of: file))
                }
                print(try check.conclusion)
            }
        }

        private func verifyTrail() async throws {
            let report = try await trailReport()
            // Which one it was: of two files with one name the wrong one may be whole.
            print("\(Database.shown(try url())):")
            print(
                "\(report.entries) entries, of which \(report.forgotten) rows were forgotten in their time; "
                    + "\(report.waiting) rows wait for the sealer.")
            guard report.isWhole else { throw CommandFailure(report.problems.joined(separator: "\n"), status: 65) }
            let head = report.head
            guard head.position > 0 else { return print("No entry yet.") }
            print("Each follows the one before it. The last is entry \(head.position):\(Hex.encode(head.hash))")
        }

        /// - Throws: `CommandFailure`, with status 66 where there is no database, or one that auth has not used yet.
        func trailReport() async throws -> AuditTrailReport {
            let place = try url()
            let advice = "`lockstep up` makes it; --state and --database name another."
            do {
                let database = try await Database.existing(place, advice: advice)
                let result: Result<AuditTrailReport, any Error>
                do {
                    result = .success(try await follow(database, place, advice))
                } catch {
                    result = .failure(error)
                }
                await database.close()
                return try result.get()
            } catch let error as SQLError {
                throw CommandFailure("\(error)")
            } catch let error as any LoggableError {
                throw CommandFailure(error.logLine)
            }
        }

        private func follow(_ database: Database, _ place: String, _ advice: String) async throws -> AuditTrailReport {
            let (applied, known) = (try await database.applied(of: AuthMigrations.all), AuthMigrations.all.count)
            guard applied > 0 else {
                throw CommandFailure("\(Database.shown(place)) has no audit trail: auth never used it. \(advice)", status: 66)
            }
            let store = AuthStore(database: database, policy: AuthPolicy(), clock: SystemClock(SystemWallClock()))
            do {
                return try await store.verifyAuditTrail(holding: try trailAnchor()) { StandardError.print("\($0) entries ...") }
            } catch where !(error is CommandFailure) && applied < known {
                throw CommandFailure(
                    "\(Database.shown(place)) has schema version \(applied), and this program needs \(known): "
                        + "`lockstep up` brings it there.",
                    status: 65)
            }
        }

        private func trailAnchor() throws -> AuditChainLink? {
            try holds.map { held in
                guard let position = Int64(exactly: held.head.sequence) else {
                    throw CommandFailure("--holds names no entry.", status: 64)
                }
                return AuditChainLink(position: position, hash: held.head.hash)
            }
        }

        private func url() throws -> String {
            if let database {
                guard let url = DatabaseURL(raw: .text(database)) else {
                    throw CommandFailure("--database must be a database URL.", status: 64)
                }
                return url.resolved(in: FileManager.default.currentDirectoryPath, schema: "auth")
            }
            do {
                return try Configuration.load(AuthConfig.table, environment: state.environment).databaseURL(AuthConfig.database)
            } catch let error as ConfigurationError {
                throw CommandFailure(error.description, status: ExitStatus.configuration)
            }
        }
    }
}

extension AuditCommand {
    /// `lockstep audit export`
    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the log that the keyring's database holds, in the form of the file.",
            discussion: "Reads encryption.keyring.database of config.json or of the environment. `lockstep audit verify` checks it.")

        @OptionGroup var state: StateOption

        func run() async throws {
            try await CommandFailure.reported { try each { print($0) } }
        }

        /// Hands over each line of the log.
        func each(_ body: (String) throws -> Void) throws {
            guard let database = try EncryptionSettings.operators(state).location.database else {
                throw CommandFailure(
                    "encryption.keyring.database says `off`: the log is the file of encryption.audit.file.", status: 78)
            }
            try database.withExposed {
                try Database.requireFile(of: $0, advice: "encryption.keyring.database names it; `lockstep up` makes it.")
            }
            do {
                try SharedAuditLog(database).each(body)
            } catch let problem as KeyringProblem {
                throw CommandFailure(problem.description, status: problem.exitStatus)
            }
        }
    }
}

/// A record's number and hash: `57:9f86d0...`.
struct AuditAnchor: ExpressibleByArgument {
    let head: AuditHead

    init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let sequence = UInt64(parts[0]), let hash = Hex.decode(String(parts[1])),
            hash.count == AuditHead.hashCount
        else { return nil }
        head = AuditHead(sequence: sequence, hash: hash)
    }
}

/// Follows the records through files.
struct AuditCheck {
    private var chain = AuditChain()
    private var count = 0
    private let mayLackBeginning: Bool
    private let held: AuditHead?
    private var holds = false

    /// - Parameter held: A record that must be there.
    init(mayLackBeginning: Bool = false, held: AuditHead? = nil) {
        self.mayLackBeginning = mayLackBeginning
        self.held = held
    }

    /// What to say of a whole file.
    ///
    /// - Throws: `CommandFailure` that names the first line that is wrong.
    mutating func take(_ bytes: [UInt8], of file: String) throws -> String {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let before = count
        for (index, line) in lines.enumerated() {
            let isLast = index == lines.count - 1
            if isLast, line.isEmpty { break }
            do throws(AuditDamage) {
                try chain.take(line)
            } catch {
                let cut = isLast ? " The file does not end with a whole line: it was cut off, or written to in a crash." : ""
                throw CommandFailure("\(file), line \(index + 1): \(error).\(cut)", status: 65)
            }
            guard !isLast else {
                throw CommandFailure("\(file), line \(index + 1): it has no end; the file was cut off there.", status: 65)
            }
            count += 1
            if let held, chain.head?.sequence == held.sequence {
                guard chain.head == held else {
                    throw CommandFailure(
                        "\(file), line \(index + 1): record \(held.sequence) is another one than --holds says.", status: 65)
                }
                holds = true
            }
        }
        if chain.first > 1, !mayLackBeginning {
            throw CommandFailure(
                "\(file) begins with record \(chain.first): records 1 to \(chain.first - 1) are missing. Give the files that they "
                    + "are in first, or --without-beginning where they are not to be had.", status: 65)
        }
        return "\(file): \(count - before) records, each follows the one before it."
    }

    /// Where the log begins and stands.
    ///
    /// - Throws: `CommandFailure` for a log without records, and for one that ends before the record that it must hold.
    var conclusion: String {
        get throws {
            guard let head = chain.head else { throw CommandFailure("There are no records: a log that was made has some.", status: 65) }
            if let held, !holds {
                throw CommandFailure("Record \(held.sequence) is not in the log, which ends with \(head.sequence).", status: 65)
            }
            let begin =
                chain.first == 1 ? "It begins with record 1." : "It begins with record \(chain.first): older files are not among these."
            return "\(begin) The last is record \(head.sequence), hash \(Hex.encode(head.hash))."
        }
    }
}
