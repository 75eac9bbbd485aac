import Foundation
import LibCrypto
import Testing

@Suite struct TextTests {
    /// RFC 4648 section 10, without padding.
    @Test(arguments: [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"),
    ])
    func base64URLOfTheRFC(_ plain: String, _ text: String) {
        #expect(Base64URL.encode(Array(plain.utf8)) == text)
        #expect(Base64URL.decode(text) == Array(plain.utf8))
    }

    @Test(arguments: ["Zg==", "Zh", "Zm9", "Zm9vY", "A", "Zm 8", "Zm8\n", "+/+/", "Zm8é", "Zm8\0", "____="])
    func base64URLRefuses(_ text: String) {
        #expect(Base64URL.decode(text) == nil)
    }

    @Test func base64URLRoundTrip() throws {
        for count in 0..<100 {
            let bytes = try RandomBytes.generate(count)
            let standard = Data(bytes).base64EncodedString()
            let expected = standard.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
            #expect(Base64URL.encode(bytes) == expected)
            #expect(Base64URL.decode(expected) == bytes)
        }
    }

    @Test func exactlyOneTextDecodes() {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        let texts = alphabet.flatMap { a in alphabet.map { b in "\(a)\(b)" } }
        #expect(texts.filter { Base64URL.decode($0) != nil }.count == 256)
    }

    @Test func hexadecimal() {
        #expect(Hex.encode([0, 15, 255] as [UInt8]) == "000fff")
        #expect(Hex.decode("000FfF") == [0, 15, 255])
        #expect(Hex.decode("0") == nil)
        #expect(Hex.decode("0g") == nil)
    }

    @Test("ASVS 11.2.4: equality in constant time")
    func constantTimeEquality() {
        #expect(constantTimeEqual([1, 2] as [UInt8], [1, 2] as [UInt8]))
        #expect(!constantTimeEqual([1, 2] as [UInt8], [1, 3] as [UInt8]))
        #expect(!constantTimeEqual([1, 2] as [UInt8], [1] as [UInt8]))
        #expect(constantTimeEqual([UInt8](), [UInt8]()))
    }
}
