import ArgumentParser
import AuthService
import Foundation
import SQL
import ServiceKit

/// `lockstep import`
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Bring data from elsewhere.", subcommands: [Users.self])

    /// `lockstep import users`
    struct Users: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add accounts with their bcrypt hashes to auth's database.",
            discussion: """
                The file holds one JSON object on each line, plain or gzip: email, password_hash ($2a$, $2b$ or $2y$), and if \
                wanted name, email_verified and created_at_us. Without "email_verified": true nobody can sign in to the account \
                before its address is confirmed by a reset of the password; how many these are is told. Addresses that have an \
                account are left as they are. \
                After an interruption the same command goes on where it was. Lines that are no account are counted and \
                left out, and make the command fail in the end.
                """)

        @Argument(help: "The file.")
        var file: String

        @Option(help: "Auth's database. Default: auth.database, or LOCKSTEP_DATABASE_URL.")
        var to: String?

        @OptionGroup var state: StateOption

        func run() async throws {
            try await CommandFailure.reported {
                let report = try await imported { StandardError.print($0) }
                print(report.line)
                if let advice = report.advice { print(advice) }
                guard report.refused.isEmpty else { throw CommandFailure(report.refusals, status: 65) }
            }
        }

        /// - Parameter progress: told of what is done before the end; the last report is the answer.
        func imported(_ progress: (String) -> Void) async throws -> UserImport.Report {
            let mark = ImportMark(file: file, state: state.directory)
            let place = try url()
            let run = UserImport(file: file, skip: mark.lines, clock: SystemClock(SystemWallClock()))
            var last: UserImport.Report?
            var isKept = true
            do {
                let report = try await run.run(to: place) { report in
                    if !mark.keep(report.lines), isKept {
                        isKept = false
                        progress(mark.warning)
                    }
                    if let last { progress(last.line) }
                    last = report
                }
                mark.remove()
                return report
            } catch let error as SQLError {
                throw CommandFailure(error, mark.continuation)
            } catch let error as any LoggableError {
                throw CommandFailure("\(error.logLine)\(mark.continuation)")
            }
        }

        private func url() throws -> String {
            if let to {
                guard let url = DatabaseURL(raw: .text(to)) else { throw CommandFailure("--to must be a database URL.", status: 64) }
                return url.resolved(in: state.directory, schema: "auth")
            }
            do {
                return try Configuration.load(AuthConfig.table, environment: state.environment)
                    .databaseURL(AuthConfig.database)
            } catch let error as ConfigurationError {
                throw CommandFailure(error.description, status: ExitStatus.configuration)
            }
        }
    }
}

/// How many lines of a file are in the database: kept beside the data, so that an import goes on where it was.
struct ImportMark {
    private let path: String
    private let name: String

    init(file: String, state: String) {
        path = "\(state)/import-users.mark"
        let attributes = try? FileManager.default.attributesOfItem(atPath: file)
        let size = (attributes?[.size] as? NSNumber)?.intValue ?? 0
        let date = (attributes?[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
        name = "\(URL(fileURLWithPath: file).path) \(size) \(date)"
    }

    /// None, where the mark is of another file.
    var lines: Int {
        let parts = (try? String(contentsOfFile: path, encoding: .utf8))?.split(separator: "\n") ?? []
        return parts.count == 2 && parts[0] == name ? Int(parts[1]) ?? 0 : 0
    }

    /// What to say after a failure.
    var continuation: String {
        let lines = lines
        return lines > 0 ? "; \(lines) lines are in, and the same command goes on from there." : "."
    }

    /// - Returns: whether it could be written.
    func keep(_ lines: Int) -> Bool {
        (try? "\(name)\n\(lines)".write(toFile: path, atomically: true, encoding: .utf8)) != nil
    }

    /// What to say where it cannot.
    var warning: String {
        "\(path) cannot be written: after an interruption the same command begins anew, which adds nobody twice. --state names "
            + "the state directory."
    }
    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
