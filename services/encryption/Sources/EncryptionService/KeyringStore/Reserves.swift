/// What the processes that share a keyring have reserved together, by version of a key: a value.
struct Reserves: Sendable, Hashable {
    /// When it was made tells a key from another one of the same name that came after it.
    struct Version: Sendable, Hashable {
        let key: String
        let number: UInt32
        let createdAt: Int64
    }

    var counts: [Version: UInt64] = [:]

    init() {}

    /// What a keyring says by itself.
    init(of keyring: Keyring) {
        for key in keyring.keys where key.usage == .aead {
            for version in key.versions { counts[Version(key, version)] = version.reserved }
        }
    }

    /// Takes a block for each request, and forgets versions that are no more.
    mutating func take(_ requests: [ReserveRequest], of keyring: Keyring) -> [ReservedBlock] {
        merge(keyring)
        return requests.compactMap { request in
            guard let key = keyring[request.key], let version = key.version(request.version) else { return nil }
            let reserved = counts[Version(key, version)] ?? 0
            let end = request.extended(reserved)
            counts[Version(key, version)] = end
            return ReservedBlock(key: request.key, version: request.version, from: reserved, upTo: end)
        }
    }

    /// All of it, in the form that a keyring takes note of.
    func blocks(of keyring: Keyring) -> [ReservedBlock] {
        keyring.keys.flatMap { key in
            key.versions.compactMap { version in
                counts[Version(key, version)].map {
                    ReservedBlock(key: key.name, version: version.number, from: $0, upTo: $0)
                }
            }
        }
    }

    /// Takes the higher count of each version, and forgets none.
    ///
    /// - Returns: Whether any is higher now, or new.
    mutating func raise(_ other: Reserves) -> Bool {
        let before = counts
        counts.merge(other.counts) { max($0, $1) }
        return counts != before
    }

    /// A version begins with what its maker reserved for itself.
    private mutating func merge(_ keyring: Keyring) {
        let known = counts
        counts = Reserves(of: keyring).counts
        for (version, count) in counts { counts[version] = max(count, known[version] ?? 0) }
    }
}

extension Reserves.Version {
    fileprivate init(_ key: NamedKey, _ version: KeyVersion) {
        self.init(key: key.name, number: version.number, createdAt: version.createdAt)
    }
}
