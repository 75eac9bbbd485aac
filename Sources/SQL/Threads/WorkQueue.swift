private import Glibc

/// A bounded queue between tasks, which never wait in it, and the database's threads, which do.
// Unchecked: the elements are guarded by a POSIX mutex, because the threads that take from it wait on a condition,
// which Synchronization does not offer.
final class WorkQueue: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let limit: Int
    private var waiting: [any Work] = []
    private var isClosed = false

    init(limit: Int) {
        self.limit = limit
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Work that waits.
    var count: Int { locked { waiting.count } }

    /// Adds work, or says why not.
    func offer(_ work: any Work) -> SQLError? {
        locked {
            if isClosed { return .closed }
            if waiting.count >= limit { waiting.removeAll(where: \.isSettled) }
            if waiting.count >= limit {
                return SQLError(.refused, "the database queue is full (\(limit) waiting)")
            }
            waiting.append(work)
            pthread_cond_signal(condition)
            return nil
        }
    }

    /// Waits for work and takes up to `count` pieces; nil when closed and empty.
    func take(upTo count: Int) -> [any Work]? {
        locked {
            while waiting.isEmpty && !isClosed {
                pthread_cond_wait(condition, mutex)
            }
            guard !waiting.isEmpty else { return nil }
            let batch = Array(waiting.prefix(count))
            waiting.removeFirst(batch.count)
            return batch
        }
    }

    /// Refuses new work; what waits is still taken.
    func close() {
        locked {
            isClosed = true
            pthread_cond_broadcast(condition)
        }
    }

    private func locked<T>(_ body: () -> T) -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }
}
