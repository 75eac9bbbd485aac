import LibCrypto

/// The sealed form of a keyring. Pure: bytes in, bytes out.
///
/// ```
/// file     = "LSKR" format:u16 master-key-id:8 sealed          numbers are big-endian
/// sealed   = AES-256-GCM(plain, AAD = everything before it)
/// plain    = generation:u64 count:u32 key*
/// key      = length:u8 name usage:u8 count:u32 version*
/// version  = number:u32 created:i64 active:i64 reserved:u64 secret:32
/// ```
struct KeyringCodec {
    static let format: UInt16 = 1
    /// The longest file that is read, in bytes.
    static let maximumCount = 64 << 20
    private static let magic = Array("LSKR".utf8)
    private static let headerCount = 4 + 2 + MasterKey.idCount

    /// The file's path, for the texts of errors.
    let path: String
    /// The master key's path, for the texts of errors.
    let masterKeyPath: String
    let masterKey: MasterKey
    let maker: KeyMaker

    func seal(_ keyring: Keyring) throws(KeyringProblem) -> [UInt8] {
        var writer = ByteWriter()
        defer { writer.wipe() }
        do {
            try write(keyring, to: &writer)
            let header = Self.magic + Self.format.bigEndianBytes + masterKey.id
            return header + (try AEAD.seal(writer.bytes, key: masterKey.sealing, aad: header))
        } catch {
            throw .crypto("\(error)")
        }
    }

    /// - Throws: `corrupt`, `unknownFormat`, `wrongMasterKey`.
    func open(_ file: [UInt8]) throws(KeyringProblem) -> Keyring {
        let header = Array(file.prefix(Self.headerCount))
        guard header.count == Self.headerCount, header.starts(with: Self.magic) else {
            throw corrupt("it does not begin like a keyring")
        }
        let format = UInt16(header[4]) << 8 | UInt16(header[5])
        guard format == Self.format else { throw .unknownFormat(path: path, version: format) }
        guard constantTimeEqual(header[6...], masterKey.id) else {
            throw .wrongMasterKey(path: masterKeyPath, keyring: path)
        }
        guard var plain = try? AEAD.open(file[Self.headerCount...], key: masterKey.sealing, aad: header) else {
            throw corrupt("its seal is broken")
        }
        defer { plain.withUnsafeMutableBytes { wipe($0) } }
        var reader = ByteReader(plain)
        guard let keyring = try? read(&reader), reader.isAtEnd else { throw corrupt("its content does not parse") }
        return keyring
    }

    private func corrupt(_ reason: String) -> KeyringProblem { .corrupt(path: path, reason: reason) }

    private func write(_ keyring: Keyring, to writer: inout ByteWriter) throws(CryptoError) {
        let keys = keyring.keys
        writer.write(keyring.generation)
        writer.write(UInt32(keys.count))
        for key in keys {
            writer.write(UInt8(key.name.utf8.count))
            writer.write(Array(key.name.utf8))
            writer.write(key.usage == .aead ? UInt8(1) : 2)
            writer.write(UInt32(key.versions.count))
            for version in key.versions { try write(version, to: &writer) }
        }
    }

    private func write(_ version: KeyVersion, to writer: inout ByteWriter) throws(CryptoError) {
        writer.write(version.number)
        writer.write(UInt64(bitPattern: version.createdAt))
        writer.write(UInt64(bitPattern: version.activeAt))
        writer.write(version.reserved)
        switch version.material {
        case .aead(let key, _): key.withUnsafeBytes { writer.write($0) }
        case .sign(let key, _): writer.write(try key.rawRepresentation())
        }
    }

    private func read(_ reader: inout ByteReader) throws -> Keyring {
        let generation: UInt64 = try reader.read()
        let count: UInt32 = try reader.read()
        guard count <= Keyring.maximumKeys else { throw ByteReader.Malformed() }
        var keys: [NamedKey] = []
        for _ in 0..<count { keys.append(try readKey(&reader)) }
        guard Set(keys.map(\.name)).count == keys.count else { throw ByteReader.Malformed() }
        return Keyring(generation: generation, keys: keys)
    }

    private func readKey(_ reader: inout ByteReader) throws -> NamedKey {
        let length: UInt8 = try reader.read()
        let name = String(decoding: try reader.read(count: Int(length)), as: UTF8.self)
        let code: UInt8 = try reader.read()
        let count: UInt32 = try reader.read()
        guard let usage = [1: KeyUsage.aead, 2: .sign][code], count <= Keyring.maximumVersions,
            let specification = KeySpecification(name: name, usage: usage)
        else { throw ByteReader.Malformed() }
        var versions: [KeyVersion] = []
        for _ in 0..<count { versions.append(try readVersion(&reader, usage)) }
        guard let key = NamedKey(name: specification.name, usage: usage, versions: versions) else {
            throw ByteReader.Malformed()
        }
        return key
    }

    private func readVersion(_ reader: inout ByteReader, _ usage: KeyUsage) throws -> KeyVersion {
        let number: UInt32 = try reader.read()
        let created: UInt64 = try reader.read()
        let active: UInt64 = try reader.read()
        let reserved: UInt64 = try reader.read()
        let material = try maker.material(
            usage, bytes: reader.read(count: SymmetricKey.count), used: reserved)
        return KeyVersion(
            number: number, createdAt: Int64(bitPattern: created), activeAt: Int64(bitPattern: active),
            reserved: reserved, material: material)
    }
}
