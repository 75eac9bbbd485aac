import ServiceKit
import TestSupport
import Testing

@testable import GatewayService

@Suite struct ReadmeTests {
    @Test func everyKeyIsInTheReadme() throws {
        let missing = ReadmeKeys.missing(
            readme: try ReadmeKeys.text(of: "gateway"), markdown: GatewayConfig.table.markdown)
        #expect(missing == [])
        if !missing.isEmpty { print(GatewayConfig.table.markdown) }
    }

    @Test(arguments: [
        ("LOCKSTEP_GATEWAY_RATE_LIMITS", "sometimes"), ("LOCKSTEP_GATEWAY_TRUSTED_PROXIES", "proxy.example"),
        ("LOCKSTEP_GATEWAY_REQUESTS", "0"),
    ])
    func wrongValuesNameTheirKey(variable: String, value: String) {
        #expect(throws: ConfigurationError.self) {
            try Configuration.load(GatewayConfig.table, environment: [variable: value], file: nil)
        }
    }
}
