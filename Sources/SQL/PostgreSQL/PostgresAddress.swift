/// Where a PostgreSQL database is and how to use it: `postgres://user:password@host:5432/name?schema=auth`.
///
/// Parsed here and not by libpq, so that a mistake is told at start, in our words and without the password.
struct PostgresAddress: Sendable, Equatable {
    /// libpq's keywords with their values, without the password.
    var keywords: [String: String]
    var password: Password?
    /// Where the tables are: each service has a schema of its own, so that one URL serves all.
    var schema: String
    var pool: PoolState.Limits

    /// Never printed.
    struct Password: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
        let exposed: String

        var description: String { "<redacted>" }
        var debugDescription: String { description }
        var customMirror: Mirror { Mirror(self, children: []) }
    }

    /// What may stand after `?`, besides the pool's: libpq's keywords of the same name.
    private static let options: Set = [
        "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "ssl_min_protocol_version", "channel_binding", "host",
        "port", "connect_timeout", "application_name", "target_session_attrs", "krbsrvname", "gssencmode",
    ]

    /// - Throws: `SQLError` of kind `.unsupported`, which says what is wrong and holds nothing of the URL but names.
    init(_ url: String) throws(SQLError) {
        guard let rest = url.dropping(prefix: "postgres://") ?? url.dropping(prefix: "postgresql://") else {
            throw .url("begins with postgres://")
        }
        guard !rest.contains("#") else { throw .url("has no fragment; write # as %23") }
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        keywords = [:]
        schema = "public"
        pool = PoolState.Limits()
        try readAuthority(path[0])
        if path.count == 2, !path[1].isEmpty { keywords["dbname"] = try Self.decoded(path[1]) }
        for item in parts.count == 2 ? parts[1].split(separator: "&") : [] { try readOption(item) }
        fillIn()
    }

    private mutating func readAuthority(_ text: Substring) throws(SQLError) {
        let (user, hosts) = text.lastIndex(of: "@").map { (text[..<$0], text[text.index(after: $0)...]) } ?? ("", text)
        let secret = user.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        if let name = secret.first, !name.isEmpty { keywords["user"] = try Self.decoded(name) }
        if secret.count == 2 { password = Password(exposed: try Self.decoded(secret[1])) }
        guard !hosts.isEmpty else { return }
        var names: [String] = []
        var ports: [String] = []
        for host in hosts.split(separator: ",", omittingEmptySubsequences: false) {
            let (name, port) = try Self.hostAndPort(host)
            names.append(name)
            ports.append(port)
        }
        keywords["host"] = names.joined(separator: ",")
        if ports.contains(where: { !$0.isEmpty }) { keywords["port"] = ports.joined(separator: ",") }
    }

    private static func hostAndPort(_ text: Substring) throws(SQLError) -> (String, String) {
        let end = text.hasPrefix("[") ? text.firstIndex(of: "]") : text.startIndex
        guard let end else { throw .url("closes the bracket of an IPv6 address") }
        let colon = text[end...].firstIndex(of: ":")
        let name = text[..<(colon ?? text.endIndex)]
        let port = colon.map { text[text.index(after: $0)...] } ?? ""
        guard port.isEmpty || UInt16(port) != nil else { throw .url("has a port from 0 to 65535 after its host") }
        return (try decoded(name.hasPrefix("[") ? name.dropFirst().dropLast() : name), String(port))
    }

    private mutating func readOption(_ text: Substring) throws(SQLError) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = try Self.decoded(parts[0])
        let value = parts.count == 2 ? try Self.decoded(parts[1]) : ""
        switch name {
        case "schema":
            guard Self.isSchema(value) else { throw .url("names a schema of lower-case letters, digits and _") }
            schema = value
        case "pool_size": pool.size = try Self.number(name, value, in: 1...1000)
        case "pool_overflow": pool.overflow = try Self.number(name, value, in: 0...1000)
        case "pool_recycle": pool.recycleAge = .seconds(try Self.number(name, value, in: 1...86_400))
        case "pool_wait": pool.waitLimit = .seconds(try Self.number(name, value, in: 1...3600))
        case _ where Self.options.contains(name): keywords[name] = value
        default: throw .url("knows no option '\(name.prefix(40).filter { $0.isLetter || $0 == "_" })'")
        }
    }

    /// A server elsewhere is spoken to over TLS, unless the URL says otherwise; who it is, is checked with
    /// `sslmode=verify-full`.
    private mutating func fillIn() {
        let host = keywords["host"] ?? ""
        let isLocal = host.isEmpty || host.hasPrefix("/") || ["localhost", "127.0.0.1", "::1"].contains(host)
        if keywords["sslmode"] == nil { keywords["sslmode"] = isLocal ? "prefer" : "require" }
        if keywords["gssencmode"] == nil { keywords["gssencmode"] = "disable" }
        if keywords["connect_timeout"] == nil { keywords["connect_timeout"] = "5" }
    }

    /// Written into SQL and into options as it is.
    static func isSchema(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 63 && name.first?.isNumber == false
            && name.utf8.allSatisfy { ($0 >= 0x61 && $0 <= 0x7a) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x5f }
    }

    private static func number(_ name: String, _ text: String, in range: ClosedRange<Int>) throws(SQLError) -> Int {
        guard let number = Int(text), range.contains(number) else {
            throw .url("has \(name) from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// RFC 3986, section 2.1.
    private static func decoded(_ text: Substring) throws(SQLError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                throw .url("has two hexadecimal digits after each %")
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw .url("is UTF-8 text")
        }
        return decoded
    }
}

extension SQLError {
    fileprivate static func url(_ rule: String) -> SQLError {
        SQLError(.unsupported, "a PostgreSQL database URL \(rule): postgres://user:password@host:5432/name?sslmode=verify-full")
    }
}
