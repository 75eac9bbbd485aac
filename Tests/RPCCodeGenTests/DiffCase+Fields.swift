@testable import RPCCodeGen
import SwiftProtobuf

/// Rules of fields. `SumRequest` and `FindEntriesRequest` travel in requests only, `SumResponse` in responses only,
/// `Entry` and `Entry.Person` both ways.
extension DiffCase {
    static let fields = classes + presence + lengths + formats + cookies

    private static let classes = [
        DiffCase(.dataClass, .breaking, "ledger", 105, "`class` SECRET -> PHI") { golden in
            golden.person("password") { $0.class = .phi }
        },
        DiffCase(.dataClass, .breaking, "ledger", 106, "`class` PHI -> PII") { golden in
            golden.person("diagnosis") { $0.class = .pii }
        },
        DiffCase(.dataClass, .breaking, "ledger", 104, "`class` PII -> OPEN") { golden in
            golden.person("email") { $0.class = .unspecified }
        },
        DiffCase(.dataClass, .compatible, "ledger", 107, "`class` OPEN -> SECRET") { golden in
            golden.person("title") { $0.class = .secret }
        },
    ]

    private static let presence = [
        DiffCase(.field, .compatible, "digest", 1, "a new field") { golden in
            golden.message("SumRequest") { $0.field.append(Self.fresh { _ in }) }
        },
        DiffCase(.field, .compatible, "digest", 1, "a new field") { golden in
            golden.message("SumResponse") { $0.field.append(Self.fresh { $0.required = true }) }
        },
        DiffCase(
            .required, .breaking, "digest", 1, "a new field that is `required`, which callers of old do not send"
        ) { golden in
            golden.message("SumRequest") { $0.field.append(Self.fresh { $0.required = true }) }
        },
        DiffCase(.required, .breaking, "digest", 46, "`required` false -> true") { golden in
            golden.field("SumRequest", "modulus") { $0.required = true }
        },
        DiffCase(.required, .compatible, "digest", 45, "`required` true -> false") { golden in
            golden.field("SumRequest", "numbers") { $0.required = false }
        },
        DiffCase(.required, .compatible, "digest", 50, "`required` false -> true") { golden in
            golden.field("SumResponse", "sum") { $0.required = true }
        },
        DiffCase(.required, .breaking, "ledger", 112, "`required` true -> false") { golden in
            golden.field("Entry", "state") { $0.required = false }
        },
    ]

    private static func fresh(_ rules: (inout ContractFieldRules) -> Void) -> Google_Protobuf_FieldDescriptorProto {
        .with { field in
            field.name = "fresh"
            field.jsonName = "fresh"
            field.number = 99
            field.type = .string
            rules(&field.options.Contractfield)
        }
    }

    private static let lengths = [
        DiffCase(.length, .breaking, "digest", 45, "`max_length` 8 -> 7") { golden in
            golden.field("SumRequest", "numbers") { $0.maxLength = 7 }
        },
        DiffCase(.length, .compatible, "digest", 45, "`max_length` 8 -> without limit") { golden in
            golden.field("SumRequest", "numbers") { $0.maxLength = 0 }
        },
        DiffCase(.length, .compatible, "digest", 50, "`max_length` without limit -> 5") { golden in
            golden.field("SumResponse", "sum") { $0.maxLength = 5 }
        },
        DiffCase(.length, .breaking, "ledger", 114, "`max_length` 2 -> 3") { golden in
            golden.field("Entry", "witnesses") { $0.maxLength = 3 }
        },
        DiffCase(.length, .breaking, "digest", 45, "`min_length` 0 -> 1") { golden in
            golden.field("SumRequest", "numbers") { $0.minLength = 1 }
        },
        DiffCase(.length, .compatible, "digest", 50, "`min_length` 0 -> 1") { golden in
            golden.field("SumResponse", "sum") { $0.minLength = 1 }
        },
        DiffCase(.length, .breaking, "ledger", 105, "`min_length` 8 -> 7") { golden in
            golden.person("password") { $0.minLength = 7 }
        },
    ]

    private static let formats = [
        DiffCase(.format, .breaking, "ledger", 81, "`format` none -> EMAIL") { golden in
            golden.field("FindEntriesRequest", "tag") { $0.format = .email }
        },
        DiffCase(.format, .compatible, "ledger", 82, "`format` IDENTIFIER -> none") { golden in
            golden.field("FindEntriesRequest", "reader") { $0.format = .unspecified }
        },
        DiffCase(.format, .breaking, "ledger", 82, "`format` IDENTIFIER -> EMAIL") { golden in
            golden.field("FindEntriesRequest", "reader") { $0.format = .email }
        },
        DiffCase(.format, .breaking, "ledger", 116, "`format` EMAIL -> none") { golden in
            golden.field("Entry", "recipients") { $0.format = .unspecified }
        },
    ]

    private static let cookies = [
        DiffCase(.cookie, .breaking, "ledger", 82, "`http_cookie` __Host-reader -> __Host-writer") { golden in
            golden.field("FindEntriesRequest", "reader") { $0.httpCookie.name = "__Host-writer" }
        },
        DiffCase(.cookie, .breaking, "ledger", 82, "`http_cookie` __Host-reader -> none") { golden in
            golden.field("FindEntriesRequest", "reader") { $0.clearHTTPCookie() }
        },
        DiffCase(.cookie, .compatible, "ledger", 82, "`http_cookie.max_age` seconds -> ") { golden in
            golden.field("FindEntriesRequest", "reader") { $0.httpCookie.maxAge = "" }
        },
    ]
}
