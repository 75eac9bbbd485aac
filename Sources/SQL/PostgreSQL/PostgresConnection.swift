internal import CLibPQ
internal import Glibc

/// One connection to PostgreSQL through libpq: non-blocking, in pipeline mode. Made, used and closed on one thread, which
/// waits in `poll` and nowhere else: for the socket, for the time, and for whoever cancels the work.
final class PostgresConnection {
    /// What is sent between two points of synchronisation.
    enum Step {
        /// A statement without parameters and without rows: `BEGIN`, `COMMIT`.
        case control(String)
        case prepare(name: String, sql: String, types: [UInt32])
        case execute(name: String, parameters: [[UInt8]?])
    }

    private var connection: OpaquePointer
    let wakeup: Wakeup
    /// Points of synchronisation that were sent and not yet answered.
    private var awaited = 0
    private(set) var isBroken = false

    /// - Parameters:
    ///   - parameters: libpq's keywords.
    ///   - limit: when to give up.
    /// - Throws: `SQLError` of kind `.unavailable`, without the password.
    init(_ parameters: [String: String], wakeup: Wakeup, until limit: ContinuousClock.Instant) throws {
        var keys = parameters.keys.map { UnsafePointer(strdup($0)) } + [nil]
        var values = parameters.values.map { UnsafePointer(strdup($0)) } + [nil]
        defer { for text in keys + values { free(UnsafeMutablePointer(mutating: text)) } }
        guard let opened = PQconnectStartParams(&keys, &values, 0) else {
            throw SQLError(.unavailable, "no memory for a database connection")
        }
        connection = opened
        self.wakeup = wakeup
        // What the server has to say besides may hold values, and libpq would print it.
        PQsetNoticeProcessor(opened, { _, _ in }, nil)
        try establish(until: limit)
    }

    deinit { PQfinish(connection) }

    private func establish(until limit: ContinuousClock.Instant) throws {
        var state = PGRES_POLLING_WRITING
        while state != PGRES_POLLING_OK {
            guard state != PGRES_POLLING_FAILED, PQstatus(connection) != CONNECTION_BAD else { throw lost("connecting") }
            let event = wakeup.wait(
                for: PQsocket(connection), writing: state == PGRES_POLLING_WRITING, until: limit)
            if event == .time { throw SQLError(.unavailable, "the database server did not answer in time (connecting)") }
            if event == .socket { state = PQconnectPoll(connection) }
        }
        guard PQsetnonblocking(connection, 1) == 0, PQenterPipelineMode(connection) == 1 else { throw lost("connecting") }
    }

    /// libpq's text names the server, the user and the reason; it does not hold the password.
    private func lost(_ action: String) -> SQLError {
        isBroken = true
        let text = PQerrorMessage(connection).map { String(cString: $0) } ?? ""
        let line = text.split(separator: "\n").joined(separator: "; ")
        return SQLError(.unavailable, "\(line.isEmpty ? "the connection to the database is lost" : line) (\(action))")
    }

    var socket: CInt { PQsocket(connection) }

    /// Whether the server has hung up on an idle connection, as far as can be seen without asking it.
    var hasHungUp: Bool {
        guard !isBroken, PQconsumeInput(connection) == 1, PQstatus(connection) == CONNECTION_OK else { return true }
        return false
    }

    // MARK: Sending

    /// Sends steps and does not wait; the next `exchange` takes their answers.
    func send(_ steps: [Step]) throws {
        for step in steps where !queue(step) { throw lost("sending") }
        guard PQpipelineSync(connection) == 1 else { throw lost("sending") }
        awaited += 1
        guard PQflush(connection) >= 0 else { throw lost("sending") }
    }

    private func queue(_ step: Step) -> Bool {
        switch step {
        case .control(let sql): PQsendQueryParams(connection, sql, 0, nil, nil, nil, nil, 1) == 1
        case .prepare(let name, let sql, let types):
            PQsendPrepare(connection, name, sql, CInt(types.count), types.map { Oid($0) }) == 1
        case .execute(let name, let parameters): queue(name, parameters)
        }
    }

    private func queue(_ name: String, _ parameters: [[UInt8]?]) -> Bool {
        // One block for all values: libpq copies it before it returns.
        let block = parameters.reduce(into: [UInt8]()) { $0 += $1 ?? [] } + [0]
        return block.withUnsafeBufferPointer { block in
            var position = 0
            let pointers: [UnsafePointer<CChar>?] = parameters.map { value in
                guard let value, let base = block.baseAddress else { return nil }
                defer { position += value.count }
                return UnsafeRawPointer(base + position).assumingMemoryBound(to: CChar.self)
            }
            let lengths = parameters.map { CInt($0?.count ?? 0) }
            let formats = [CInt](repeating: 1, count: parameters.count)
            return PQsendQueryPrepared(
                connection, name, CInt(parameters.count), pointers, lengths, formats, 1) == 1
        }
    }

    // MARK: Answers

    /// What became of the steps of one `exchange`.
    struct Outcome {
        /// Of the last step that was executed; nil when it failed.
        var result: PostgresResult?
        var failure: PostgresFailure?
        /// How many steps went well.
        var done = 0
    }

    /// Sends steps and waits for their answers, in one round trip.
    ///
    /// - Throws: `SQLError` of kind `.unavailable` when the connection is lost; the server's own refusal is in the result.
    func exchange(_ steps: [Step], _ patience: Patience) throws -> Outcome {
        try send(steps)
        var outcome = Outcome()
        while awaited > 0 {
            let isOurs = awaited == 1
            while let result = try nextResult(patience) {
                if PQresultStatus(result) == PGRES_PIPELINE_SYNC {
                    PQclear(result)
                    awaited -= 1
                    break
                }
                if isOurs { Self.take(result, &outcome) } else { PQclear(result) }
            }
        }
        try patience.settle()
        return outcome
    }

    private static func take(_ result: OpaquePointer, _ outcome: inout Outcome) {
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
            outcome.done += 1
            outcome.result = PostgresResult(result)
        case PGRES_PIPELINE_ABORTED:
            PQclear(result)
        default:
            outcome.result = nil
            if outcome.failure == nil { outcome.failure = PostgresFailure(result) }
            PQclear(result)
        }
    }

    /// The next result, past the marks between commands.
    private func nextResult(_ patience: Patience) throws -> OpaquePointer? {
        while true {
            try fill(patience)
            if let result = PQgetResult(connection) { return result }
            if PQstatus(connection) == CONNECTION_BAD { throw lost("waiting for an answer") }
        }
    }

    /// Waits until the next result can be had without waiting.
    private func fill(_ patience: Patience) throws {
        while true {
            let unsent = PQflush(connection)
            guard unsent >= 0 else { throw lost("sending") }
            if PQisBusy(connection) == 0 { return }
            switch wakeup.wait(for: socket, writing: unsent > 0, until: patience.limit) {
            case .socket: guard PQconsumeInput(connection) == 1 else { throw lost("waiting for an answer") }
            case .woken, .time: try lookUp(patience)
            }
        }
    }

    private func cancellation() throws -> PostgresCancellation {
        guard let cancel = PQgetCancel(connection) else { throw lost("cancelling") }
        return PostgresCancellation(cancel, wakeup)
    }

    // MARK: Copying

    /// Runs a COPY from here with all of its data.
    func copy(_ sql: String, _ data: [UInt8], _ patience: Patience) throws -> PostgresFailure? {
        guard awaited == 0, PQexitPipelineMode(connection) == 1, PQsendQuery(connection, sql) == 1 else {
            throw lost("copying")
        }
        var failure: PostgresFailure?
        while true {
            try fill(patience)
            guard let result = PQgetResult(connection) else { break }
            let status = PQresultStatus(result)
            if status == PGRES_FATAL_ERROR, failure == nil { failure = PostgresFailure(result) }
            PQclear(result)
            if status == PGRES_COPY_IN { try put(data, patience) }
        }
        guard PQstatus(connection) == CONNECTION_OK, PQenterPipelineMode(connection) == 1 else { throw lost("copying") }
        try patience.settle()
        return failure
    }

    private func put(_ data: [UInt8], _ patience: Patience) throws {
        var rest = data[...]
        while !rest.isEmpty {
            let piece = rest.prefix(65_536)
            let isTaken = piece.withUnsafeBytes {
                PQputCopyData(connection, $0.baseAddress?.assumingMemoryBound(to: CChar.self), CInt($0.count)) == 1
            }
            guard isTaken else { throw lost("copying") }
            rest = rest.dropFirst(piece.count)
            try drain(patience)
        }
        guard PQputCopyEnd(connection, nil) == 1 else { throw lost("copying") }
    }

    /// Waits until the server has taken what was sent, so that no more than a piece is held twice.
    private func drain(_ patience: Patience) throws {
        while true {
            let unsent = PQflush(connection)
            guard unsent >= 0 else { throw lost("copying") }
            if unsent == 0 { return }
            switch wakeup.wait(for: socket, writing: true, until: patience.limit) {
            case .socket: guard PQconsumeInput(connection) == 1 else { throw lost("copying") }
            case .woken, .time: try lookUp(patience)
            }
        }
    }

    private func lookUp(_ patience: Patience) throws {
        do {
            try patience.lookUp { try cancellation() }
        } catch {
            isBroken = true
            throw error
        }
    }

    // MARK: Scripts

    /// Runs several statements at once, which the pipeline cannot.
    func script(_ sql: String, _ patience: Patience) throws -> PostgresFailure? {
        guard awaited == 0, PQexitPipelineMode(connection) == 1 else { throw lost("running a script") }
        guard PQsendQuery(connection, sql) == 1 else { throw lost("running a script") }
        var failure: PostgresFailure?
        while true {
            try fill(patience)
            guard let result = PQgetResult(connection) else { break }
            defer { PQclear(result) }
            if PQresultStatus(result) == PGRES_FATAL_ERROR, failure == nil { failure = PostgresFailure(result) }
        }
        guard PQstatus(connection) == CONNECTION_OK, PQenterPipelineMode(connection) == 1 else {
            throw lost("running a script")
        }
        try patience.settle()
        return failure
    }
}

extension PostgresFailure {
    init(_ result: OpaquePointer) {
        func field(_ code: Character) -> String {
            PQresultErrorField(result, CInt(code.asciiValue ?? 0)).map { String(cString: $0) } ?? ""
        }
        // The codes are macros of characters (postgres_ext.h), which Swift does not import.
        self.init(
            state: field("C"), message: field("M"), table: field("t"), column: field("c"), constraint: field("n"),
            detail: field("D"))
    }
}

/// The rows of one statement.
final class PostgresResult {
    private let result: OpaquePointer

    init(_ result: OpaquePointer) { self.result = result }

    deinit { PQclear(result) }

    /// Rows that an INSERT, UPDATE or DELETE changed.
    var changed: Int { PQcmdTuples(result).flatMap { Int(String(cString: $0)) } ?? 0 }
    var rowCount: Int { Int(PQntuples(result)) }
    /// `COMMIT`, or `ROLLBACK` when that is what became of it.
    var tag: String { PQcmdStatus(result).map { String(cString: $0) } ?? "" }

    /// - Throws: `SQLError` of kind `.misuse` for a column of a type that SQLite does not know.
    func rows() throws -> [Row] {
        let columns = (0..<PQnfields(result)).map { PQfname(result, $0).map { String(cString: $0) } ?? "" }
        let types = (0..<PQnfields(result)).map { UInt32(PQftype(result, $0)) }
        return try (0..<PQntuples(result)).map { row in
            try Row(
                columns: columns,
                values: types.enumerated().map { column, type in
                    try value(row, CInt(column), type, name: columns[column])
                })
        }
    }

    private func value(_ row: CInt, _ column: CInt, _ type: UInt32, name: String) throws -> Value {
        guard PQgetisnull(result, row, column) == 0 else { return .null }
        let bytes = UnsafeRawBufferPointer(
            start: PQgetvalue(result, row, column), count: Int(PQgetlength(result, row, column)))
        guard let value = Value(postgres: type, bytes) else {
            throw SQLError.misuse("column '\(name)' has a type (\(type)) that is not one of both engines")
        }
        return value
    }
}
