internal import Synchronization

/// One of the readers beside the writer: each body sees one committed snapshot.
struct SQLiteReader {
    let connection: SQLiteConnection
    let options: Database.Options
    let counters: Counters

    func serve(_ queue: WorkQueue) {
        while let batch = queue.take(upTo: 1) {
            for work in batch where work.claim() { run(work) }
        }
    }

    private func run(_ work: any Work) {
        do {
            try connection.script("BEGIN")
            defer { try? connection.script("ROLLBACK") }
            try connection.limited(to: options.bodyTimeout, deadline: work.deadline) { try work.run(connection) }
        } catch {
            return work.fail(error)
        }
        counters.reads.add(1, ordering: .relaxed)
        work.succeed()
    }
}
