import AuthService
import Foundation
import LibCrypto
import SQL

/// Reads accounts from a file and adds them in batches: parsed on all cores, with a few batches in memory.
struct UserImport {
    let file: String
    /// Lines that are there already.
    let skip: Int
    let clock: any AuthClock

    /// Accounts in one transaction.
    static let batch = 5000
    /// Lines that are named for each reason to refuse them.
    fileprivate static let named = 5

    struct Report: Sendable {
        /// Lines of the file that are done, from its beginning.
        var lines = 0
        var added = 0
        /// Of those, whose address the file does not call confirmed.
        var unconfirmed = 0
        /// Addresses that had an account, or stood in the file before.
        var known = 0
        var refused: [ImportedUser.Problem: Int] = [:]
        /// Numbers of the first lines that were refused, from 1 on.
        var refusedLines: [ImportedUser.Problem: [Int]] = [:]
        var took: Duration = .zero
        /// Lines of this run.
        var done = 0

        var line: String {
            let rate = Int(Double(done) / max(0.001, took / .seconds(1)))
            let pending = unconfirmed > 0 ? " (\(unconfirmed) unconfirmed)" : ""
            return "\(lines) lines: \(added) accounts added\(pending), \(known) known, "
                + "\(refused.values.reduce(0, +)) refused; \(rate) lines/s"
        }

        /// What whoever imports has to know of accounts that nobody can sign in to yet; nil when there are none.
        var advice: String? {
            guard unconfirmed > 0 else { return nil }
            let subject = unconfirmed == 1 ? "1 account was" : "\(unconfirmed) accounts were"
            return """
                \(subject) added without "email_verified": true. Nobody can sign in to them before their address is confirmed: by a \
                reset of the password (POST /v1/password-resets), which sets a new one. Until then they stay; they are not \
                forgotten as registrations are that nobody confirms.
                """
        }

        var refusals: String {
            let counts = ImportedUser.Problem.allCases.compactMap { problem in
                refused[problem].map { count in
                    let numbers = (refusedLines[problem] ?? []).map { String($0) } + (count > UserImport.named ? ["..."] : [])
                    let noun = count == 1 ? "line" : "lines"
                    return "\(count) \(noun): \(problem.rawValue) (\(noun) \(numbers.joined(separator: ", ")))"
                }
            }
            return "Left out: " + counts.joined(separator: "; ") + "."
        }

        fileprivate mutating func add(_ batch: BatchReport) {
            added += batch.count.added
            unconfirmed += batch.count.unconfirmed
            known += batch.known
            refused.merge(batch.refused, uniquingKeysWith: +)
            // Batches end in any order.
            refusedLines.merge(batch.refusedLines) { Array(($0 + $1).sorted().prefix(UserImport.named)) }
        }
    }

    fileprivate struct BatchReport: Sendable {
        let index: Int
        let lines: Int
        var count = ImportedCount()
        var known = 0
        var refused: [ImportedUser.Problem: Int] = [:]
        var refusedLines: [ImportedUser.Problem: [Int]] = [:]
    }

    /// - Parameter progress: told after each batch how far the file is done without a gap.
    /// - Throws: `CommandFailure` with status 66 where the file or the database's folder is missing: then nothing is made.
    func run(to url: String, _ progress: (Report) -> Void) async throws -> Report {
        var lines = try LineBatches(file: file)
        defer { lines.close() }
        try Self.checkFolder(of: url)
        let database = try await Database.open(url: url)
        let result: Result<Report, any Error>
        do {
            let store = AuthStore(database: database, policy: AuthPolicy(), clock: clock)
            try await store.prepare()
            result = .success(try await add(&lines, to: store, progress))
        } catch {
            result = .failure(error)
        }
        await database.close()
        return try result.get()
    }

    /// Names the file in the audit trail. It is not read into memory as a whole.
    private static func digest(of file: String) throws -> String {
        "sha256:" + (try SHA256.hexHash(try Data(contentsOf: URL(fileURLWithPath: file), options: .alwaysMapped)))
    }

    private static func checkFolder(of url: String) throws {
        guard let path = Database.sqlitePath(url) else { return }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        guard FileManager.default.fileExists(atPath: folder) else {
            throw CommandFailure(
                "There is no folder \(folder) for auth's database. `lockstep certs` makes the state directory; --state or --to name "
                    + "another.", status: 66)
        }
    }

    private func add(
        _ lines: inout LineBatches, to store: AuthStore, _ progress: (Report) -> Void
    ) async throws -> Report {
        try lines.skip(skip)
        let source = try Self.digest(of: file)
        let start = ContinuousClock.now
        var report = Report(lines: skip)
        // Batches that ended before an earlier one.
        var early: [Int: BatchReport] = [:]
        var (next, awaited, line) = (0, 0, skip + 1)
        try await withThrowingTaskGroup(of: BatchReport.self) { group in
            func take(_ batch: BatchReport) {
                report.add(batch)
                early[batch.index] = batch
                while let batch = early.removeValue(forKey: awaited) {
                    report.lines += batch.lines
                    report.done += batch.lines
                    awaited += 1
                }
                report.took = start.duration(to: .now)
                progress(report)
            }
            while let batch = try lines.next(Self.batch) {
                if next >= Self.parallelism, let done = try await group.next() { take(done) }
                let (index, first) = (next, line)
                group.addTask { try await Self.add(batch, index, from: first, of: source, to: store) }
                next += 1
                line += batch.count
            }
            for try await done in group { take(done) }
        }
        return report
    }

    /// One more than there are cores: while one waits for the database, another is parsed.
    private static let parallelism = ProcessInfo.processInfo.activeProcessorCount + 1

    /// - Parameter first: the number of the batch's first line.
    private static func add(
        _ lines: [ArraySlice<UInt8>], _ index: Int, from first: Int, of source: String, to store: AuthStore
    ) async throws -> BatchReport {
        var report = BatchReport(index: index, lines: lines.count)
        var users: [ImportedUser] = []
        users.reserveCapacity(lines.count)
        for (number, line) in zip(first..., lines) where !line.isEmpty {
            do {
                users.append(try ImportedUser(json: line))
            } catch {
                report.refused[error, default: 0] += 1
                if report.refused[error, default: 0] <= named { report.refusedLines[error, default: []].append(number) }
            }
        }
        report.count = try await store.importUsers(users, from: source)
        report.known = users.count - report.count.added
        return report
    }
}

/// Lines of a file, plain or gzip, some thousands at a time. `gzip` takes the second kind apart, beside this process.
struct LineBatches {
    private let input: FileHandle
    private let process: Process?
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    private static let piece = 1 << 18
    /// Bytes of the longest line: one without an end must not fill the memory.
    private static let longestLine = 1 << 20

    init(file: String) throws {
        guard FileManager.default.fileExists(atPath: file) else { throw CommandFailure("\(file): no such file.", status: 66) }
        // A folder opens, and fails when it is read.
        guard let handle = FileHandle(forReadingAtPath: file), let mark = try? handle.read(upToCount: 2) ?? Data() else {
            throw CommandFailure("\(file) cannot be read.", status: 66)
        }
        let isCompressed = mark == Data([0x1f, 0x8b])
        try handle.seek(toOffset: 0)
        guard isCompressed else {
            (input, process) = (handle, nil)
            return
        }
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gzip", "-dc"]
        process.standardInput = handle
        process.standardOutput = pipe
        try process.run()
        (input, self.process) = (pipe.fileHandleForReading, process)
    }

    func close() {
        try? input.close()
        process?.terminate()
    }

    mutating func skip(_ count: Int) throws {
        var left = count
        while left > 0, let lines = try next(min(left, 5000)) { left -= lines.count }
    }

    /// Up to `count` lines; nil at the end.
    mutating func next(_ count: Int) throws -> [ArraySlice<UInt8>]? {
        var lines: [ArraySlice<UInt8>] = []
        while lines.count < count, let line = try line() { lines.append(line) }
        return lines.isEmpty ? nil : lines
    }

    private mutating func line() throws -> ArraySlice<UInt8>? {
        var searched = start
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return buffer[start..<end]
            }
            searched = buffer.count - start
            guard searched <= Self.longestLine else { throw CommandFailure("A line is longer than \(Self.longestLine) bytes.") }
            guard !isAtEnd else {
                defer { start = buffer.count }
                return start < buffer.count ? buffer[start...] : nil
            }
            try refill()
        }
    }

    /// A fresh buffer: lines that were given out keep the old one for as long as they are there.
    private mutating func refill() throws {
        var fresh = Array(buffer[start...])
        if let data = try input.read(upToCount: Self.piece), !data.isEmpty {
            fresh += data
        } else {
            isAtEnd = true
            process?.waitUntilExit()
            guard process?.terminationStatus ?? 0 == 0 else { throw CommandFailure("The file is damaged: gzip cannot read it.") }
        }
        (buffer, start) = (fresh, 0)
    }
}
