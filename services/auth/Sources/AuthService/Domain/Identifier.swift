internal import LibCrypto

/// Random 128-bit names for rows, with a prefix that says what they name.
enum Identifier: String {
    case user = "usr_"
    case session = "ses_"
    case registration = "reg_"
    case notification = "ntf_"
    case auditEvent = "aud_"
    case pseudonym = "sub_"
    case factor = "fac_"
    case addressChange = "adc_"
    case passkey = "pky_"
    case client = "cli_"
    case clientSecret = "csk_"
    /// A token of a client: where a user's has its session.
    case clientToken = "clt_"

    private static let length = 16

    /// Whether `id` names a row of this kind.
    func names(_ id: String) -> Bool { id.hasPrefix(rawValue) }

    func make() throws -> String {
        rawValue + Base64URL.encode(try RandomBytes.generate(Self.length))
    }
}
