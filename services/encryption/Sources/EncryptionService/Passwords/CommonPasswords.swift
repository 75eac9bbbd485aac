import Foundation

/// Passwords that everyone tries first (OWASP ASVS 5.0, 6.2.4): the lines of `common-passwords.txt`, which says where they
/// come from.
enum CommonPasswords {
    static func contains(_ lowercased: some StringProtocol) -> Bool { all.contains(String(lowercased)) }

    static var count: Int { all.count }

    /// The longest of them, in characters.
    static let longest = all.lazy.map(\.count).max() ?? 0

    private static let all = Set(PasswordList.lines(of: PackageResources.common_passwords_txt).map { String(decoding: $0, as: UTF8.self) })
}

/// The form of lists of passwords: one in each line. Lines that begin with `#!comment:` are none, as John the Ripper has it.
enum PasswordList {
    private static let comment = Array("#!comment:".utf8)

    /// What is compared: case does not count, nor do compatibility forms such as full-width letters (Unicode NFKC, UAX #15).
    static func folded(_ text: String) -> String {
        guard !text.utf8.allSatisfy({ $0 < 0x80 }) else { return text.lowercased() }
        return text.precomposedStringWithCompatibilityMapping.lowercased()
    }

    static func lines(of bytes: [UInt8]) -> some Sequence<ArraySlice<UInt8>> {
        bytes.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }.lazy.filter { !$0.starts(with: comment) }
    }
}
