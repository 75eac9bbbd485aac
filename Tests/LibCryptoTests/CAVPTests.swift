import COpenSSL
import TestSupport
import Testing

@testable import LibCrypto

/// NIST's vectors, and those of the RFCs, from PyPI's `cryptography_vectors`.
@Suite struct CAVPTests {
    /// Nonces of other lengths and shortened tags have no place here: they neither open nor seal.
    @Test("SP 800-38D, ASVS 11.3.4: NIST CAVP AES-256-GCM, sealed") func sealing() throws {
        let file = try ResponseFile("ciphers/AES/GCM/gcmEncryptExtIV256.rsp")
        var tally = Tally(name: "NIST CAVP gcmEncryptExtIV256, 96/128")
        var others = Tally(name: "NIST CAVP gcmEncryptExtIV256, other nonces and tags refused")
        for record in file.records {
            let key = try SymmetricKey(bytes: record.bytes("Key"))
            let (nonce, aad) = (record.bytes("IV"), record.bytes("AAD"))
            let sealed = nonce + record.bytes("CT") + record.bytes("Tag")
            if Self.isOurs(record) {
                let made = try AEAD.seal(record.bytes("PT"), key: key, nonce: nonce, aad: aad)
                #expect(made == sealed)
                #expect(try AEAD.open(sealed, key: key, aad: aad) == record.bytes("PT"))
                tally.ran += 1
            } else {
                #expect(throws: CryptoError.authenticationFailed) { try AEAD.open(sealed, key: key, aad: aad) }
                others.ran += 1
            }
        }
        tally.report()
        others.report()
        #expect(tally.ran == 375)
        #expect(tally.ran + others.ran == 7875)
    }

    @Test("SP 800-38D, ASVS 11.2.5: NIST CAVP AES-256-GCM, opened or refused") func opening() throws {
        let file = try ResponseFile("ciphers/AES/GCM/gcmDecrypt256.rsp")
        var tally = Tally(name: "NIST CAVP gcmDecrypt256, 96/128")
        var others = Tally(name: "NIST CAVP gcmDecrypt256, other nonces and tags refused")
        var refused = 0
        for record in file.records {
            let key = try SymmetricKey(bytes: record.bytes("Key"))
            let sealed = record.bytes("IV") + record.bytes("CT") + record.bytes("Tag")
            let opened = try? AEAD.open(sealed, key: key, aad: record.bytes("AAD"))
            if Self.isOurs(record), record.fields["FAIL"] == nil {
                #expect(opened == record.bytes("PT"))
            } else {
                #expect(opened == nil)
            }
            if Self.isOurs(record) {
                tally.ran += 1
                refused += record.fields["FAIL"] == nil ? 0 : 1
            } else {
                others.ran += 1
            }
        }
        tally.report("of these \(refused) must fail")
        others.report()
        #expect(tally.ran == 375)
        #expect(refused > 100)
        #expect(tally.ran + others.ran == 7875)
    }

    private static func isOurs(_ record: ResponseFile.Record) -> Bool {
        record.section["IVlen"] == "96" && record.section["Taglen"] == "128"
    }

    @Test("FIPS 186-4, ASVS 11.3.1: NIST CAVP ECDSA P-256 with SHA-256, verified") func ecdsa() throws {
        let file = try ResponseFile("asymmetric/ECDSA/FIPS_186-3/SigVer.rsp")
        var tally = Tally(name: "NIST CAVP ECDSA P-256, SHA-256")
        var good = 0
        for record in file.records {
            guard record.section["P-256,SHA-256"] != nil else {
                tally.skipped += 1
                continue
            }
            let (x, y) = (record.bytes("Qx"), record.bytes("Qy"))
            let signature = record.bytes("R") + record.bytes("S")
            let isValid = (try? P256.PublicKey(x: x, y: y))?.isValidSignature(signature, for: record.bytes("Msg")) ?? false
            let result = try #require(record.fields["Result"])
            #expect(isValid == result.hasPrefix("P"), "\(result)")
            good += isValid ? 1 : 0
            tally.ran += 1
        }
        tally.report("other curves and digests, which are not offered")
        #expect(tally.ran == 15)
        #expect((1..<15).contains(good))
    }

    @Test("RFC 8032 7.1: the 1,024 signatures of Ed25519's authors, made and verified") func ed25519() throws {
        let lines = try ResponseFile.text("asymmetric/Ed25519/sign.input").split(separator: "\n")
        var tally = Tally(name: "Ed25519 sign.input")
        for line in lines {
            let parts = line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            let (secret, message, signed) = (try hex(parts[0]), try hex(parts[2]), try hex(parts[3]))
            let key = try Ed25519.PrivateKey(rawRepresentation: secret.prefix(32))
            #expect(key.publicKey.rawRepresentation == Array(secret.suffix(32)))
            let signature = try key.signature(for: message)
            #expect(signature + message == signed)
            #expect(key.publicKey.isValidSignature(signature, for: message))
            tally.ran += 1
        }
        tally.report()
        #expect(tally.ran == 1024)
    }

    @Test("RFC 4231, RFC 2202: HMAC with SHA-256 and SHA-1") func hmac() throws {
        var tally = Tally(name: "HMAC of RFC 4231 and RFC 2202")
        for record in try ResponseFile("HMAC/rfc-4231-sha256.txt").records {
            #expect(try HMACSHA256.authenticate(record.bytes("Msg"), key: record.bytes("Key")) == record.bytes("MD"))
            tally.ran += 1
        }
        for record in try ResponseFile("HMAC/rfc-2202-sha1.txt").records {
            #expect(try HMACSHA1.authenticate(record.bytes("Msg"), key: record.bytes("Key")) == record.bytes("MD"))
            tally.ran += 1
        }
        tally.report()
        #expect(tally.ran == 13)
    }

    @Test("RFC 5869 appendix A: HKDF with SHA-256") func hkdf() throws {
        var tally = Tally(name: "HKDF of RFC 5869")
        for name in ["rfc-5869-HKDF-SHA256", "hkdf-generated"] {
            // Some put a blank line within a record.
            var fields: [String: String] = [:]
            for record in try ResponseFile("KDF/\(name).txt").records {
                fields.merge(record.fields) { $1 }
                guard fields["OKM"] != nil else { continue }
                let whole = ResponseFile.Record(section: [:], fields: fields)
                let okm = whole.bytes("OKM")
                let made = try HKDF.sha256(
                    whole.bytes("IKM"), salt: whole.bytes("salt"), info: whole.bytes("info"), count: okm.count)
                #expect(made == okm)
                tally.ran += 1
                fields = [:]
            }
        }
        tally.report()
        #expect(tally.ran == 4)
    }

    @Test("RFC 5649, SP 800-38F: NIST CAVP AES-256-KWP, unwrapped or refused") func keyWrap() throws {
        var tally = Tally(name: "NIST CAVP KWP-AD with AES-256")
        var refused = 0
        for record in try ResponseFile("keywrap/kwtestvectors/KWP_AD_256.txt").records {
            let wrapped = record.bytes("C")
            var room = [UInt8](repeating: 0, count: wrapped.count)
            let count = lockstep_aes256_kwp_unwrap(record.bytes("K"), wrapped, wrapped.count, &room)
            if record.fields["FAIL"] == nil {
                #expect(Array(room.prefix(count)) == record.bytes("P"))
            } else {
                #expect(count == 0)
                refused += 1
            }
            tally.ran += 1
        }
        tally.report("of these \(refused) must fail")
        #expect(tally.ran == 500)
        #expect(refused == 100)
    }
}
