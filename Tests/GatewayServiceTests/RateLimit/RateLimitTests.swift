import Contracts
import RPCCore
import ServiceKit
import Testing

@testable import GatewayService

@Suite struct RateLimitTests {
    let start = ContinuousClock.Instant.now
    /// 10 in 60 s.
    let method = AuthServiceContract.createSession

    func at(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }

    @Test func theBurstIsTheLimitAndRefillsEvenly() {
        let limiter = RateLimiter(scale: .on)
        for _ in 0..<10 { #expect(limiter.take(method, holder: "a", now: start) == nil) }
        #expect(limiter.take(method, holder: "a", now: start) == .seconds(6))
        #expect(limiter.take(method, holder: "a", now: at(5.9)) != nil)
        #expect(limiter.take(method, holder: "a", now: at(6.1)) == nil)
        #expect(limiter.take(method, holder: "a", now: at(6.1)) != nil)
    }

    @Test func afterALongTimeNoMoreThanTheBurst() {
        let limiter = RateLimiter(scale: .on)
        let taken = (0..<30).count { _ in limiter.take(method, holder: "a", now: at(86_400)) == nil }
        #expect(taken == 10)
    }

    @Test func aClockThatStandsOrGoesBackGivesNothing() {
        let limiter = RateLimiter(scale: .on)
        for _ in 0..<10 { _ = limiter.take(method, holder: "a", now: at(10)) }
        #expect(limiter.take(method, holder: "a", now: start) != nil)
    }

    @Test func holdersAndMethodsHaveBucketsOfTheirOwn() {
        let limiter = RateLimiter(scale: .on)
        for _ in 0..<11 { _ = limiter.take(method, holder: "a", now: start) }
        #expect(limiter.take(method, holder: "a", now: start) != nil)
        #expect(limiter.take(method, holder: "b", now: start) == nil)
        #expect(limiter.take(AuthServiceContract.register, holder: "a", now: start) == nil)
    }

    @Test func methodsWithoutALimitAreNotCounted() {
        let limiter = RateLimiter(scale: .on)
        for _ in 0..<100 { #expect(limiter.take(AuthServiceContract.checkSession, holder: "a", now: start) == nil) }
        #expect(limiter.count == 0)
    }

    @Test(arguments: [("on", 10), ("off", 1000), ("2", 20), ("0.1", 1), ("0.01", 1)])
    func scales(text: String, allowed: Int) throws {
        let limiter = RateLimiter(scale: try #require(RateScale(text)))
        #expect((0..<1000).count { _ in limiter.take(method, holder: "a", now: start) == nil } == allowed)
    }

    @Test(arguments: ["", "ON", "no", "-1", "0", "nan", "inf", "1e99", "ten"])
    func otherScalesAreRefused(text: String) { #expect(RateScale(text) == nil) }

    @Test func theTableIsBoundedWhateverComes() {
        let limiter = RateLimiter(scale: .on, capacity: 100)
        for index in 0..<10_000 {
            _ = limiter.take(method, holder: "\(index)", now: at(Double(index) / 1000))
            #expect(limiter.count <= 100)
        }
    }

    /// Seen in the present generation or in the one before: not forgotten, however many others come.
    @Test func whoGoesOnIsNotForgotten() {
        let limiter = RateLimiter(scale: .on, capacity: 100)
        for _ in 0..<10 { _ = limiter.take(method, holder: "busy", now: start) }
        for index in 0..<10_000 {
            _ = limiter.take(method, holder: "\(index)", now: start)
            if index % 40 == 0 { #expect(limiter.take(method, holder: "busy", now: start) != nil, "\(index)") }
        }
    }

    /// Half of the places have gone to others, and then half again.
    @Test func whoIsNotSeenIsForgotten() {
        let limiter = RateLimiter(scale: .on, capacity: 100)
        for _ in 0..<10 { _ = limiter.take(method, holder: "a", now: start) }
        for index in 0..<100 { _ = limiter.take(method, holder: "\(index)", now: start) }
        #expect(limiter.take(method, holder: "a", now: start) == nil)
    }

    @Test func theOldGoFirst() {
        let limiter = RateLimiter(scale: .on, capacity: 10)
        for index in 0..<5 { _ = limiter.take(method, holder: "old\(index)", now: start) }
        for _ in 0..<10 { _ = limiter.take(method, holder: "busy", now: at(60)) }
        for index in 0..<5 { _ = limiter.take(method, holder: "new\(index)", now: at(60)) }
        #expect(limiter.take(method, holder: "busy", now: at(60)) != nil)
    }
}

@Suite struct ClientAddressTests {
    @Test func mappedAddressesAreTheirIPv4() {
        #expect(ClientAddress("::ffff:192.0.2.1") == ClientAddress("192.0.2.1"))
    }

    @Test func anIPv6ClientOwnsItsNetwork() throws {
        let one = try #require(ClientAddress("2001:db8:1:2::1")).bucketKey
        #expect(one == ClientAddress("2001:db8:1:2:ffff::9")?.bucketKey)
        #expect(one != ClientAddress("2001:db8:1:3::1")?.bucketKey)
    }

    @Test(arguments: ["", "localhost", "1.2.3", "1.2.3.4.5", "1.2.3.256", "::g", "1.2.3.4:80", " 1.2.3.4"])
    func otherTextIsNoAddress(text: String) { #expect(ClientAddress(text) == nil) }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.8", false), ("0.0.0.0/0", "203.0.113.9", true),
        ("2001:db8::/33", "2001:db8:7fff::", true),
        ("2001:db8::/33", "2001:db8:8000::", false), ("10.0.0.0/8", "::1", false),
    ])
    func blocks(block: String, address: String, contained: Bool) throws {
        #expect(try #require(AddressBlock(block)).contains(try #require(ClientAddress(address))) == contained)
    }

    @Test(arguments: ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "x/8", ""])
    func otherTextIsNoBlock(text: String) { #expect(AddressBlock(text) == nil) }

    @Test func withoutTrustedProxiesTheHeaderIsNothing() {
        #expect(TrustedProxies([]).client(peer: "192.0.2.1", forwardedFor: ["1.1.1.1"]) == "192.0.2.1")
    }

    @Test(arguments: [
        (["203.0.113.9"], "203.0.113.9"), (["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        (["1.1.1.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9"), ([], "10.0.0.1"), (["nonsense"], "10.0.0.1"),
        (["nonsense, 203.0.113.9"], "203.0.113.9"), (["10.0.0.3"], "10.0.0.3"),
    ])
    func behindTrustedProxies(header: [String], client: String) throws {
        let proxies = TrustedProxies([try #require(AddressBlock("10.0.0.0/8"))])
        #expect(proxies.client(peer: "10.0.0.1", forwardedFor: header) == client)
        #expect(proxies.client(peer: "192.0.2.1", forwardedFor: header) == "192.0.2.1")
    }
}
