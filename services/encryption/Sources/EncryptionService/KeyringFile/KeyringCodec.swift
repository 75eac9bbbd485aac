import LibCrypto

/// The sealed form of a keyring. Pure: bytes in, bytes out.
///
/// ```
/// file     = "LSKR" format:u16 master-key-id:8 sealed          numbers are big-endian
/// sealed   = AES-256-GCM(plain, AAD = everything before it)
/// plain    = generation:u64 audit count:u32 key*
/// audit    = sequence:u64 hash:32
/// key      = length:u8 name kind:u8 options:u8 state:u8 destroyAt:i64 settings count:u32 version*
/// settings = minDecryption:u32 minEncryption:u32 rotateAfter:u64 rotateAfterUses:u64
/// version  = number:u32 created:i64 active:i64 reserved:u64 length:u16 secret
/// ```
///
/// Format 1, which is read and no longer written, has no audit, options, state and settings; its kinds are 1 and 2, its
/// secrets 32 bytes without a length.
struct KeyringCodec {
    static let format: UInt16 = 2
    private static let kinds: [UInt8: KeyKind] = [1: .aead, 2: .sign(.edDSA), 3: .mac, 4: .sign(.es256)]
    /// The longest file that is read, in bytes.
    static let maximumCount = 64 << 20
    private static let magic = Array("LSKR".utf8)
    private static let headerCount = 4 + 2 + MasterKey.idCount

    /// The file's path, for the texts of errors.
    let path: String
    let masterKeys: MasterKeys
    let maker: KeyMaker

    /// - Throws: `tooManyKeys`, `tooManyVersions`, `tooLong` for what `open` would not read.
    func seal(_ keyring: Keyring) throws(KeyringProblem) -> [UInt8] {
        guard keyring.count <= Keyring.maximumKeys else { throw .tooManyKeys(path: path) }
        if let key = keyring.keys.first(where: { $0.versions.count > Keyring.maximumVersions }) {
            throw .tooManyVersions(key: key.name, path: path)
        }
        var writer = ByteWriter()
        defer { writer.wipe() }
        do {
            try write(keyring, to: &writer)
        } catch {
            throw .crypto("\(error)")
        }
        let masterKey = masterKeys.sealing
        return try seal(writer.bytes, masterKey, header: Self.magic + Self.format.bigEndianBytes + masterKey.id)
    }

    private func seal(_ plain: [UInt8], _ masterKey: MasterKey, header: [UInt8]) throws(KeyringProblem) -> [UInt8] {
        guard header.count + AEAD.overhead + plain.count <= Self.maximumCount else { throw .tooLong(path: path) }
        do {
            return header + (try AEAD.seal(plain, key: masterKey.sealing, aad: header))
        } catch {
            throw .crypto("\(error)")
        }
    }

    /// - Throws: `corrupt`, `unknownFormat`, `wrongMasterKey`.
    func open(_ file: [UInt8]) throws(KeyringProblem) -> Keyring {
        let header = try Self.header(of: file, path: path)
        let format = UInt16(header[4]) << 8 | UInt16(header[5])
        guard (1...Self.format).contains(format) else { throw .unknownFormat(path: path, version: format) }
        let id = Array(header[6...])
        guard let masterKey = try masterKeys.key(id) else {
            throw .wrongMasterKey(path: masterKeys.source.place, keyring: path)
        }
        guard var plain = try? AEAD.open(file[Self.headerCount...], key: masterKey.sealing, aad: header) else {
            throw corrupt("its seal is broken")
        }
        defer { plain.withUnsafeMutableBytes { wipe($0) } }
        guard let keyring = try? read(plain, format) else { throw corrupt("its content does not parse") }
        return keyring
    }

    /// The id of the master key under which it is sealed.
    static func masterKeyID(of file: [UInt8], path: String) throws(KeyringProblem) -> [UInt8] {
        Array(try header(of: file, path: path)[6...])
    }

    private static func header(of file: [UInt8], path: String) throws(KeyringProblem) -> [UInt8] {
        let header = Array(file.prefix(headerCount))
        guard header.count == headerCount, header.starts(with: magic) else {
            throw .corrupt(path: path, reason: "it does not begin like a keyring")
        }
        return header
    }

    /// Whether two keyrings hold the same, to the last byte.
    func isSame(_ left: Keyring, _ right: Keyring) throws(KeyringProblem) -> Bool {
        var (first, second) = (ByteWriter(), ByteWriter())
        defer {
            first.wipe()
            second.wipe()
        }
        do {
            try write(left, to: &first)
            try write(right, to: &second)
        } catch {
            throw .crypto("\(error)")
        }
        return constantTimeEqual(first.bytes, second.bytes)
    }

    private func corrupt(_ reason: String) -> KeyringProblem { .corrupt(path: path, reason: reason) }

    private func write(_ keyring: Keyring, to writer: inout ByteWriter) throws(CryptoError) {
        let keys = keyring.keys
        writer.write(keyring.generation)
        writer.write(keyring.audit.sequence)
        writer.write(keyring.audit.hash)
        writer.write(UInt32(keys.count))
        for key in keys {
            writer.write(UInt8(key.name.utf8.count))
            writer.write(Array(key.name.utf8))
            writer.write(Self.kinds.first { $0.value == key.kind }?.key ?? 0)
            writer.write(key.options.code)
            writer.write(key.state.code)
            writer.write(UInt64(bitPattern: key.state.destroyAt))
            writer.write(key.settings.minDecryption)
            writer.write(key.settings.minEncryption)
            writer.write(key.settings.rotateAfter)
            writer.write(key.settings.rotateAfterUses)
            writer.write(UInt32(key.versions.count))
            for version in key.versions { try write(version, to: &writer) }
        }
    }

    private func write(_ version: KeyVersion, to writer: inout ByteWriter) throws(CryptoError) {
        writer.write(version.number)
        writer.write(UInt64(bitPattern: version.createdAt))
        writer.write(UInt64(bitPattern: version.activeAt))
        writer.write(version.reserved)
        var secret = try version.material.bytes()
        defer { secret.withUnsafeMutableBytes { wipe($0) } }
        writer.write(UInt16(secret.count))
        writer.write(secret)
    }

    /// A function of its own, so that no reader shares the bytes any more when they are wiped: wiping would copy them first.
    @inline(never) private func read(_ plain: [UInt8], _ format: UInt16) throws -> Keyring {
        var reader = ByteReader(plain)
        let keyring = try read(&reader, format)
        guard reader.isAtEnd else { throw ByteReader.Malformed() }
        return keyring
    }

    private func read(_ reader: inout ByteReader, _ format: UInt16) throws -> Keyring {
        let generation: UInt64 = try reader.read()
        var audit = AuditHead.none
        if format > 1 { audit = AuditHead(sequence: try reader.read(), hash: try reader.read(count: AuditHead.hashCount)) }
        let count: UInt32 = try reader.read()
        guard count <= Keyring.maximumKeys else { throw ByteReader.Malformed() }
        var keys: [NamedKey] = []
        for _ in 0..<count { keys.append(try readKey(&reader, format)) }
        guard Set(keys.map(\.name)).count == keys.count else { throw ByteReader.Malformed() }
        return Keyring(generation: generation, audit: audit, keys: keys)
    }

    private func readKey(_ reader: inout ByteReader, _ format: UInt16) throws -> NamedKey {
        let length: UInt8 = try reader.read()
        let name = String(decoding: try reader.read(count: Int(length)), as: UTF8.self)
        guard let kind = Self.kinds[try reader.read()], KeyName.isValid(name), format > 1 || kind == .aead || kind.usage == .sign
        else { throw ByteReader.Malformed() }
        var (options, state, settings) = (KeyOptions(), KeyState.enabled, KeySettings())
        if format > 1 {
            options = try KeyOptions(code: reader.read())
            let code: UInt8 = try reader.read()
            state = try KeyState(code: code, destroyAt: Int64(bitPattern: reader.read()))
            settings.minDecryption = try reader.read()
            settings.minEncryption = try reader.read()
            settings.rotateAfter = try reader.read()
            settings.rotateAfterUses = try reader.read()
        }
        let count: UInt32 = try reader.read()
        guard count <= Keyring.maximumVersions else { throw ByteReader.Malformed() }
        var versions: [KeyVersion] = []
        for _ in 0..<count { versions.append(try readVersion(&reader, kind, format)) }
        let key = NamedKey(
            name: name, kind: kind, options: options, settings: settings, state: state, versions: versions)
        guard let key else { throw ByteReader.Malformed() }
        return key
    }

    private func readVersion(_ reader: inout ByteReader, _ kind: KeyKind, _ format: UInt16) throws -> KeyVersion {
        let number: UInt32 = try reader.read()
        let created: UInt64 = try reader.read()
        let active: UInt64 = try reader.read()
        let reserved: UInt64 = try reader.read()
        let length: UInt16 = format > 1 ? try reader.read() : UInt16(SymmetricKey.count)
        var secret = try reader.read(count: Int(length))
        defer { secret.withUnsafeMutableBytes { wipe($0) } }
        let material =
            format > 1
            ? try maker.material(kind, bytes: secret, used: reserved)
            : try maker.firstFormatMaterial(kind, bytes: secret, used: reserved)
        return KeyVersion(
            number: number, createdAt: Int64(bitPattern: created), activeAt: Int64(bitPattern: active),
            reserved: reserved, material: material)
    }
}

// MARK: Reserves
extension KeyringCodec {
    private static let reservesMagic = Array("LSKC".utf8)

    /// What processes that share a keyring have reserved, sealed apart from the keys: it changes more often.
    ///
    /// ```
    /// row      = "LSKC" format:u16 master-key-id:8 revision:u64 sealed
    /// sealed   = AES-256-GCM(plain, AAD = everything before it)
    /// plain    = count:u32 reserve*
    /// reserve  = length:u8 name version:u32 created:i64 reserved:u64
    /// ```
    func seal(_ reserves: Reserves, revision: UInt64) throws(KeyringProblem) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(UInt32(reserves.counts.count))
        for (version, count) in reserves.counts {
            writer.write(UInt8(version.key.utf8.count))
            writer.write(Array(version.key.utf8))
            writer.write(version.number)
            writer.write(UInt64(bitPattern: version.createdAt))
            writer.write(count)
        }
        let masterKey = masterKeys.sealing
        return try seal(writer.bytes, masterKey, header: reservesHeader(masterKey.id, revision))
    }

    /// - Parameter revision: That of the row, which must be the sealed one.
    func openReserves(_ row: [UInt8], revision: UInt64) throws(KeyringProblem) -> Reserves {
        let id = try Self.reservesMasterKeyID(of: row, path: path)
        guard let masterKey = try masterKeys.key(id) else {
            throw .wrongMasterKey(path: masterKeys.source.place, keyring: path)
        }
        let header = reservesHeader(id, revision)
        guard row.starts(with: header), let plain = try? AEAD.open(row[header.count...], key: masterKey.sealing, aad: header),
            let reserves = try? readReserves(plain)
        else { throw .corrupt(path: path, reason: "the seal of its reserves is broken") }
        return reserves
    }

    /// The same with the revision that it has itself: of a file, which has none beside it.
    func openReserves(_ file: [UInt8]) throws(KeyringProblem) -> (Reserves, revision: UInt64) {
        var reader = ByteReader(Array(file.dropFirst(Self.headerCount)))
        guard let revision: UInt64 = try? reader.read() else { throw corrupt("it does not begin like reserves") }
        return (try openReserves(file, revision: revision), revision)
    }

    static func reservesMasterKeyID(of row: [UInt8], path: String) throws(KeyringProblem) -> [UInt8] {
        guard row.count >= headerCount, row.starts(with: reservesMagic) else {
            throw .corrupt(path: path, reason: "it does not begin like reserves")
        }
        return Array(row[6..<headerCount])
    }

    private func reservesHeader(_ id: [UInt8], _ revision: UInt64) -> [UInt8] {
        Self.reservesMagic + UInt16(1).bigEndianBytes + id + revision.bigEndianBytes
    }

    private func readReserves(_ plain: [UInt8]) throws -> Reserves {
        var reader = ByteReader(plain)
        var reserves = Reserves()
        let count: UInt32 = try reader.read()
        for _ in 0..<count {
            let length: UInt8 = try reader.read()
            let name = String(decoding: try reader.read(count: Int(length)), as: UTF8.self)
            let number: UInt32 = try reader.read()
            let version = Reserves.Version(key: name, number: number, createdAt: Int64(bitPattern: try reader.read()))
            reserves.counts[version] = try reader.read()
        }
        guard reader.isAtEnd else { throw ByteReader.Malformed() }
        return reserves
    }
}

extension KeyOptions {
    fileprivate var code: UInt8 { (isExportable ? 1 : 0) | (isDerived ? 2 : 0) | (isImported ? 4 : 0) }

    fileprivate init(code: UInt8) throws {
        guard code < 8 else { throw ByteReader.Malformed() }
        self.init(isExportable: code & 1 != 0, isDerived: code & 2 != 0, isImported: code & 4 != 0)
    }
}

extension KeyState {
    fileprivate var code: UInt8 {
        switch self {
        case .enabled: 1
        case .disabled: 2
        case .pendingDestruction: 3
        }
    }

    /// 0 when it is not to be destroyed.
    fileprivate var destroyAt: Int64 {
        if case .pendingDestruction(let time) = self { time } else { 0 }
    }

    fileprivate init(code: UInt8, destroyAt: Int64) throws {
        switch code {
        case 1: self = .enabled
        case 2: self = .disabled
        case 3: self = .pendingDestruction(at: destroyAt)
        default: throw ByteReader.Malformed()
        }
    }
}
