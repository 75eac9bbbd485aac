@testable import RPCCodeGen
import SwiftProtobuf
import Testing

/// One edit of the golden contract, and the one change that it makes.
struct DiffCase: Sendable, CustomTestStringConvertible {
    let rule: Change.Rule
    let verdict: Change.Verdict
    let file: String
    let line: Int
    let text: String
    let edit: @Sendable (inout GoldenContract) -> Void

    var testDescription: String { "\(rule.rawValue), \(verdict.rawValue): \(text)" }

    init(
        _ rule: Change.Rule, _ verdict: Change.Verdict, _ file: String, _ line: Int, _ text: String,
        _ edit: @escaping @Sendable (inout GoldenContract) -> Void
    ) {
        self.rule = rule
        self.verdict = verdict
        self.file = "golden/\(file).proto"
        self.line = line
        self.text = text
        self.edit = edit
    }

    static let all = services + methods + access + running + limits + routes + fields
}

extension DiffCase {
    private static let services = [
        DiffCase(.service, .compatible, "digest", 1, "a new service") { golden in
            golden.edit("golden/digest.proto") { file in file.service.append(.with { $0.name = "Fresh" }) }
        },
        DiffCase(.execution, .breaking, "digest", 12, "`execution` SYNC -> ASYNC") { golden in
            golden.service("DigestService") { $0.options.Contractservice.execution = .async }
        },
        DiffCase(.execution, .compatible, "ledger", 13, "`execution` ASYNC -> SYNC") { golden in
            golden.service("LedgerService") { $0.options.Contractservice.execution = .sync }
        },
        DiffCase(.hosting, .compatible, "digest", 12, "`hosted_by_both` false -> true") { golden in
            golden.service("DigestService") { $0.options.Contractservice.hostedByBoth = true }
        },
    ]

    private static let methods = [
        DiffCase(.method, .breaking, "digest", 31, "the method is gone") { golden in
            golden.service("DigestService") { $0.method.removeLast() }
        },
        DiffCase(.method, .compatible, "digest", 1, "a new method") { golden in
            golden.service("DigestService") { service in
                var another = service.method[0]
                another.name = "Another"
                another.outputType = another.inputType
                service.method.append(another)
            }
        },
        DiffCase(
            .methodID, .breaking, "digest", 15,
            "lockstep.digest.v1.DigestService/Sum has another name, and with it another id: "
                + "\(id("DigestService/Sum")) -> \(id("DigestService/Total"))"
        ) { golden in golden.declaration("Sum") { $0.name = "Total" } },
        DiffCase(.kind, .breaking, "ledger", 60, "`kind` serverStreaming -> bidirectional") { golden in
            golden.declaration("Watch") { $0.clientStreaming = true }
        },
        DiffCase(.kind, .breaking, "ledger", 60, "`kind` serverStreaming -> unary") { golden in
            golden.declaration("Watch") { $0.serverStreaming = false }
        },
    ]

    private static func id(_ method: String) -> UInt32 { SHA256.prefix(of: "lockstep.digest.v1.\(method)", as: UInt32.self) }

    private static let access = [
        DiffCase(.caller, .breaking, "digest", 17, "the caller \"operator\" is lost") { golden in
            golden.method("Sum") { $0.callers = ["gateway"] }
        },
        DiffCase(.caller, .compatible, "digest", 17, "a new caller, \"auth\"") { golden in
            golden.method("Sum") { $0.callers.insert("auth", at: 0) }
        },
        DiffCase(.exposure, .breaking, "digest", 32, "`exposure` PUBLIC -> USER") { golden in
            golden.method("JWKS") { $0.exposure = .user }
        },
        DiffCase(.exposure, .breaking, "ledger", 36, "`exposure` USER -> ADMIN") { golden in
            golden.method("Repeat") { $0.exposure = .admin }
        },
        DiffCase(.exposure, .breaking, "ledger", 36, "`exposure` USER -> INTERNAL") { golden in
            golden.method("Repeat") { $0.exposure = .internal }
        },
        DiffCase(.exposure, .compatible, "ledger", 36, "`exposure` USER -> PUBLIC") { golden in
            golden.method("Repeat") { $0.exposure = .public }
        },
        DiffCase(.optionalUser, .breaking, "digest", 32, "`optional_user` false -> true") { golden in
            golden.method("JWKS") { $0.optionalUser = true }
        },
        DiffCase(.optionalUser, .compatible, "ledger", 46, "`optional_user` true -> false") { golden in
            golden.method("FindEntries") { $0.optionalUser = false }
        },
        DiffCase(.role, .breaking, "ledger", 20, "the role \"chief\" is lost") { golden in
            golden.method("PutEntry") { $0.roles = ["keeper"] }
        },
        DiffCase(.role, .compatible, "ledger", 20, "a new role, \"clerk\"") { golden in
            golden.method("PutEntry") { $0.roles.append("clerk") }
        },
        DiffCase(.emergencyRole, .breaking, "ledger", 20, "the emergency role \"chief\" is lost") { golden in
            golden.method("PutEntry") { $0.emergencyRoles = [] }
        },
        DiffCase(.emergencyRole, .compatible, "ledger", 20, "a new emergency role, \"keeper\"") { golden in
            golden.method("PutEntry") { $0.emergencyRoles.append("keeper") }
        },
    ]

    private static let running = [
        DiffCase(.cost, .compatible, "digest", 17, "`cost` INLINE -> POOL") { golden in
            golden.method("Sum") { $0.cost = .pool }
        },
        DiffCase(.inlineLimit, .compatible, "digest", 17, "`inline_limit` 512 -> 4096") { golden in
            golden.method("Sum") { $0.inlineLimit = 0 }
        },
        DiffCase(.lane, .breaking, "digest", 17, "`priority` EMERGENCY -> ROUTINE") { golden in
            golden.method("Sum") { $0.priority = .unspecified }
        },
        DiffCase(.lane, .compatible, "digest", 32, "`priority` ROUTINE -> EMERGENCY") { golden in
            golden.method("JWKS") { $0.priority = .emergency }
        },
        DiffCase(.idempotency, .breaking, "digest", 15, "`idempotency_level` NO_SIDE_EFFECTS -> IDEMPOTENT") { golden in
            golden.declaration("Sum") { $0.options.idempotencyLevel = .idempotent }
        },
        DiffCase(.idempotency, .breaking, "ledger", 18, "`idempotency_level` IDEMPOTENT -> IDEMPOTENCY_UNKNOWN") { golden in
            golden.declaration("PutEntry") { $0.options.clearIdempotencyLevel() }
        },
        DiffCase(.idempotency, .compatible, "ledger", 18, "`idempotency_level` IDEMPOTENT -> NO_SIDE_EFFECTS") { golden in
            golden.declaration("PutEntry") { $0.options.idempotencyLevel = .noSideEffects }
        },
        DiffCase(.onCancel, .breaking, "ledger", 20, "`on_cancel` DETACH -> CANCEL") { golden in
            golden.method("PutEntry") { $0.onCancel = .unspecified }
        },
        DiffCase(.onCancel, .breaking, "digest", 17, "`on_cancel` CANCEL -> DETACH") { golden in
            golden.method("Sum") { $0.onCancel = .detach }
        },
        DiffCase(.compression, .compatible, "digest", 17, "`compressed` true -> false") { golden in
            golden.method("Sum") { $0.compressed = false }
        },
    ]

    private static let limits = [
        DiffCase(.deadline, .breaking, "digest", 17, "`deadline.default_ms` 1000 ms -> 999 ms") { golden in
            golden.method("Sum") { $0.deadline.defaultMs = 999 }
        },
        DiffCase(.deadline, .compatible, "digest", 17, "`deadline.default_ms` 1000 ms -> 1001 ms") { golden in
            golden.method("Sum") { $0.deadline.defaultMs = 1001 }
        },
        DiffCase(.deadline, .breaking, "digest", 17, "`deadline.max_ms` 2000 ms -> 1999 ms") { golden in
            golden.method("Sum") { $0.deadline.maxMs = 1999 }
        },
        DiffCase(.deadline, .compatible, "digest", 17, "`deadline.max_ms` 2000 ms -> 30000 ms") { golden in
            golden.method("Sum") { $0.deadline.maxMs = 0 }
        },
        DiffCase(.requestLimit, .breaking, "digest", 17, "`request_limit` 1024 bytes -> 1023 bytes") { golden in
            golden.method("Sum") { $0.requestLimit = 1023 }
        },
        DiffCase(.requestLimit, .breaking, "digest", 32, "`request_limit` 65536 bytes -> 65535 bytes") { golden in
            golden.method("JWKS") { $0.requestLimit = 65535 }
        },
        DiffCase(.requestLimit, .compatible, "digest", 17, "`request_limit` 1024 bytes -> 65536 bytes") { golden in
            golden.method("Sum") { $0.requestLimit = 0 }
        },
        DiffCase(.responseLimit, .breaking, "digest", 17, "`response_limit` 2048 bytes -> 2047 bytes") { golden in
            golden.method("Sum") { $0.responseLimit = 2047 }
        },
        DiffCase(.responseLimit, .compatible, "digest", 17, "`response_limit` 2048 bytes -> 2049 bytes") { golden in
            golden.method("Sum") { $0.responseLimit = 2049 }
        },
        DiffCase(.concurrency, .breaking, "digest", 17, "`concurrency` 7 calls -> 6 calls") { golden in
            golden.method("Sum") { $0.concurrency = 6 }
        },
        DiffCase(.concurrency, .breaking, "digest", 32, "`concurrency` without limit -> 9 calls") { golden in
            golden.method("JWKS") { $0.concurrency = 9 }
        },
        DiffCase(.concurrency, .compatible, "digest", 17, "`concurrency` 7 calls -> without limit") { golden in
            golden.method("Sum") { $0.concurrency = 0 }
        },
        DiffCase(.adaptive, .compatible, "ledger", 20, "`adaptive` true -> false") { golden in
            golden.method("PutEntry") { $0.adaptive = false }
        },
        DiffCase(.adaptive, .breaking, "ledger", 46, "`adaptive` false -> true") { golden in
            golden.method("FindEntries") { $0.adaptive = true }
        },
        DiffCase(
            .rate, .breaking, "digest", 32, "`rate` 600 in 60 s for each ADDRESS -> 599 in 1 s for each ADDRESS"
        ) { golden in
            golden.method("JWKS") { $0.rate.limit = 599; $0.rate.perSeconds = 1 }
        },
        DiffCase(
            .rate, .breaking, "digest", 32, "`rate` 600 in 60 s for each ADDRESS -> 601 in 61 s for each ADDRESS"
        ) { golden in
            golden.method("JWKS") { $0.rate.limit = 601; $0.rate.perSeconds = 61 }
        },
        DiffCase(.rate, .breaking, "ledger", 20, "`rate` 5 in 1 s for each USER -> 5 in 1 s for each ADDRESS") { golden in
            golden.method("PutEntry") { $0.rate.key = .address }
        },
        DiffCase(.rate, .breaking, "digest", 17, "`rate` without limit -> 9 in 1 s for each ADDRESS") { golden in
            golden.method("Sum") { $0.rate = .with { $0.limit = 9; $0.perSeconds = 1; $0.key = .address } }
        },
        DiffCase(.rate, .compatible, "digest", 32, "`rate` 600 in 60 s for each ADDRESS -> without limit") { golden in
            golden.method("JWKS") { $0.clearRate() }
        },
        DiffCase(
            .rate, .compatible, "digest", 32, "`rate` 600 in 60 s for each ADDRESS -> 600 in 59 s for each ADDRESS"
        ) { golden in
            golden.method("JWKS") { $0.rate.perSeconds = 59 }
        },
    ]

    private static let routes = [
        DiffCase(.route, .breaking, "digest", 32, "the route GET /.well-known/sums.json is lost") { golden in
            golden.method("JWKS") { $0.clearHTTP() }
        },
        DiffCase(.route, .compatible, "digest", 17, "a new route, DELETE /v1/sums") { golden in
            golden.method("Sum") { $0.http.delete = "/v1/sums" }
        },
        DiffCase(.route, .breaking, "digest", 32, "`http` GET /.well-known/sums.json -> GET /v1/sums") { golden in
            golden.method("JWKS") { $0.http.get = "/v1/sums" }
        },
        DiffCase(.route, .breaking, "digest", 32, "`http` GET /.well-known/sums.json -> POST /.well-known/sums.json") { golden in
            golden.method("JWKS") { $0.http.post = "/.well-known/sums.json" }
        },
        DiffCase(.route, .compatible, "ledger", 20, "`http` PUT /v1/entries/{entry_id} -> PUT /v1/entries/{name}") { golden in
            golden.method("PutEntry") { $0.http.put = "/v1/entries/{name}" }
        },
        DiffCase(.routeBody, .breaking, "ledger", 36, "`http.body` * -> none") { golden in
            golden.method("Repeat") { $0.http.body = "" }
        },
        DiffCase(.routeBody, .breaking, "ledger", 36, "`http.oauth` false -> true") { golden in
            golden.method("Repeat") { $0.http.oauth = true }
        },
        DiffCase(.routeSuccess, .breaking, "ledger", 36, "`http.success` 204 -> 200") { golden in
            golden.method("Repeat") { $0.http.success = 0 }
        },
        DiffCase(.routeCaching, .compatible, "digest", 32, "`http.max_age` 60 -> 0") { golden in
            golden.method("JWKS") { $0.http.maxAge = 0 }
        },
        DiffCase(.routeQuery, .breaking, "ledger", 46, "`http.ignore_unknown_query` true -> false") { golden in
            golden.method("FindEntries") { $0.http.ignoreUnknownQuery = false }
        },
        DiffCase(.routeQuery, .compatible, "digest", 32, "`http.ignore_unknown_query` false -> true") { golden in
            golden.method("JWKS") { $0.http.ignoreUnknownQuery = true }
        },
    ]
}
