import TestSupport
import Testing

@testable import LibCrypto

@Suite struct CryptoProviderTests {
    /// What `requireFIPS` asks for is all that the module works with, and each of it is found where it is.
    @Test func whereEachAlgorithmComesFrom() {
        let used = CryptoProvider.used
        #expect(used.map(\.algorithm) == [
            "AES-256-GCM", "SHA-256", "HMAC", "HKDF", "AES-256-KWP", "RSA-OAEP", "the random generator", "P-256", "Ed25519",
        ])
        #expect(Set(used.map(\.provider)) == [FIPSProvider.ofThisProcess] && CryptoProvider.current.name == FIPSProvider.ofThisProcess)
    }
}
