import Foundation

/// Who is tested.
package enum ContractRole: String, Sendable, Hashable, CaseIterable {
    case server
    case client
}

/// One case: what to do with an implementation and what must come of it.
package struct ContractCase: Sendable {
    /// `unary/echo`
    package private(set) var name: String
    /// Its number in the catalogue; nil for cases beyond it.
    package let number: String?
    /// Rules of WIRE.md: `W-80`.
    package let rules: [String]
    package let roles: [ContractRole]
    package let about: String
    /// Why the case is not tested; nil when it is.
    package let uncovered: String?
    /// Features that the peer must have.
    let needs: [ConformanceFeature]
    /// As in StartServer and OpenChannel.
    let server: JSONValue
    let channel: JSONValue
    let steps: [JSONValue]
    /// Runs with no other at the same time, and with a server of its own.
    let isAlone: Bool
    /// It makes no use of the conformance service: `services` runs against real services too, `only-services` against
    /// nothing else, `gateway` against the gateway's HTTPS alone.
    private let generic: String?

    init(_ value: JSONValue) throws(CaseError) {
        let name = value.object?["name"]?.string ?? "a case without name"
        var fields = try JSONFields(value, in: name)
        guard let given = try fields.string("name") else {
            throw CaseError("a case has no name: \(value.text.prefix(200))")
        }
        self.name = given
        number = try fields.string("number")
        rules = try fields.strings("rules")
        about = try fields.string("about") ?? ""
        uncovered = try fields.string("uncovered")
        isAlone = try fields.bool("alone")
        generic = try fields.string("generic")
        server = fields.value("server") ?? .object([:])
        channel = fields.value("channel") ?? .object([:])
        steps = try fields.list("steps")
        var roles: [ContractRole] = []
        for text in try fields.strings("roles") {
            guard let role = ContractRole(rawValue: text) else { throw CaseError("\(name): there is no role \(text)") }
            roles.append(role)
        }
        var needs: [ConformanceFeature] = []
        for text in try fields.strings("needs") {
            guard let feature = ConformanceFeature.allCases.first(where: { $0.name == text }) else {
                throw CaseError("\(name): there is no feature \(text)")
            }
            needs.append(feature)
        }
        (self.roles, self.needs) = (roles, needs)
        try fields.finish()
        guard !roles.isEmpty else { throw CaseError("\(name): it has no roles") }
        guard uncovered != nil || !steps.isEmpty else { throw CaseError("\(name): it has no steps") }
        try Step.check(steps, in: name)
        guard isAlone || !rotates else { throw CaseError("\(name): it replaces certificates and is not alone") }
    }
}

extension ContractCase {
    /// A step asks the server for its counters.
    var asksForReports: Bool { steps.contains(where: Self.asksForReport) }

    private static func asksForReport(_ step: JSONValue) -> Bool {
        step.object?["report"] != nil || step.object?["do"]?.array?.contains(where: asksForReport) == true
    }

    /// A step replaces the certificates of the implementation under test, which are its own then.
    var rotates: Bool { steps.contains { $0.object?["rotate"] != nil } }

    /// Not for peers of the harness.
    var isForServices: Bool { generic == "gateway" || generic == "only-services" }

    /// The case under a service's name; nil when it is not for that service.
    func adapted(to service: ServiceUnderTest) -> ContractCase? {
        let kinds: Set = service.speaksRPC ? ["services", "only-services"] : ["gateway"]
        guard let generic, kinds.contains(generic) else { return nil }
        var adapted = self
        adapted.name = "\(service.name): \(name)"
        return adapted
    }
}

extension ConformanceFeature {
    /// As the .proto writes it.
    var name: String { ConformanceDescription.with { $0.features = [self] }.featureNames.first ?? "?" }
}

extension ConformanceDescription {
    fileprivate var featureNames: [String] {
        guard let text = try? jsonString(), let data = try? JSONValue(json: Data(text.utf8)) else { return [] }
        return data.object?["features"]?.array?.compactMap(\.string) ?? []
    }
}

/// The cases of a folder.
package struct CaseLibrary: Sendable {
    /// Files of the folder that are no lists of cases.
    private static let others: Set = ["mutants.json", "catalogue.json"]

    package let cases: [ContractCase]

    /// - Parameter folder: Its `*.json` are lists of cases.
    /// - Throws: `CaseError` that names the file.
    package init(folder: String) throws(CaseError) {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            throw CaseError("\(folder) cannot be read; name the folder with the cases with --cases.")
        }
        var cases: [ContractCase] = []
        for name in names.filter({ $0.hasSuffix(".json") && !Self.others.contains($0) }).sorted() {
            do throws(CaseError) {
                cases += try Self.read("\(folder)/\(name)")
            } catch {
                throw CaseError("\(folder)/\(name): \(error)")
            }
        }
        guard !cases.isEmpty else { throw CaseError("\(folder) holds no cases.") }
        self.cases = cases
    }

    private static func read(_ path: String) throws(CaseError) -> [ContractCase] {
        guard let data = FileManager.default.contents(atPath: path) else { throw CaseError("cannot be read") }
        guard let list = try JSONValue(json: data).object?["cases"]?.array else {
            throw CaseError("has no list of cases")
        }
        var cases: [ContractCase] = []
        for value in list { cases.append(try ContractCase(CaseNames.resolved(value))) }
        return cases
    }
}

/// Names that cases use for numbers.
enum CaseNames {
    private static let codes: [String: Int] = [
        "OK": 0, "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
        "ALREADY_EXISTS": 6, "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10,
        "OUT_OF_RANGE": 11, "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15,
        "UNAUTHENTICATED": 16,
    ]
    private static let closeCodes = [
        "NONE": 0, "PROTOCOL_ERROR": 1, "FRAME_TOO_LARGE": 2, "FLOW_CONTROL": 3, "FLOOD": 4, "TIMEOUT": 5, "VERSION": 6,
        "INTERNAL": 7,
    ]
    private static let processed = ["NO": 0, "MAYBE": 1, "YES": 2]

    /// `code` and `processed` as numbers, wherever they stand.
    static func resolved(_ value: JSONValue, codes: [String: Int] = codes) -> JSONValue {
        switch value {
        case .array(let items): return .array(items.map { resolved($0, codes: codes) })
        case .object(let members):
            return .object(
                Dictionary(
                    uniqueKeysWithValues: members.map { name, value in
                        switch name {
                        case "code": (name, replaced(value, codes))
                        case "processed": (name, replaced(value, processed))
                        case "expect_close": (name, resolved(value, codes: closeCodes))
                        default: (name, resolved(value, codes: codes))
                        }
                    }))
        default: return value
        }
    }

    private static func replaced(_ value: JSONValue, _ numbers: [String: Int]) -> JSONValue {
        switch value {
        case .string(let name): numbers[name].map { .int($0) } ?? value
        case .array(let items): .array(items.map { replaced($0, numbers) })
        case .object(let members): .object(members.mapValues { replaced($0, numbers) })
        default: value
        }
    }
}
