import ArgumentParser
import Foundation

/// How long answers about addresses of each kind take, one after the other: what an attacker would measure.
///
/// The accounts are there: `known-N`, `pending-N`, whose address nobody has confirmed, `imported-N`, whose hash is of fewer
/// rounds than today's, and `locked-N`, whose guesses are used up. The gateway must trust this machine as a proxy: each sample
/// comes from an address of its own, so that no address meets its limit. Prints one line of JSON: milliseconds, by route and kind.
struct AnswersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "answers", abstract: "How long answers about known, unknown, imported, locked and unconfirmed addresses take.")

    private static let kinds = ["known", "unknown", "imported", "locked", "pending"]

    @OptionGroup var place: PlaceOptions
    @Option(help: "Samples of each kind on each route.") var samples = 1000
    @Option(help: "Accounts whose guesses are used up, asked about in turns.") var locked = 4
    @Option(help: "login, register or reset; all of them without.") var routes: [String] = ["login", "register", "reset"]
    @Option(help: "Seed of the order.") var seed = UInt64.random(in: 0 ... .max)

    func run() async throws {
        try await place.withAPI { api in
            var random = SplitMix(state: seed)
            var waits: [String: [String: [Double]]] = [:]
            for index in 0..<samples {
                for route in routes.shuffled(using: &random) {
                    for kind in Self.kinds.shuffled(using: &random) {
                        let wait = try await ask(api, route, kind, index)
                        waits[route, default: [:]][kind, default: []].append(wait)
                    }
                }
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            print(String(decoding: try encoder.encode(waits), as: UTF8.self))
        }
    }

    /// Milliseconds until the answer, whatever it says.
    private func ask(_ api: API, _ route: String, _ kind: String, _ index: Int) async throws -> Double {
        let number = kind == "locked" ? index % locked : index
        let routeNumber = routes.firstIndex(of: route) ?? 0
        // Those that a route makes known are not asked about on another.
        let name = kind == "unknown" ? "\(kind)-\(route)" : kind
        let email = "\(name)-\(number)@example.org"
        let (path, fields) =
            switch route {
            case "login": ("/v1/sessions", ["email": email, "password": "wrong-plum-tram-lantern"])
            case "register": ("/v1/users", ["email": email, "password": "plum-tram-lantern-nine"])
            default: ("/v1/password-reset-requests", ["email": email])
            }
        let from = "10.\(routeNumber * Self.kinds.count + (Self.kinds.firstIndex(of: kind) ?? 0)).\(index / 250).\(index % 250 + 1)"
        let start = ContinuousClock.now
        do {
            try await api.send("POST", path, from: from, fields)
        } catch let refusal as Refusal where route == "login" && refusal.status == 401 {
            // A wrong password's answer is what this measures.
        }
        return start.duration(to: .now) / .milliseconds(1)
    }
}
