/// Why a token or a key set was refused. Texts are for the caller of the API; none repeats the token.
package enum JOSEError: Error, Equatable, Sendable {
    /// Not a compact JWS of three canonical base64url parts with a JSON object header and JSON object claims.
    case malformed(String)
    /// `alg` is not exactly that of the key which `kid` names, or is none that exists here.
    case wrongAlgorithm
    /// `typ` is not the one that this verifier expects (RFC 8725 section 3.11).
    case wrongType
    /// `crit` names an extension; this verifier knows none (RFC 7515 section 4.1.11).
    case criticalExtension
    /// No key of the set has this `kid`. The set may be old: refresh it once.
    case unknownKey(String)
    /// The signature is not this key's over this header and payload.
    case badSignature
    case expired
    case notYetValid
    case wrongIssuer
    case wrongAudience
    /// A key set that is not one.
    case invalidKeySet(String)
    /// The signer could not sign.
    case signingFailed
}

extension JOSEError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .malformed(let reason): "malformed token: \(reason)"
        case .wrongAlgorithm: "the token's alg is not its key's"
        case .wrongType: "the token's typ is not the expected one"
        case .criticalExtension: "the token's crit header names an unknown extension"
        case .unknownKey: "the token's kid is not in the key set"
        case .badSignature: "the token's signature is not valid"
        case .expired: "the token has expired"
        case .notYetValid: "the token is not valid yet"
        case .wrongIssuer: "the token's issuer is not the expected one"
        case .wrongAudience: "the token is meant for another audience"
        case .invalidKeySet(let reason): "invalid key set: \(reason)"
        case .signingFailed: "signing failed"
        }
    }
}
