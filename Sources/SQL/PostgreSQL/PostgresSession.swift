/// A connection as a body sees it: statements are prepared once, and what opens a transaction travels with its first
/// statement.
///
/// The first error ends the transaction, as everywhere in PostgreSQL; a body that goes on all the same meets that error
/// again, at its next statement or when it is to be committed.
final class PostgresSession: Session {
    private struct StatementKey: Hashable {
        let sql: String
        let types: [UInt32]
    }

    private struct Prepared {
        let name: String
        var lastUse: Int
    }

    private let connection: PostgresConnection
    private let counters: Counters
    private let cacheLimit: Int
    private var texts: [String: PostgresText] = [:]
    private var cache: [StatementKey: Prepared] = [:]
    private var uses = 0
    /// What opens the transaction, until it is sent.
    private var opening: [PostgresConnection.Step] = []
    /// What comes before it, outside of the transaction.
    private var before: [PostgresConnection.Step] = []
    private var patience = Patience(until: .now)
    /// The server is in a transaction, or will be when it has read what was sent.
    private(set) var isInTransaction = false
    /// What ended the transaction.
    private(set) var failure: PostgresFailure?
    private var error: SQLError?

    init(_ connection: PostgresConnection, options: Database.Options, counters: Counters) {
        self.connection = connection
        self.counters = counters
        self.cacheLimit = options.statementCacheLimit
    }

    // MARK: Transactions

    /// Notes how the transaction begins; nothing is sent before its first statement.
    func begin(_ steps: [String], after before: [String], _ patience: Patience) {
        self.before = before.map { .control($0) }
        self.patience = patience
        opening = steps.map { .control($0) }
        failure = nil
        error = nil
    }

    /// What a body was refused, however it went on after that.
    func rethrow() throws {
        if let error { throw error }
    }

    /// Ends the transaction and waits until it is durable.
    ///
    /// - Throws: `SQLError`; of kind `.unknownOutcome` when the connection was lost while the answer was awaited.
    func commit(then steps: [String], _ patience: Patience) throws {
        guard isInTransaction else { return }
        defer {
            isInTransaction = false
            // Behind a point of synchronisation of their own: they come after a COMMIT that fails, too.
            if !steps.isEmpty, !connection.isBroken { try? connection.send(steps.map { .control($0) }) }
        }
        let outcome: PostgresConnection.Outcome
        do {
            outcome = try connection.exchange([.control("COMMIT")], patience)
        } catch {
            throw SQLError.unknownOutcome(error)
        }
        if let failure = outcome.failure {
            self.failure = failure
            throw failure.error(doing: "committing")
        }
    }

    /// Ends the transaction without waiting: the answer is read before the next one.
    func abandon(then steps: [String] = []) {
        defer { isInTransaction = false }
        guard isInTransaction || !steps.isEmpty, !connection.isBroken else { return }
        try? connection.send([.control("ROLLBACK")] + steps.map { .control($0) })
    }

    /// The server knows none of the statements any more.
    func forgetStatements() {
        cache.removeAll()
        try? connection.send([.control("DEALLOCATE ALL")])
    }

    // MARK: Session

    var dialect: Dialect { .postgres }

    var lockingRows: String { "FOR UPDATE SKIP LOCKED" }

    func query(_ sql: String, _ parameters: Parameters, limit: Int) throws -> [Row] {
        let result = try run(sql, parameters)
        guard result.rowCount <= limit else { throw SQLError.misuse("more than \(limit) rows from: \(sql)") }
        return try result.rows()
    }

    func execute(_ sql: String, _ parameters: Parameters) throws -> Int {
        try run(sql, parameters).changed
    }

    /// With a key the rows go to a temporary table first: COPY itself knows no conflicts.
    func insert(into table: String, columns: [String], rows: [[Value]], unlessKnownBy key: String?) throws -> Int {
        let names = columns.joined(separator: ", ")
        guard let key else { return try copy(into: "\(table) (\(names))", rows) }
        _ = try execute("CREATE TEMP TABLE bulk_rows ON COMMIT DROP AS SELECT \(names) FROM \(table) WITH NO DATA", .none)
        _ = try copy(into: "bulk_rows (\(names))", rows)
        let count = try command(
            "INSERT INTO \(table) (\(names)) SELECT \(names) FROM bulk_rows ON CONFLICT (\(key)) DO NOTHING").changed
        _ = try command("DROP TABLE bulk_rows")
        return count
    }

    private func copy(into target: String, _ rows: [[Value]]) throws -> Int {
        try rethrow()
        try patience.check()
        let steps = try takeOpening()
        if !steps.isEmpty { _ = try checked(try connection.exchange(steps, patience), "beginning") }
        let failure = try connection.copy("COPY \(target) FROM STDIN (FORMAT binary)", CopyData.bytes(of: rows), patience)
        if let failure { throw note(failure, "copying into \(target)") }
        return rows.count
    }

    /// A statement about a table that is made anew each time: a prepared one would name the old one.
    private func command(_ sql: String) throws -> PostgresResult {
        try rethrow()
        try patience.check()
        return try checked(try connection.exchange([.control(sql)], patience), "running: \(sql)")
    }

    func script(_ sql: String) throws {
        try rethrow()
        let steps = try takeOpening()
        if !steps.isEmpty { _ = try checked(try connection.exchange(steps, patience), "beginning") }
        guard let failure = try connection.script(PostgresText.script(sql), patience) else { return }
        throw note(failure, "running a script")
    }

    private func run(_ sql: String, _ parameters: Parameters) throws -> PostgresResult {
        try rethrow()
        try patience.check()
        counters.statements.add(1, ordering: .relaxed)
        let text = text(sql)
        let values = try values(of: parameters, for: text, sql)
        let key = StatementKey(sql: sql, types: values.map(\.postgresType))
        let opening = try takeOpening()
        let (steps, fresh) = statement(key, text, values)
        let outcome = try connection.exchange(opening + steps, patience)
        if let fresh, outcome.done >= opening.count + steps.count - 1 { cache[key] = fresh }
        return try checked(outcome, "running: \(sql)")
    }

    private func takeOpening() throws -> [PostgresConnection.Step] {
        if !opening.isEmpty { isInTransaction = true }
        if !before.isEmpty { try connection.send(before) }
        before = []
        defer { opening = [] }
        return opening
    }

    private func checked(_ outcome: PostgresConnection.Outcome, _ action: String) throws -> PostgresResult {
        if let failure = outcome.failure { throw note(failure, action) }
        guard let result = outcome.result else { throw SQLError(.unavailable, "the database did not answer (\(action))") }
        return result
    }

    private func note(_ failure: PostgresFailure, _ action: String) -> SQLError {
        let error = failure.error(doing: action)
        self.failure = failure
        self.error = error
        return error
    }

    // MARK: Statements

    /// A bounded memory of translations: stores have their statements in their code, so that they are few.
    private func text(_ sql: String) -> PostgresText {
        if let known = texts[sql] { return known }
        if texts.count >= 4 * cacheLimit { texts.removeAll() }
        let text = PostgresText(sql)
        texts[sql] = text
        return text
    }

    private func values(of parameters: Parameters, for text: PostgresText, _ sql: String) throws -> [Value] {
        let values = try text.names.map { name in
            guard let value = parameters[name] else {
                throw SQLError.misuse("parameter ':\(name)' has no value in: \(sql)")
            }
            return value
        }
        if parameters.count != values.count, let name = parameters.firstName(notIn: text.names) {
            throw SQLError.misuse("value '\(name)' has no parameter in: \(sql)")
        }
        return values
    }

    /// The steps that run a statement, and what there is to remember when it had to be prepared.
    private func statement(
        _ key: StatementKey, _ text: PostgresText, _ values: [Value]
    ) -> ([PostgresConnection.Step], Prepared?) {
        uses += 1
        let parameters = values.map(\.postgresBytes)
        if let known = cache[key]?.name {
            cache[key]?.lastUse = uses
            return ([.execute(name: known, parameters: parameters)], nil)
        }
        counters.prepared.add(1, ordering: .relaxed)
        let name = "s\(uses)"
        var steps: [PostgresConnection.Step] = [
            .prepare(name: name, sql: text.sql, types: key.types), .execute(name: name, parameters: parameters),
        ]
        if cache.count >= cacheLimit, let oldest = cache.min(by: { $0.value.lastUse < $1.value.lastUse }) {
            cache.removeValue(forKey: oldest.key)
            steps.insert(.control("DEALLOCATE \(oldest.value.name)"), at: 0)
        }
        return (steps, Prepared(name: name, lastUse: uses))
    }
}
