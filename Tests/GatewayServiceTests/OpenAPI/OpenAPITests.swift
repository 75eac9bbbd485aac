import Contracts
import Foundation
import RPCCore
import TestSupport
import Testing

@testable import GatewayService

@Suite struct OpenAPITests {
    let routes: RouteTable
    let document: JSONValue

    init() throws {
        routes = try RouteTable(codings: Contract.codings)
        document = OpenAPIDocument.json(for: routes)
    }

    @Test func everyRouteIsDescribed() throws {
        for route in routes.routes {
            let operation = document["paths"]?[route.http.template]?[route.http.verb.rawValue.lowercased()]
            let responses = try #require(operation?["responses"], "\(route.http.template)")
            #expect(responses[String(route.http.success)] != nil)
            #expect(responses["default"] != nil)
            #expect((operation?["requestBody"] != nil) == route.http.hasBody)
            let isOpen = operation?["security"] == .array([])
            let asksForNobody = route.method.exposure == .public && !route.method.optionalUser && !route.http.isOAuth
            #expect(isOpen == asksForNobody)
        }
    }

    @Test func rulesOfTheContractAreInTheSchemas() throws {
        let schema = try #require(document["components"]?["schemas"]?["auth.v1.RegisterRequest"])
        #expect(schema["required"] == .array([.string("email"), .string("password")]))
        #expect(schema["properties"]?["email"]?["format"] == .string("email"))
        #expect(schema["properties"]?["password"]?["maxLength"] == .number("1024"))
    }

    @Test func pathAndQueryAreParameters() throws {
        let callback = document["paths"]?["/v1/connections/callback"]?["get"]?["parameters"]
        guard case .array(let parameters)? = callback else { return #expect(Bool(false), "no parameters") }
        let names = ["state", "code", "error", "error_description", "iss", "__Host-lockstep-flow", "other"]
        #expect(parameters.map { $0["name"] } == names.map { .string($0) })
        #expect(parameters.filter { $0["in"] != .string("query") }.map { $0["in"] } == [.string("cookie")])
        #expect(parameters.last?["explode"] == .bool(true), "other parameters are not described")
        let session = document["paths"]?["/v1/sessions/{session_id}"]?["delete"]?["parameters"]
        guard case .array(let path)? = session else { return #expect(Bool(false), "no parameters") }
        #expect(path.map { $0["in"] } == [.string("path")])
        #expect(path.map { $0["required"] } == [.bool(true)])
    }

    @Test func cookiesAreInNoSchema() throws {
        let start = try #require(document["paths"]?["/v1/connections"]?["post"])
        guard case .array(let parameters)? = start["parameters"] else { return #expect(Bool(false), "no cookie") }
        #expect(parameters.map { $0["in"] } == [.string("cookie")])
        #expect(start["responses"]?["201"]?["headers"]?["Set-Cookie"] != nil)
        let schemas = document["components"]?["schemas"]
        for name in ["token.v1.CreateConnectionRequest", "token.v1.CreateConnectionResponse"] {
            let properties = try #require(schemas?[name]?["properties"])
            #expect(properties["browser"] == nil, "\(name)")
        }
        let callback = document["paths"]?["/v1/connections/callback"]?["get"]
        guard case .array(let security)? = callback?["security"] else { return #expect(Bool(false), "no security") }
        #expect(security.count == 2 && security.last == .object([]))
    }

    @Test func everyReferenceLeadsSomewhere() throws {
        let text = String(decoding: document.utf8, as: UTF8.self)
        for piece in text.split(separator: "\"#/components/schemas/").dropFirst() {
            let name = String(piece.prefix { $0 != "\"" })
            #expect(document["components"]?["schemas"]?[name] != nil, "\(name)")
        }
    }

    /// The specification's own validator (PyPI: openapi-spec-validator), which `make test` installs.
    @Test func theSpecificationAgrees() throws {
        try #require(Validator.isThere, "openapi-spec-validator is not installed: run `make deps`")
        let file = FileManager.default.temporaryDirectory.appending(path: "openapi-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(document.utf8).write(to: file)
        #expect(try Validator.run(["-c", Validator.program, file.path]) == 0)
    }
}

private enum Validator {
    static let program = """
        import json, sys
        from openapi_spec_validator import validate
        validate(json.load(open(sys.argv[1])))
        """

    static let isThere = (try? run(["-c", "import openapi_spec_validator"])) == 0

    static func run(_ arguments: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [Python.interpreter] + arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}
