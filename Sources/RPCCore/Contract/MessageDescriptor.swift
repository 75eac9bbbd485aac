/// How secret a field is.
package enum DataClass: Sendable, Hashable {
    case open
    case pii
    case phi
    case secret
}

/// A rule for a value's text.
package enum Format: Sendable, Hashable {
    /// One addr-spec of RFC 5321, at most 254 bytes, no control characters.
    case email
    /// `[A-Za-z0-9_-]+`
    case identifier
}

/// What the contract says of one message: enough to check JSON, describe it in OpenAPI and redact it.
package struct MessageDescriptor: Sendable {
    /// `lockstep.auth.v1.User`.
    package let name: String
    package let fields: [FieldDescriptor]

    package init(name: String, fields: [FieldDescriptor]) {
        self.name = name
        self.fields = fields
    }

    /// The field of that proto name.
    package func field(named name: String) -> FieldDescriptor? { fields.first { $0.name == name } }

    /// The fields that HTTP carries in cookies.
    package var cookieFields: [FieldDescriptor] { fields.filter { $0.cookie != nil } }

    /// The same message without the fields that HTTP carries in cookies: what its JSON may hold outside.
    package var withoutCookies: MessageDescriptor {
        MessageDescriptor(name: name, fields: fields.filter { $0.cookie == nil })
    }
}

/// How HTTP carries a field in a cookie.
package struct CookieRule: Sendable, Hashable {
    /// Begins with `__Host-`.
    package let name: String
    /// The field of the same answer that says how many seconds the cookie is kept; nil for until the browser closes.
    package let maxAgeField: String?

    package init(name: String, maxAgeField: String? = nil) {
        self.name = name
        self.maxAgeField = maxAgeField
    }
}

/// What the contract says of one field.
package struct FieldDescriptor: Sendable {
    /// The shape of a value. Messages are behind a closure, since they may nest themselves.
    package enum Kind: Sendable {
        case bool
        case int32
        case int64
        case uint32
        case uint64
        case float
        case double
        case string
        case bytes
        /// The names of the values, in order of number.
        case enumeration(name: String, values: [String])
        case message(@Sendable () -> MessageDescriptor)
        /// `google.protobuf.Timestamp`: RFC 3339 text in JSON.
        case timestamp
        /// `google.protobuf.Duration`: text in seconds with an `s` in JSON.
        case duration
    }

    package enum Arity: Sendable, Hashable {
        case single
        case list
        /// With keys of text.
        case map
    }

    /// The proto name, which is also the JSON name: `access_token`.
    package let name: String
    package let number: Int
    package let kind: Kind
    package let arity: Arity
    package let dataClass: DataClass
    package let isRequired: Bool
    /// Declared `optional`: unset differs from its default. Messages always know whether they are set.
    package let hasPresence: Bool
    /// UTF-8 bytes, bytes or items; nil for none.
    package let minLength: Int?
    package let maxLength: Int?
    package let format: Format?
    /// Nil for fields that JSON, path or query hold.
    package let cookie: CookieRule?

    package init(
        name: String, number: Int, kind: Kind, arity: Arity = .single, dataClass: DataClass = .open,
        isRequired: Bool = false, hasPresence: Bool = false, minLength: Int? = nil, maxLength: Int? = nil,
        format: Format? = nil, cookie: CookieRule? = nil
    ) {
        self.name = name
        self.number = number
        self.kind = kind
        self.arity = arity
        self.dataClass = dataClass
        self.isRequired = isRequired
        self.hasPresence = hasPresence
        self.minLength = minLength
        self.maxLength = maxLength
        self.format = format
        self.cookie = cookie
    }
}
