internal import Synchronization

/// The one writer of a SQLite file: takes what waits, runs each transaction in its savepoint, commits them together.
///
/// While a commit waits for the disk, the next transactions gather in the queue: the busier the database, the more of
/// them share one fsync.
struct SQLiteWriter {
    let connection: SQLiteConnection
    let options: Database.Options
    let counters: Counters

    /// Serves the queue until it is closed and empty.
    func serve(_ queue: WorkQueue) {
        while let batch = queue.take(upTo: options.batchLimit) {
            commitTogether(batch)
        }
    }

    /// Answers every member of the batch, exactly once each.
    private func commitTogether(_ batch: [any Work]) {
        var left = batch
        while !left.isEmpty {
            do {
                left = try attempt(left)
            } catch {
                // BEGIN or COMMIT itself failed: nothing of the batch is in the database.
                try? connection.script("ROLLBACK")
                for work in left where work.claim() { reject(work, error) }
                return
            }
        }
    }

    /// One BEGIN ... COMMIT over a batch.
    ///
    /// - Returns: the work to run again, because SQLite undid the whole transaction when one member failed; that
    ///   member has been answered, so each attempt leaves fewer.
    private func attempt(_ batch: [any Work]) throws -> [any Work] {
        try connection.script("BEGIN IMMEDIATE")
        var done: [any Work] = []
        for (index, work) in batch.enumerated() where work.claim() {
            do {
                try runInSavepoint(work)
                done.append(work)
            } catch {
                let undone = !connection.isInTransaction
                reject(work, error)
                if undone { return done + batch[(index + 1)...] }
            }
        }
        try commit(done)
        return []
    }

    private func runInSavepoint(_ work: any Work) throws {
        try connection.script("SAVEPOINT member")
        do {
            try connection.limited(to: options.bodyTimeout, deadline: work.deadline) { try work.run(connection) }
            try connection.checkDeferredForeignKeys()
            try connection.script("RELEASE member")
        } catch {
            if connection.isInTransaction { try connection.script("ROLLBACK TO member; RELEASE member") }
            throw error
        }
    }

    private func commit(_ done: [any Work]) throws {
        guard !done.isEmpty else { return try connection.script("ROLLBACK") }
        do {
            try connection.script("COMMIT")
        } catch {
            try? connection.script("ROLLBACK")
            for work in done { reject(work, error) }
            return
        }
        counters.commits.add(1, ordering: .relaxed)
        counters.transactions.add(done.count, ordering: .relaxed)
        for work in done { work.succeed() }
    }

    private func reject(_ work: any Work, _ error: any Error) {
        counters.rollbacks.add(1, ordering: .relaxed)
        work.fail(error)
    }
}
