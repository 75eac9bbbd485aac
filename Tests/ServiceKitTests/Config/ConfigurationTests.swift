import Foundation
import ServiceKit
import Testing
import TestSupport

enum Sink: String, CaseIterable, ConfigValue {
    case file
    case smtp
}

enum Keys {
    static let grace = ConfigKey(
        "auth.refresh_grace", default: Duration.seconds(10), in: .zero ... .seconds(60), doc: "How long.")
    static let rounds = ConfigKey("auth.rounds", default: 12, in: 10...16, doc: "How many.")
    static let sink = ConfigKey("auth.sink", default: Sink.file, doc: "Where to.")
    static let flag = ConfigKey("auth.strict", default: true, doc: "Whether.")
    static let names = ConfigKey("auth.names", default: ["a"], doc: "Which.")
    static let database = ConfigKey(
        "auth.database", default: DatabaseURL.sqlite("auth.sqlite"), fallback: ConfigKey.sharedDatabase, doc: "Data.")
    static let secret = ConfigKey("auth.api_key", default: Redacted(""), doc: "A secret.")
    static let even = ConfigKey("auth.even", default: 2, allowed: "an even number", doc: "Even.") { $0 % 2 == 0 }
    static let table = ConfigTable(
        service: "auth", keys: [grace, rounds, sink, flag, names, database, secret, even])
}

@Suite struct ConfigurationTests {
    func load(_ environment: [String: String] = [:], _ file: String? = nil) throws(ConfigurationError) -> Configuration {
        try Configuration.load(Keys.table, environment: environment, file: file)
    }

    /// The lines that a wrong configuration gives.
    func problems(_ environment: [String: String] = [:], _ file: String? = nil) -> [String] {
        do {
            _ = try load(environment, file)
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    @Test func defaultsCountWhenNothingIsSaid() throws {
        let configuration = try load()
        #expect(try configuration[Keys.grace] == .seconds(10))
        #expect(try configuration[Keys.sink] == .file)
        #expect(try configuration[Keys.names] == ["a"])
        #expect(try configuration.listen == ListenAddress(host: "127.0.0.1", port: 7101))
        #expect(configuration.state == ".lockstep")
    }

    @Test func environmentIsOverFileIsOverDefault() throws {
        let file = #"{"auth": {"rounds": 11, "refresh_grace": "1m", "strict": false, "names": ["x", "y"]}}"#
        let configuration = try load(["LOCKSTEP_AUTH_ROUNDS": "13", "LOCKSTEP_AUTH_SINK": "smtp"], file)
        #expect(try configuration[Keys.rounds] == 13)
        #expect(try configuration[Keys.grace] == .seconds(60))
        #expect(try configuration[Keys.flag] == false)
        #expect(try configuration[Keys.names] == ["x", "y"])
        #expect(try configuration[Keys.sink] == .smtp)
        #expect(try load(["LOCKSTEP_AUTH_NAMES": "p,q"])[Keys.names] == ["p", "q"])
    }

    @Test(arguments: [
        (
            ["LOCKSTEP_AUTH_REFRESH_GRACE": "10x"], nil,
            #"auth.refresh_grace is "10x" (environment variable LOCKSTEP_AUTH_REFRESH_GRACE); allowed: a duration such as 500ms, 10s, 15m, 12h or 30d, from 0s to 1m"#
        ),
        (
            ["LOCKSTEP_AUTH_REFRESH_GRACE": "2m"], nil,
            #"auth.refresh_grace is "2m" (environment variable LOCKSTEP_AUTH_REFRESH_GRACE); allowed: a duration such as 500ms, 10s, 15m, 12h or 30d, from 0s to 1m"#
        ),
        (
            [:], #"{"auth": {"rounds": 9}}"#,
            #"auth.rounds is "9" (.lockstep/config.json); allowed: a whole number, from 10 to 16"#
        ),
        (
            [:], #"{"auth": {"rounds": "12"}}"#,
            #"auth.rounds is "12" (.lockstep/config.json); allowed: a whole number, from 10 to 16"#
        ),
        (
            ["LOCKSTEP_AUTH_SINK": "ftp"], nil,
            #"auth.sink is "ftp" (environment variable LOCKSTEP_AUTH_SINK); allowed: one of `file`, `smtp`"#
        ),
        (
            ["LOCKSTEP_AUTH_EVEN": "3"], nil,
            #"auth.even is "3" (environment variable LOCKSTEP_AUTH_EVEN); allowed: an even number"#
        ),
        (
            ["LOCKSTEP_LOG_LEVEL": "loud"], nil,
            #"log.level is "loud" (environment variable LOCKSTEP_LOG_LEVEL); allowed: one of `trace`, `debug`, `info`, `notice`, `warning`, `error`, `critical`"#
        ),
        (
            [:], #"{"auth": {"refresh_grase": "1s"}}"#,
            "auth.refresh_grase is not a key (.lockstep/config.json); did you mean auth.refresh_grace?"
        ),
        (
            [:], #"{"peers": {"encrypton": "127.0.0.1:1"}}"#,
            "peers.encrypton is not a key (.lockstep/config.json); did you mean peers.encryption?"
        ),
        (
            [:], #"{"atuh": {"rounds": 12}}"#,
            "atuh.rounds is not a key (.lockstep/config.json); did you mean auth.rounds?"
        ),
        (
            ["LOCKSTEP_AUTH_ROUND": "12"], nil,
            "LOCKSTEP_AUTH_ROUND is not a key (environment variable LOCKSTEP_AUTH_ROUND); did you mean LOCKSTEP_AUTH_ROUNDS?"
        ),
        ([:], "[]", ".lockstep/config.json is not a JSON object"),
        ([:], "{\"auth\": {\"rounds\": 12},\n}", ".lockstep/config.json is not JSON: line 2 has a bracket after a comma"),
        (
            [:], "{\"auth.rounds\": 12,\n \"auth.rounds\": 13}",
            #".lockstep/config.json is not JSON: line 2 has "auth.rounds" a second time"#
        ),
        (
            [:], #"{"auth.rounds": 12, "auth.r\u006funds": 13}"#,
            ".lockstep/config.json is not JSON: line 1 has a name with an escape"
        ),
        ([:], #"{"auth.rounds": 12, "auth": {"rounds": 13}}"#, ".lockstep/config.json sets auth.rounds twice"),
        (
            ["LOCKSTEP_AUTH_LISTEN": "localhost"], nil,
            #"auth.listen is "localhost" (environment variable LOCKSTEP_AUTH_LISTEN); allowed: an address such as 127.0.0.1:7101"#
        ),
    ] as [([String: String], String?, String)])
    func aWrongValueNamesItself(environment: [String: String], file: String?, expected: String) {
        #expect(problems(environment, file) == [expected])
    }

    @Test func everythingWrongIsToldAtOnce() {
        #expect(problems(["LOCKSTEP_AUTH_ROUNDS": "1", "LOCKSTEP_AUTH_SINK": "x"], #"{"auth": {"nope": 1}}"#).count == 3)
    }

    @Test func brokenJSONNamesTheFile() {
        let lines = problems([:], "{\"auth\": ")
        #expect(lines.count == 1 && lines[0].hasPrefix(".lockstep/config.json is not JSON"))
    }

    /// Names, commas and brackets within texts are no JSON of the file's own; nor is a name of another object.
    @Test func whatIsStrictIsTaken() {
        let file = #"{"operator": {"x": "a, } \" ]", "y": ["a", "a"], "z": {"x": 1, "n": {"x": 2}}}, "email": {"x": "x"}}"#
        #expect(problems([:], file) == [])
    }

    @Test func otherServicesKeysAreTheirs() throws {
        let file = #"{"gateway": {"rate_limits": "off"}, "email": {"whatever": 1}, "operator": {"x": 1}}"#
        #expect(problems([:], file) == [])
    }

    @Test func aSecretIsNeverShown() throws {
        let configuration = try load(["LOCKSTEP_AUTH_API_KEY": "planted"])
        #expect(try configuration[Keys.secret].exposed == "planted")
        #expect(!"\(configuration)".contains("planted"))
        let wrong = problems([:], #"{"auth": {"api_key": ["planted"]}}"#)
        #expect(wrong == ["auth.api_key is not usable (.lockstep/config.json); allowed: text"])
        #expect(!Keys.table.markdown.contains("planted"))
    }

    @Test func relativePathsBeginInTheStateDirectory() throws {
        let configuration = try load(["LOCKSTEP_STATE": "/srv/lockstep"])
        #expect(try configuration.databaseURL(Keys.database) == "sqlite:/srv/lockstep/auth.sqlite")
        #expect(try configuration.path(SharedKeys.authority) == "/srv/lockstep/ca.pem")
        #expect(StatePath("/etc/ca.pem").path(in: "/srv") == "/etc/ca.pem")
    }

    @Test func aKeyOutsideTheTableIsAnError() throws {
        let other = ConfigKey("auth.other", default: 1, doc: "Not in the table.")
        let configuration = try load()
        #expect(throws: ConfigProblem.undeclared(key: "auth.other")) { try configuration[other] }
    }

    @Test func theFileIsTheOneThatTheEnvironmentNames() throws {
        let directory = try TemporaryDirectory()
        try #"{"auth": {"rounds": 14}}"#.write(toFile: directory.path("config.json"), atomically: true, encoding: .utf8)
        let byState = try Configuration.load(Keys.table, environment: ["LOCKSTEP_STATE": directory.url.path])
        #expect(try byState[Keys.rounds] == 14)
        let byName = try Configuration.load(Keys.table, environment: ["LOCKSTEP_CONFIG": directory.path("config.json")])
        #expect(try byName[Keys.rounds] == 14)
        #expect(throws: ConfigurationError.self) {
            try Configuration.load(Keys.table, environment: ["LOCKSTEP_CONFIG": directory.path("missing.json")])
        }
        let none = try Configuration.load(Keys.table, environment: ["LOCKSTEP_STATE": directory.path("nothing")])
        #expect(try none[Keys.rounds] == 12)
    }
}
