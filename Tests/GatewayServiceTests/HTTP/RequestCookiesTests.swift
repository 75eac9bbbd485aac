import Contracts
import RPCCore
import Testing

@testable import GatewayService

@Suite struct RequestCookiesTests {
    let field = FieldDescriptor(
        name: "flow", number: 1, kind: .string, dataClass: .secret, maxLength: 8, format: .identifier,
        cookie: CookieRule(name: "__Host-flow"))

    func value(_ headers: String...) -> String? { RequestCookies(headers: headers).value(for: field) }

    @Test func theCookieOfThatNameIsFound() {
        #expect(value("__Host-flow=abc") == "abc")
        #expect(value("a=1; __Host-flow=abc; b=2") == "abc")
        #expect(value("a=1;__Host-flow=abc;b") == "abc")
        #expect(value("a=1", "__Host-flow=abc") == "abc")
    }

    @Test func whatIsNotItIsNot() {
        #expect(value() == nil)
        #expect(value("") == nil)
        #expect(value("__Host-flow") == nil)
        #expect(value("__Host-flow=") == nil)
        #expect(value("__host-flow=abc") == nil)
        #expect(value("x__Host-flow=abc") == nil)
        #expect(value("x=__Host-flow=abc") == nil)
        #expect(value("__Host-flow =abc") == nil)
    }

    @Test func whatTheFieldCannotHoldDidNotCome() {
        #expect(value("__Host-flow=123456789") == nil)
        #expect(value("__Host-flow=a b") == nil)
        #expect(value(#"__Host-flow="abc""#) == nil)
        #expect(value("__Host-flow=a%41") == nil)
    }

    @Test func ofTwoNoneIsMeant() {
        #expect(value("__Host-flow=a; __Host-flow=b") == nil)
        #expect(value("__Host-flow=a", "__Host-flow=a") == nil)
    }

    @Test func otherFieldsComeFromNoCookie() {
        let plain = FieldDescriptor(name: "__Host-flow", number: 1, kind: .string)
        #expect(RequestCookies(headers: ["__Host-flow=abc"]).value(for: plain) == nil)
    }
}
