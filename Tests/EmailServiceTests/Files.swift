import Foundation

enum File {
    /// Empty for a file that is not there.
    static func bytes(_ path: String) throws -> [UInt8] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    static func names(in directory: String) throws -> [String] {
        guard FileManager.default.fileExists(atPath: directory) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    }

    static func mode(_ path: String) throws -> Int {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int ?? 0
    }
}

extension [UInt8] {
    func holds(_ text: String) -> Bool {
        Data(self).range(of: Data(text.utf8)) != nil
    }
}

/// A mail as Python's standard library reads it: a parser that nobody here wrote.
struct ParsedMail: Decodable {
    let headers: [[String]]
    let defects: [String]
    let to: [[String]]
    let types: [String]
    let text: String
    let html: String
    /// The longest line of the raw message, bytes, without its end.
    let longest: Int
    /// Whether each line ends in CRLF and every byte is ASCII.
    let clean: Bool

    func header(_ name: String) -> String? { headers.first { $0[0].lowercased() == name.lowercased() }?[1] }

    private static let script = """
        import email, email.header, email.policy, email.utils, json, re, sys
        raw = sys.stdin.buffer.read()
        m = email.message_from_bytes(raw, policy=email.policy.default)
        part = lambda t: m.get_body((t,)).get_content().replace("\\r\\n", "\\n")
        # The older reader for names: the newer one puts a space between adjacent encoded-words until Python 3.13.
        name, address = email.utils.parseaddr(email.message_from_bytes(raw)["To"])
        name = str(email.header.make_header(email.header.decode_header(name)))
        print(json.dumps({
            "headers": [[k, str(v)] for k, v in m.items()],
            "defects": [repr(d) for p in m.walk() for d in p.defects]
                + [repr(d) for v in m.values() for d in v.defects],
            "to": [[name, address]] + [[name, a.addr_spec] for a in m["To"].addresses[1:]],
            "types": [p.get_content_type() for p in m.walk()],
            "text": part("plain"), "html": part("html"),
            "longest": max(len(l) for l in raw.split(b"\\r\\n")),
            "clean": raw.endswith(b"\\r\\n") and not re.search(rb"[^\\r]\\n|\\r[^\\n]|[\\x80-\\xff\\x00]", raw),
        }))
        """

    init(_ message: [UInt8]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", Self.script]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(message))
        try input.fileHandleForWriting.close()
        let answer = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        self = try JSONDecoder().decode(ParsedMail.self, from: answer)
    }
}
