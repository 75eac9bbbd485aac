import ArgumentParser
import EncryptionService
import Foundation
import LibCrypto

/// `lockstep audit`
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Check the log of key administration.", subcommands: [Verify.self])

    /// `lockstep audit verify`
    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check that each record follows the one before it.",
            discussion: """
                Several files are one log, the oldest first. Records that were changed, removed, moved or put in are found, \
                and the line is named. That none is missing at the end the encryption service checks at its start, since the \
                sealed keyring knows the last one; its hash is printed here, so that it can be kept elsewhere too. \
                Ends with 0, or with 65 when the log is damaged.
                """)

        @Argument(help: ArgumentHelp("key-audit.log and what went before it.", valueName: "file"))
        var files: [String]

        func run() async throws {
            try await CommandFailure.reported {
                var check = AuditCheck()
                for file in files {
                    guard let bytes = try? Data(contentsOf: URL(filePath: file)) else {
                        throw CommandFailure("Cannot read \(file).", status: 66)
                    }
                    print(try check.take(Array(bytes), of: file))
                }
                print(check.conclusion)
            }
        }
    }
}

/// Follows the records through files.
struct AuditCheck {
    private var chain = AuditChain()
    private var count = 0

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
        }
        return "\(file): \(count - before) records, each follows the one before it."
    }

    /// Where the log begins and stands.
    var conclusion: String {
        guard let head = chain.head else { return "No records." }
        let begin = chain.first == 1 ? "It begins with record 1." : "It begins with record \(chain.first): older files are not among these."
        return "\(begin) The last is record \(head.sequence), hash \(Hex.encode(head.hash))."
    }
}
