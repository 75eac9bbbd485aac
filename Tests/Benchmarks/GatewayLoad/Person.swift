import Synchronization

/// A user with a confirmed address and a session of its own.
final class Person: Sendable {
    private struct Tokens {
        let access: String
        let refresh: String

        init(_ answer: [String: JSONField]) {
            access = answer["access_token"]?.text ?? ""
            refresh = answer["refresh_token"]?.text ?? ""
        }
    }

    let address: String
    let password: String
    private let tokens: Mutex<Tokens>

    private init(_ address: String, _ password: String, _ answer: [String: JSONField]) {
        self.address = address
        self.password = password
        self.tokens = Mutex(Tokens(answer))
    }

    /// Somebody whose account is there: signs in.
    convenience init(_ address: String, _ password: String, _ api: API) async throws {
        let answer = try await api.send("POST", "/v1/sessions", ["email": address, "password": password])
        self.init(address, password, answer)
    }

    var access: String { tokens.withLock { $0.access } }

    /// Signs in anew, beside the session that there is.
    func login(_ api: API) async throws {
        try await api.send("POST", "/v1/sessions", ["email": address, "password": password])
    }

    /// Exchanges the refresh token. One at a time for each person.
    func refresh(_ api: API) async throws {
        let refresh = tokens.withLock { $0.refresh }
        let answer = try await api.send("POST", "/v1/tokens", ["refresh_token": refresh])
        tokens.withLock { $0 = Tokens(answer) }
    }

    /// People at once, some at a time: each registration hashes a password.
    static func register(_ count: Int, _ api: API, _ mailbox: Mailbox, seed: UInt64) async throws -> [Person] {
        try await withThrowingTaskGroup(of: Person.self) { group in
            var people: [Person] = []
            for index in 0..<count {
                if index >= together, let person = try await group.next() { people.append(person) }
                group.addTask { try await register("load-\(seed)-\(index)@example.org", api, mailbox) }
            }
            for try await person in group { people.append(person) }
            return people
        }
    }

    /// Registrations under way at once.
    private static let together = 8

    private static func register(_ address: String, _ api: API, _ mailbox: Mailbox) async throws -> Person {
        let password = "plum-" + String(UInt64.random(in: 0 ... .max), radix: 36) + "-tram"
        try await api.send("POST", "/v1/users", ["email": address, "password": password])
        try await api.send("POST", "/v1/email-verifications", ["token": try await mailbox.token(for: address)])
        return try await Person(address, password, api)
    }
}
