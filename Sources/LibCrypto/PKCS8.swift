import COpenSSL

/// The private key of PKCS #8 bytes in DER, owned by the caller; nil when they are none.
func privateKey(pkcs8 bytes: UnsafeRawBufferPointer) -> OpaquePointer? {
    guard let start = bytes.baseAddress, bytes.count <= 16 << 10 else { return nil }
    return lockstep_private_key_from_pkcs8(start.assumingMemoryBound(to: UInt8.self), bytes.count)
}

/// A private key as PKCS #8 bytes in DER.
func pkcs8(of key: OpaquePointer) throws(CryptoError) -> [UInt8] {
    var room = [UInt8](repeating: 0, count: 512)
    defer { room.withUnsafeMutableBytes { wipe($0) } }
    let count = lockstep_private_key_to_pkcs8(key, &room, room.count)
    guard count > 0 else { throw .failed("PKCS #8") }
    return Array(room[..<count])
}
