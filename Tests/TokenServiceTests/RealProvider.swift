import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import ServiceKit
import TestSupport
import Testing

@testable import TokenService

/// Canaille, an OAuth 2.0 server that nobody here wrote, in a process of its own (Tests/Support/oauth-provider).
final class RealProvider: Sendable {
    struct Description: Decodable, Sendable {
        let issuer: String
        let tokenEndpoint: String
        let introspectionEndpoint: String
        let clientID: String
        let clientSecret: String

        enum CodingKeys: String, CodingKey {
            case issuer
            case tokenEndpoint = "token_endpoint"
            case introspectionEndpoint = "introspection_endpoint"
            case clientID = "client_id"
            case clientSecret = "client_secret"
        }
    }

    /// What must be there for these tests, said in full when it is not.
    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    let description: Description
    let providersFile: String
    private let process: Process
    private let directory: TemporaryDirectory

    private init(_ process: Process, _ description: Description, _ directory: TemporaryDirectory) {
        self.process = process
        self.description = description
        self.directory = directory
        providersFile = directory.path("providers.json")
    }

    static func start() throws -> RealProvider {
        let directory = try TemporaryDirectory()
        let output = Pipe()
        let process = try python("provider.py", ["start", "--port", "0", "--dir", directory.path("")], output)
        guard let line = output.fileHandleForReading.line(),
            let description = try? JSONDecoder().decode(Description.self, from: line)
        else {
            process.terminate()
            throw Missing(description: "The OAuth provider did not start with \(Python.interpreter). `make test` installs it.")
        }
        return RealProvider(process, description, directory)
    }

    deinit { process.terminate() }

    /// The registry that its own providers.json describes; its token endpoint may be moved behind a proxy.
    func registry() throws -> ProviderRegistry {
        try #require(try ProviderFile.load(path: providersFile))
    }

    /// Opens the URL as the user's browser would, signs in and answers.
    func consent(_ url: String, deny: Bool = false) throws -> Callback {
        let output = Pipe()
        let process = try Self.python("consent.py", [url] + (deny ? ["--deny"] : []), output)
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "consent.py ended with \(process.terminationStatus)")
        return Callback(url: text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// Whether the provider still honours a token (RFC 7662).
    func honours(_ token: String, _ http: HTTPClient) async throws -> Bool {
        var request = HTTPClientRequest(url: description.introspectionEndpoint)
        request.method = .POST
        let pair = Data("\(description.clientID):\(description.clientSecret)".utf8).base64EncodedString()
        request.headers.add(name: "Authorization", value: "Basic \(pair)")
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        request.body = .bytes(ByteBuffer(string: FormEncoding.encode([("token", token)])))
        let response = try await http.execute(request, timeout: .seconds(30))
        let body = try await response.body.collect(upTo: 65_536)
        let members = try JSONSerialization.jsonObject(with: Data(body.readableBytesView)) as? [String: Any]
        return try #require(members?["active"] as? Bool)
    }

    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static func python(_ script: String, _ arguments: [String], _ output: Pipe) throws -> Process {
        guard FileManager.default.isExecutableFile(atPath: Python.interpreter) else {
            throw Missing(
                description: "There is no Python at \(Python.interpreter); `make deps` installs it with the provider.")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Python.interpreter)
        let path = root.appending(path: "Tests/Support/oauth-provider/\(script)").path
        process.arguments = ["-B", path] + arguments
        process.standardOutput = output
        try process.run()
        return process
    }
}

extension FileHandle {
    /// Up to the first line break; nil when the writer ends before.
    fileprivate func line() -> Data? {
        var line = Data()
        while let byte = try? read(upToCount: 1), !byte.isEmpty {
            if byte[byte.startIndex] == UInt8(ascii: "\n") { return line }
            line += byte
        }
        return nil
    }
}
