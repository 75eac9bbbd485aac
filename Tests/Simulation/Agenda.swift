import WireCore

/// What happens when: in order of time, and of arrival where times are equal.
struct Agenda {
    private struct Entry {
        let due: WireInstant
        let number: UInt64
        let action: (World) -> Void

        func isBefore(_ other: Entry) -> Bool { (due.nanoseconds, number) < (other.due.nanoseconds, other.number) }
    }

    private var heap: [Entry] = []
    private var count: UInt64 = 0

    var nextDue: WireInstant? { heap.first?.due }

    mutating func add(_ due: WireInstant, _ action: @escaping (World) -> Void) {
        count += 1
        heap.append(Entry(due: due, number: count, action: action))
        var index = heap.count - 1
        while index > 0, heap[index].isBefore(heap[(index - 1) / 2]) {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func popDue(_ now: WireInstant) -> ((World) -> Void)? {
        guard let first = heap.first, first.due <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        sink()
        return first.action
    }

    private mutating func sink() {
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && heap[child].isBefore(heap[least]) {
                least = child
            }
            guard least != index else { return }
            heap.swapAt(index, least)
            index = least
        }
    }
}
