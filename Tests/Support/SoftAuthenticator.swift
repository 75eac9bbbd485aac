package import Crypto
internal import Foundation

/// An authenticator in software (WebAuthn Level 3, section 6), on another library than the one under test: makes passkeys,
/// signs with them, and says what a test wants it to say.
package struct SoftAuthenticator: Sendable {
    package enum Key: Sendable {
        case es256(P256.Signing.PrivateKey)
        case edDSA(Curve25519.Signing.PrivateKey)
    }

    package let key: Key
    package let credentialID: [UInt8]
    package var domain = "localhost"
    package var origin = "https://localhost:8443"
    package var isCrossOrigin = false
    /// User present, user verified.
    package var flags: UInt8 = 0x05
    package var count: UInt32 = 0
    package var format = "none"

    package init(_ key: Key) {
        self.key = key
        credentialID = (0..<32).map { _ in UInt8.random(in: 0...255) }
    }

    package static func es256() -> SoftAuthenticator { SoftAuthenticator(.es256(P256.Signing.PrivateKey())) }
    package static func edDSA() -> SoftAuthenticator { SoftAuthenticator(.edDSA(Curve25519.Signing.PrivateKey())) }

    // MARK: What a browser sends, in base64url

    package func clientData(_ type: String, challenge: String) -> [UInt8] {
        Array(#"{"type":"\#(type)","challenge":"\#(challenge)","origin":"\#(origin)","crossOrigin":\#(isCrossOrigin)}"#.utf8)
    }

    package func attestationObject() -> [UInt8] {
        var object: [UInt8] = [0xa3]
        object += Self.text("fmt")
        object += Self.text(format)
        object += Self.text("attStmt")
        object.append(0xa0)
        object += Self.text("authData")
        object += Self.bytes(authenticatorData(isRegistration: true))
        return object
    }

    /// Attestation "packed" by the passkey's own key (section 8.2).
    ///
    /// - Parameters:
    ///   - algorithm: What it claims; nil for the key's own.
    ///   - x5c: Whether it claims to have certificates, too.
    package func selfAttestation(_ clientData: [UInt8], algorithm: Int? = nil, x5c: Bool = false) throws -> [UInt8] {
        let data = authenticatorData(isRegistration: true)
        let own =
            switch key {
            case .es256: -7
            case .edDSA: -8
            }
        var object: [UInt8] = [0xa3]
        for word in ["fmt", "packed", "attStmt"] { object += Self.text(word) }
        object.append(x5c ? 0xa3 : 0xa2)
        object += Self.text("alg")
        // -1 is 0x20.
        object.append(UInt8(0x1f - (algorithm ?? own)))
        object += Self.text("sig")
        object += Self.bytes(try signature(data, clientData))
        if x5c {
            object += Self.text("x5c")
            object.append(0x80)
        }
        object += Self.text("authData")
        object += Self.bytes(data)
        return object
    }

    package func authenticatorData(isRegistration: Bool = false) -> [UInt8] {
        var data = Array(SHA256.hash(data: Data(domain.utf8)))
        data.append(flags | (isRegistration ? 0x40 : 0))
        data += withUnsafeBytes(of: count.bigEndian) { Array($0) }
        guard isRegistration else { return data }
        data += [UInt8](repeating: 0, count: 16)
        data += [UInt8(credentialID.count >> 8), UInt8(credentialID.count & 255)] + credentialID
        return data + publicKey
    }

    package func signature(_ authenticatorData: [UInt8], _ clientData: [UInt8]) throws -> [UInt8] {
        let message = Data(authenticatorData) + Data(SHA256.hash(data: Data(clientData)))
        switch key {
        case .es256(let key): return Array(try key.signature(for: message).derRepresentation)
        case .edDSA(let key): return Array(try key.signature(for: message))
        }
    }

    /// COSE_Key.
    package var publicKey: [UInt8] {
        switch key {
        case .es256(let key):
            let point = Array(key.publicKey.x963Representation)
            var cose: [UInt8] = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21]
            cose += Self.bytes(Array(point[1..<33]))
            cose.append(0x22)
            cose += Self.bytes(Array(point[33...]))
            return cose
        case .edDSA(let key):
            var cose: [UInt8] = [0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21]
            cose += Self.bytes(Array(key.publicKey.rawRepresentation))
            return cose
        }
    }

    package static func base64URL(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    package static func decoded(_ text: String) -> [UInt8] {
        var base64 = text.replacing("-", with: "+").replacing("_", with: "/")
        base64 += String(repeating: "=", count: (4 - base64.count % 4) % 4)
        return Data(base64Encoded: base64).map(Array.init) ?? []
    }

    private static func text(_ text: String) -> [UInt8] { head(3, text.utf8.count) + Array(text.utf8) }
    private static func bytes(_ bytes: [UInt8]) -> [UInt8] { head(2, bytes.count) + bytes }

    private static func head(_ major: UInt8, _ count: Int) -> [UInt8] {
        switch count {
        case ..<24: [major << 5 | UInt8(count)]
        case ..<256: [major << 5 | 24, UInt8(count)]
        default: [major << 5 | 25, UInt8(count >> 8), UInt8(count & 255)]
        }
    }
}
