import Synchronization

/// One use of a key by one call, be it for one item or for many.
struct KeyUse: Sendable {
    let operation: KeyOperation
    let key: String
    /// 0 where items were of several versions.
    let version: UInt32
    /// A service's name.
    let actor: String
    let requestID: String
    let items: Int
    /// How many of them came to nothing: ciphertexts that do not decrypt, MACs that are not valid.
    let failed: Int
    /// Microseconds since 1970.
    let time: Int64

    var entry: AuditEntry {
        let parts = [
            version > 0 ? "version \(version)" : nil, items == 1 ? nil : "\(items) items", failed > 0 ? "\(failed) failed" : nil,
        ]
        var entry = AuditEntry(
            action: operation.rawValue, key: key, actor: actor, requestID: requestID,
            detail: parts.compactMap(\.self).joined(separator: ", "))
        entry.time = time
        return entry
    }
}

/// Uses of keys on their way from handlers to the keyring thread, which writes them.
///
/// A handler takes a lock and leaves word; it never waits for the disk. What is left lies in memory, up to a bound. Beyond it
/// uses are counted by operation, key and caller, so that the log tells how many it does not list: keys are used on, whatever
/// becomes of the log.
final class UseLog: Sendable {
    /// How many uses wait to be written, at most: some megabytes.
    static let capacity = 16_384
    /// How long they wait, at most, in seconds.
    static let interval = 1.0
    /// How many different counts there are, at most.
    private static let counterCapacity = 4096

    /// What is counted together.
    fileprivate struct Kind: Hashable, Comparable {
        var operation: String
        var key: String
        var actor: String

        static func < (left: Kind, right: Kind) -> Bool {
            (left.key, left.operation, left.actor) < (right.key, right.operation, right.actor)
        }
    }

    fileprivate struct Count {
        var calls: UInt64 = 0
        var items: UInt64 = 0
        var failed: UInt64 = 0
        var first: Int64
        var last: Int64

        fileprivate mutating func add(_ other: Count) {
            (calls, items, failed) = (calls &+ other.calls, items &+ other.items, failed &+ other.failed)
            (first, last) = (min(first, other.first), max(last, other.last))
        }
    }

    /// What is written at once.
    struct Batch {
        fileprivate var uses: [KeyUse] = []
        fileprivate var counts: [Kind: Count] = [:]

        var isEmpty: Bool { uses.isEmpty && counts.isEmpty }
        /// How many calls it tells of.
        var calls: Int { counts.values.reduce(uses.count) { $0 &+ Int(clamping: $1.calls) } }
        var entries: [AuditEntry] {
            uses.map(\.entry) + counts.sorted { $0.key < $1.key }.map { kind, count in
                let (first, last) = (AuditRecord.text(of: count.first), AuditRecord.text(of: count.last))
                return AuditEntry(
                    action: AuditEntry.countedUses, key: kind.key, actor: kind.actor,
                    detail: "\(kind.operation) in \(count.calls) calls from \(first) to \(last), not listed one by one: "
                        + "\(count.items) items, \(count.failed) failed")
            }
        }
    }

    private let waiting = Mutex(Batch())
    private let capacity: Int

    init(capacity: Int = UseLog.capacity) { self.capacity = capacity }

    /// Leaves word of a use.
    ///
    /// - Returns: Whether the keyring thread should write now, rather than when it would have: half of the room is taken.
    func add(_ use: KeyUse) -> Bool {
        waiting.withLock { batch in
            guard batch.uses.count < capacity else {
                Self.count(use, in: &batch)
                return false
            }
            batch.uses.append(use)
            return batch.uses.count == (capacity + 1) / 2
        }
    }

    /// Takes all that waits.
    func take() -> Batch {
        waiting.withLock { batch in
            defer { batch = Batch() }
            return batch
        }
    }

    /// Puts back what could not be written, ahead of what came meanwhile.
    func restore(_ batch: Batch) {
        waiting.withLock { waiting in
            let later = waiting.uses
            waiting.uses = batch.uses
            for use in later {
                if waiting.uses.count < capacity { waiting.uses.append(use) } else { Self.count(use, in: &waiting) }
            }
            for (kind, count) in batch.counts { waiting.counts[kind, default: count.nothing].add(count) }
        }
    }

    private static func count(_ use: KeyUse, in batch: inout Batch) {
        var kind = Kind(operation: use.operation.rawValue, key: use.key, actor: use.actor)
        if batch.counts.count >= counterCapacity, batch.counts[kind] == nil { kind = Kind(operation: "OTHERS", key: "", actor: "") }
        let one = Count(calls: 1, items: UInt64(use.items), failed: UInt64(use.failed), first: use.time, last: use.time)
        batch.counts[kind, default: one.nothing].add(one)
    }
}

extension UseLog.Count {
    fileprivate var nothing: Self { Self(first: first, last: last) }
}
