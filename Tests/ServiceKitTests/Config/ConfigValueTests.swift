import RPCTransport
import ServiceKit
import Testing
import TestSupport

@Suite struct ConfigValueTests {
    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("10s", .seconds(10)), ("15m", .seconds(900)), ("12h", .seconds(43_200)),
        ("30d", .seconds(2_592_000)), ("0s", .zero),
    ])
    func durationsReadAndWrite(text: String, duration: Duration) {
        #expect(Duration(raw: .text(text)) == duration)
        #expect(Duration(raw: .text(duration.configText)) == duration)
    }

    @Test(arguments: ["", "10", "s", "-1s", "1.5s", "1 s", "1w", "9223372036854775807d", "99999999999999999999s", "١s"])
    func otherTextIsNoDuration(text: String) {
        #expect(Duration(raw: .text(text)) == nil)
    }

    @Test(arguments: [
        ("127.0.0.1:7101", "127.0.0.1", 7101), ("[::1]:80", "::1", 80), ("auth.internal:0", "auth.internal", 0),
    ])
    func addressesReadAndWrite(text: String, host: String, port: Int) {
        #expect(ListenAddress(text) == ListenAddress(host: host, port: port))
        #expect(ListenAddress(host: host, port: port).configText == text)
    }

    @Test(arguments: ["", ":1", "host", "host:", "host:65536", "host:-1", "::1:80", "a b:1", "host:1/x"])
    func otherTextIsNoAddress(text: String) {
        #expect(ListenAddress(text) == nil)
    }

    @Test(arguments: [
        ("127.0.0.1:7101", PeerLocation.addresses([HostPort(host: "127.0.0.1", port: 7101)])),
        ("a:1,[::1]:2", .addresses([HostPort(host: "a", port: 1), HostPort(host: "::1", port: 2)])),
        ("dns:///auth.internal:7101", .dns(HostPort(host: "auth.internal", port: 7101))),
        ("file:///etc/auth.peers", .file("/etc/auth.peers")),
    ])
    func locationsReadAndWrite(text: String, location: PeerLocation) {
        #expect(PeerLocation(raw: .text(text)) == location)
        #expect(location.configText == text)
    }

    @Test func aLocationMayHaveSpacesBehindItsCommas() {
        #expect(PeerLocation("a:1, b:2")?.configText == "a:1,b:2")
    }

    @Test(arguments: [
        "", ",", "a:1,", "a:0", "a", "dns:///a", "dns://a:1", "dns:///a:1,b:2", "file://etc/x", "file:///", "http://a:1",
    ])
    func otherTextIsNoLocation(text: String) {
        #expect(PeerLocation(raw: .text(text)) == nil)
    }

    @Test(arguments: ["", "mysql://x", "postgres:x", "sqlite:", "sqlite"])
    func otherTextIsNoDatabase(text: String) {
        #expect(DatabaseURL(raw: .text(text)) == nil)
    }

    @Test func aDatabaseURLKeepsItsPasswordAndNamesTheSchema() throws {
        let url = try #require(DatabaseURL(raw: .text("postgres://u:geheim@h/x?sslmode=require")))
        #expect(!"\(url) \(url.configText)".contains("geheim"))
        #expect(url.resolved(in: "s", schema: "auth") == "postgres://u:geheim@h/x?sslmode=require&schema=auth")
        let own = try #require(DatabaseURL(raw: .text("postgres://h/x?schema=mine")))
        #expect(own.resolved(in: "s", schema: "auth") == "postgres://h/x?schema=mine")
        let bare = try #require(DatabaseURL(raw: .text("postgres://h/x")))
        #expect(bare.resolved(in: "s", schema: "auth") == "postgres://h/x?schema=auth")
    }

    @Test func oneURLServesEveryServiceThatHasNoneOfItsOwn() throws {
        func url(_ environment: [String: String]) throws -> String {
            try Configuration.load(Keys.table, environment: environment, file: nil).databaseURL(Keys.database)
        }
        let shared = ["LOCKSTEP_DATABASE_URL": "postgres://h/x"]
        #expect(try url(shared) == "postgres://h/x?schema=auth")
        let own = shared.merging(["LOCKSTEP_AUTH_DATABASE": "sqlite:/a"]) { $1 }
        #expect(try url(own) == "sqlite:/a")
        // One file or one schema for all would have them take each other's tables for their own.
        for one in ["sqlite:all.sqlite", "postgres://h/x?schema=mine"] {
            let refusal = #expect(throws: ConfigurationError.self) { try url(["LOCKSTEP_DATABASE_URL": one]) }
            #expect(refusal.map { "\($0)".contains("database.url") && "\($0)".contains("without `schema`") } == true)
            #expect(try url(["LOCKSTEP_DATABASE_URL": one, "LOCKSTEP_AUTH_DATABASE": "sqlite:/a"]) == "sqlite:/a")
        }
        let wrong = #expect(throws: ConfigurationError.self) { try url(["LOCKSTEP_DATABASE_URL": "pg://u:geheim@h/x"]) }
        #expect(wrong.map { "\($0)".contains("geheim") } == false)
    }

    @Test func theTableHasARowForEachKey() {
        let rows = Keys.table.markdown.split(separator: "\n")
        #expect(rows.count == Keys.table.entries.count + 2)
        #expect(rows.contains { $0.hasPrefix("| `auth.refresh_grace` | `10s` |") })
        #expect(rows.contains { $0.hasPrefix("| `auth.api_key` | secret |") })
        #expect(rows.contains { $0.hasPrefix("| `peers.token` | `127.0.0.1:7102` |") })
        let alone = ConfigTable(service: "encryption", keys: [], callsOut: false)
        #expect(!alone.markdown.contains("peers."))
    }

    @Test func aReadmeThatLacksAKeyOrHasAnotherDefaultIsFound() {
        let markdown = Keys.table.markdown
        #expect(ReadmeKeys.missing(readme: "# auth\n\n" + markdown, markdown: markdown) == [])
        let stale = markdown.replacing("`10s` | How long. |", with: "`20s` | How long. |")
        #expect(ReadmeKeys.missing(readme: stale, markdown: markdown) == ["`auth.refresh_grace` | `10s`"])
    }

    @Test(arguments: [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0)])
    func editDistance(a: String, b: String, distance: Int) {
        #expect(EditDistance.between(a, b) == distance)
    }
}
