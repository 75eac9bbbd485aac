import FoundationEssentials
package import RPCCore

/// What may be done with a key.
package enum KeyOperation: String, Sendable, Hashable, CaseIterable, Codable {
    case encrypt = "ENCRYPT"
    case decrypt = "DECRYPT"
    case rewrap = "REWRAP"
    case rotate = "ROTATE"
    case describe = "DESCRIBE"
    case sign = "SIGN"
    case verify = "VERIFY"
    case publish = "JWKS"
    case dataKey = "DATA_KEY"
    case mac = "MAC"
    case verifyMAC = "VERIFY_MAC"
    case create = "CREATE"
    case importKey = "IMPORT"
    case configure = "CONFIGURE"
    /// Enabling too.
    case disable = "DISABLE"
    /// Cancelling it too.
    case destroy = "DESTROY"
    case export = "EXPORT"
}

/// Who may do what with which key: caller's SAN x key x operation. What is not granted is denied.
///
/// Stands beside the contract's callers table, so that a service which is let in to this process still reaches its own
/// keys only.
package struct KeyPolicy: Sendable, Hashable {
    /// In place of a key's name: every key.
    package static let anyKey = "*"

    /// One field of the table. Looked up whole: of tables within a table each call would count the inner ones.
    private struct Grant: Hashable {
        /// The whole SAN URI.
        let caller: String
        let key: String
        let operation: KeyOperation
    }

    private let grants: Set<Grant>

    /// Caller's service name -> key's name or `*` -> operations.
    ///
    /// - Throws: `Malformed` for a caller that is no service name, or a key that is no key name.
    package init(_ table: [String: [String: [KeyOperation]]]) throws(Malformed) {
        var grants: Set<Grant> = []
        for (caller, keys) in table {
            guard let identity = PeerIdentity(service: caller) else { throw Malformed("\(caller) is no service name") }
            for (key, operations) in keys {
                guard key == Self.anyKey || KeyName.isValid(key) else {
                    throw Malformed("\(key) is no key name")
                }
                for operation in operations { grants.insert(Grant(caller: identity.uri, key: key, operation: operation)) }
            }
        }
        self.grants = grants
    }

    /// The policy of a JSON text, `{"token": {"token-vault": ["ENCRYPT", "DECRYPT"]}}`.
    package init(json: String) throws(Malformed) {
        let table: [String: [String: [KeyOperation]]]
        do {
            table = try JSONDecoder().decode([String: [String: [KeyOperation]]].self, from: Data(json.utf8))
        } catch {
            let operations = KeyOperation.allCases.map(\.rawValue).joined(separator: ", ")
            throw Malformed(
                "it must be a JSON object of callers, each an object of keys, each a list of \(operations)")
        }
        try self.init(table)
    }

    /// Whether `caller` may do it.
    package func allows(_ caller: PeerIdentity, _ operation: KeyOperation, _ key: String) -> Bool {
        grants.contains(Grant(caller: caller.uri, key: key, operation: operation))
            || grants.contains(Grant(caller: caller.uri, key: Self.anyKey, operation: operation))
    }

    /// - Throws: `EncryptionError.denied`, naming caller, key and operation.
    package func check(_ caller: PeerIdentity, _ operation: KeyOperation, _ key: String) throws(EncryptionError) {
        guard allows(caller, operation, key) else {
            throw .denied(caller: caller.service, key: key, operation: operation)
        }
    }

    /// A text that is no policy.
    package struct Malformed: Error, Equatable, CustomStringConvertible {
        package let description: String

        init(_ description: String) { self.description = description }
    }
}

extension KeyPolicy {
    /// The policy when configuration gives none: each service its own key, and the operator no content.
    package static let standardText = """
        {
            "token": {"token-vault": ["ENCRYPT", "DECRYPT", "REWRAP", "DESCRIBE"]},
            "email": {"email-outbox": ["ENCRYPT", "DECRYPT", "REWRAP", "DESCRIBE"]},
            "auth": {
                "access-token": ["SIGN", "VERIFY", "JWKS"],
                "auth-factors": ["ENCRYPT", "DECRYPT", "REWRAP", "DESCRIBE"]
            },
            "gateway": {"access-token": ["VERIFY", "JWKS"]},
            "operator": {"*": [
                "ROTATE", "DESCRIBE", "VERIFY", "JWKS", "CREATE", "IMPORT", "CONFIGURE", "DISABLE", "DESTROY", "EXPORT"
            ]}
        }
        """
}
