import RPCCore
import Testing

@testable import EncryptionService

@Suite struct KeyPolicyTests {
    private static let callers = ["gateway", "auth", "token", "email", "encryption", "operator", "stranger"]
    private static let keys = ["token-vault", "email-outbox", "access-token", "nothing"]

    /// The whole matrix of the standard policy, written out apart from the policy's own text.
    private func expected(_ caller: String, _ key: String, _ operation: KeyOperation) -> Bool {
        switch (caller, key, operation) {
        case ("token", "token-vault", .encrypt), ("token", "token-vault", .decrypt),
            ("token", "token-vault", .rewrap), ("token", "token-vault", .describe):
            true
        case ("email", "email-outbox", .encrypt), ("email", "email-outbox", .decrypt),
            ("email", "email-outbox", .rewrap), ("email", "email-outbox", .describe):
            true
        case ("auth", "access-token", .sign), ("auth", "access-token", .verify), ("auth", "access-token", .publish):
            true
        case ("gateway", "access-token", .verify), ("gateway", "access-token", .publish): true
        case ("operator", _, .create), ("operator", _, .importKey), ("operator", _, .configure),
            ("operator", _, .disable), ("operator", _, .destroy), ("operator", _, .export):
            true
        case ("operator", _, .rotate), ("operator", _, .describe), ("operator", _, .verify), ("operator", _, .publish):
            true
        default: false
        }
    }

    @Test func theStandardPolicy() throws {
        let policy = try KeyPolicy(json: KeyPolicy.standardText)
        var cells = 0
        for caller in Self.callers {
            for key in Self.keys {
                for operation in KeyOperation.allCases {
                    let allowed = policy.allows(try service(caller), operation, key)
                    #expect(allowed == expected(caller, key, operation), "\(caller) \(operation.rawValue) \(key)")
                    cells += 1
                }
            }
        }
        print("key policy: \(cells) cells")
    }

    @Test func aDenialNamesCallerKeyAndOperation() throws {
        let policy = try KeyPolicy(json: KeyPolicy.standardText)
        let auth = try service("auth")
        #expect(throws: EncryptionError.denied(caller: "auth", key: "token-vault", operation: .decrypt)) {
            try policy.check(auth, .decrypt, "token-vault")
        }
        let error = EncryptionError.denied(caller: "auth", key: "token-vault", operation: .decrypt).rpcError
        #expect("\(error)" == "PERMISSION_DENIED (key_policy_denied): auth may not DECRYPT with the key token-vault.")
    }

    @Test func anEmptyPolicyDeniesAll() throws {
        let policy = try KeyPolicy(json: "{}")
        #expect(!policy.allows(try service("operator"), .describe, "token-vault"))
    }

    /// A key whose name is the wildcard's text cannot exist, so it grants nothing by accident.
    @Test func theWildcardIsNoKey() throws {
        let policy = try KeyPolicy(["token": ["token-vault": [.decrypt]]])
        #expect(!policy.allows(try service("token"), .decrypt, KeyPolicy.anyKey))
        #expect(!KeyName.isValid(KeyPolicy.anyKey))
    }

    @Test(arguments: [
        "", "[]", #"{"token": []}"#, #"{"token": {"token-vault": ["READ"]}}"#,
        #"{"token": {"token-vault": "ENCRYPT"}}"#,
        #"{"To ken": {"token-vault": ["ENCRYPT"]}}"#, #"{"token": {"../x": ["ENCRYPT"]}}"#,
    ])
    func malformed(_ text: String) {
        #expect(throws: KeyPolicy.Malformed.self) { try KeyPolicy(json: text) }
    }
}
