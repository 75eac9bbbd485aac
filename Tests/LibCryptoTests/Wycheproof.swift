import Foundation
import LibCrypto
import Testing

/// One file of C2SP Wycheproof vectors, decoded into `Group`.
struct Wycheproof<Group: Decodable>: Decodable {
    var numberOfTests: Int
    var testGroups: [Group]

    /// - Throws: when the file is missing or has another shape: then the test has nothing to run.
    static func load(_ name: String) throws -> Wycheproof {
        let url = try #require(Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors"))
        return try JSONDecoder().decode(Wycheproof.self, from: Data(contentsOf: url))
    }
}

enum Expectation: String, Decodable {
    case valid, invalid
}

/// How many vectors ran; printed, since a count is part of a result.
struct Tally {
    var name: String
    var ran = 0
    var skipped = 0

    func report(_ reason: String = "") {
        print("vectors: \(name): ran \(ran), skipped \(skipped)\(reason.isEmpty ? "" : " (\(reason))")")
    }
}

/// The bytes of a vector's hexadecimal text.
func hex(_ text: String) throws -> [UInt8] { try #require(Hex.decode(text)) }
