/// What is known of each open call, by its id: open addressing with linear probing.
///
/// A call is looked up several times on its way, so this is cheaper than a dictionary with a keyed hash. Ids that follow
/// each other lie beside each other and never meet. A peer that picks ids which do meet has a lookup walk past at most
/// as many places as it has calls open.
///
/// Public, though nobody outside uses it: only then do the modules above get code for their own values.
public struct CallTable<Value> {
    /// Ids by place, 0 where nothing is; as many as a power of two says, at most half of them taken.
    @usableFromInline var ids: [UInt32] = []
    @usableFromInline var values: [Value?] = []
    @usableFromInline var taken = 0

    public init() {}

    @inlinable public var count: Int { taken }
    @inlinable public var isEmpty: Bool { taken == 0 }

    @inlinable public subscript(_ id: CallID) -> Value? {
        get { place(of: id).flatMap { values[$0] } }
        set {
            if let place = place(of: id) {
                if newValue == nil { free(place) } else { values[place] = newValue }
            } else if let newValue {
                insert(newValue, at: id)
            }
        }
        _modify {
            if let place = place(of: id) {
                yield &values[place]
                if values[place] == nil { free(place) }
            } else {
                var value: Value?
                yield &value
                if let value { insert(value, at: id) }
            }
        }
    }

    /// Adds a call that is not here yet: spares looking for it.
    @inlinable public mutating func add(_ value: Value, at id: CallID) { insert(value, at: id) }

    /// Whether the call is here.
    @inlinable public func contains(_ id: CallID) -> Bool { place(of: id) != nil }

    @inlinable @discardableResult
    public mutating func removeValue(forKey id: CallID) -> Value? {
        guard let place = place(of: id) else { return nil }
        let value = values[place]
        free(place)
        return value
    }

    public mutating func removeAll() { self = CallTable() }

    /// All calls in the order of their ids.
    public func sorted() -> [(id: CallID, value: Value)] {
        zip(ids, values)
            .compactMap { id, value in value.map { (CallID(rawValue: id), $0) } }
            .sorted { $0.0 < $1.0 }
    }

    // MARK: Places

    @usableFromInline static var smallest: Int { 16 }

    @inlinable func home(_ id: UInt32) -> Int { Int(id ^ (id >> 16 &* 0x9E37_79B1)) & (ids.count - 1) }

    @inlinable func place(of id: CallID) -> Int? {
        guard taken > 0 else { return nil }
        var place = home(id.rawValue)
        while ids[place] != 0 {
            if ids[place] == id.rawValue { return place }
            place = (place + 1) & (ids.count - 1)
        }
        return nil
    }

    @inlinable mutating func insert(_ value: Value, at id: CallID) {
        // 0 names the connection, never a call.
        guard id.rawValue != 0 else { return }
        if 2 * (taken + 1) > ids.count { grow() }
        var place = home(id.rawValue)
        while ids[place] != 0 { place = (place + 1) & (ids.count - 1) }
        ids[place] = id.rawValue
        values[place] = value
        taken += 1
    }

    /// Empties a place, and moves those behind it that were pushed there by what it held.
    @inlinable mutating func free(_ place: Int) {
        let mask = ids.count - 1
        var hole = place
        var next = (hole + 1) & mask
        while ids[next] != 0 {
            let distance = (next - home(ids[next])) & mask
            if distance >= (next - hole) & mask {
                ids[hole] = ids[next]
                values.swapAt(hole, next)
                hole = next
            }
            next = (next + 1) & mask
        }
        ids[hole] = 0
        values[hole] = nil
        taken -= 1
    }

    @inlinable mutating func grow() {
        let old = zip(ids, values)
        let capacity = max(Self.smallest, 2 * ids.count)
        ids = [UInt32](repeating: 0, count: capacity)
        values = [Value?](repeating: nil, count: capacity)
        taken = 0
        for (id, value) in old {
            if let value { insert(value, at: CallID(rawValue: id)) }
        }
    }
}

extension CallTable: Sendable where Value: Sendable {}
