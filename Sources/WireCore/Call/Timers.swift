/// When each call is next due: a binary heap with lazy removal, so that ending a call costs nothing here.
struct CallTimers: Sendable {
    private var heap: [Entry] = []

    struct Entry: Equatable, Sendable {
        var due: WireInstant
        var call: CallID
    }

    /// The earliest entry; it may belong to a call that has ended meanwhile.
    var first: Entry? { heap.first }

    /// Adds an entry. `live` calls need one each: when most entries are stale, `isLive` weeds them out.
    mutating func add(_ call: CallID, due: WireInstant, live: Int, isLive: (Entry) -> Bool) {
        if heap.count >= Self.slack + 2 * live { rebuild(keeping: isLive) }
        heap.append(Entry(due: due, call: call))
        siftUp(heap.count - 1)
    }

    /// Takes the earliest entry if it is due.
    mutating func popDue(_ now: WireInstant) -> Entry? {
        guard let first, first.due <= now else { return nil }
        removeFirst()
        return first
    }

    /// Drops stale entries from the front, so that `first` is worth waking up for.
    mutating func prune(keeping isLive: (Entry) -> Bool) {
        while let first, !isLive(first) { removeFirst() }
    }

    mutating func removeAll() {
        heap.removeAll(keepingCapacity: true)
    }

    /// Stale entries tolerated beside twice the live ones.
    private static let slack = 64

    private mutating func rebuild(keeping isLive: (Entry) -> Bool) {
        heap = heap.filter(isLive).sorted { $0.due < $1.due }
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        siftDown(0)
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0, heap[index].due < heap[(index - 1) / 2].due {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && heap[child].due < heap[least].due {
                least = child
            }
            guard least != index else { return }
            heap.swapAt(index, least)
            index = least
        }
    }
}
