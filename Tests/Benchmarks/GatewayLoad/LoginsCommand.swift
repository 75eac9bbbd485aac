import ArgumentParser
import Synchronization

/// Some who sign in, each again as soon as it is answered, and somebody who asks for something small each so often.
///
/// The small request is counted from when it was due, whatever became of those before it. Prints one line of JSON.
struct LoginsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logins", abstract: "Sign-ins without pause, and what a small request waits beside them.")

    @OptionGroup var place: PlaceOptions
    @OptionGroup var accounts: AccountOptions
    @Option(help: "The path that signs in.") var path = "/v1/sessions"
    @Option(help: "The path of the small request.") var probe = "/healthz"
    @Option(help: "Sign-ins at once; 0 for the small request alone.") var concurrent = 32
    @Option(help: "Small requests in a second.") var rate = 20
    @Option(help: "Seconds in which requests begin.") var seconds = 15

    func run() async throws {
        try await place.withAPI { api in
            let (logins, probes) = (Samples(), Samples())
            // Connections are there before it counts, one for each who signs in and some for who asks: a browser has one already.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<concurrent + 4 { group.addTask { try await api.send("GET", probe) } }
                try await group.waitForAll()
            }
            let start = ContinuousClock.now
            let end = start.advanced(by: .seconds(seconds))
            await withTaskGroup(of: Void.self) { group in
                for index in 0..<concurrent { group.addTask { await signIn(api, index, logins, until: end) } }
                group.addTask { await ask(api, probes, until: end) }
            }
            let took = start.duration(to: .now) / .seconds(1)
            let (login, wait) = (logins.summary(of: "login"), probes.summary(of: "probe"))
            let samplesRefused = logins.summary(of: "refused").count
            let values: [(String, Double)] = [
                ("logins", Double(login.count)), ("seconds", took), ("rate", Double(login.count) / took),
                ("login_p50_ms", login.p50), ("login_p99_ms", login.p99), ("probes", Double(wait.count)),
                ("probe_p50_ms", wait.p50), ("probe_p99_ms", wait.p99), ("probe_max_ms", wait.max),
                ("failed", Double(login.failed + wait.failed)), ("refused", Double(samplesRefused)),
            ]
            print("{" + values.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}")
        }
    }

    /// Whoever is told to come back later does: as browsers and people do, and no storm of refusals is measured.
    private func signIn(_ api: API, _ index: Int, _ samples: Samples, until end: ContinuousClock.Instant) async {
        let fields = ["email": accounts.address(index), "password": accounts.password]
        while ContinuousClock.now < end {
            let start = ContinuousClock.now
            do {
                try await api.send("POST", path, fields)
                samples.add("login", start.duration(to: .now))
            } catch {
                let refusal = error as? Refusal
                guard let pause = refusal?.retryAfter else { return samples.fail("login", refusal?.description ?? "\(type(of: error))") }
                samples.add("refused", start.duration(to: .now))
                // Whoever would come back too late goes now: what is counted ends with the last answer, not with a pause.
                guard ContinuousClock.now.advanced(by: .seconds(pause)) < end else { return }
                try? await Task.sleep(for: .seconds(pause))
            }
        }
    }

    private func ask(_ api: API, _ samples: Samples, until end: ContinuousClock.Instant) async {
        await withTaskGroup(of: Void.self) { group in
            var due = ContinuousClock.now
            while due < end {
                await api.pause(until: due)
                let since = due
                group.addTask { await measure("probe", since: since, into: samples) { try await api.send("GET", probe) } }
                due = due.advanced(by: .seconds(1) / rate)
            }
        }
    }
}

/// Some who refresh, each again as soon as it is answered. Prints one line of JSON.
struct RefreshesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "refreshes", abstract: "Refreshes without pause.")

    @OptionGroup var place: PlaceOptions
    @OptionGroup var accounts: AccountOptions
    @Option(help: "Sessions that refresh at once.") var concurrent = 32
    @Option(help: "Seconds in which requests begin.") var seconds = 10

    func run() async throws {
        try await place.withAPI { api in
            let people = try await withThrowingTaskGroup(of: Person.self) { group in
                for index in 0..<concurrent {
                    group.addTask { try await patiently { try await Person(accounts.address(index), accounts.password, api) } }
                }
                return try await group.reduce(into: [Person]()) { $0.append($1) }
            }
            let samples = Samples()
            let start = ContinuousClock.now
            let end = start.advanced(by: .seconds(seconds))
            await withTaskGroup(of: Void.self) { group in
                for person in people {
                    group.addTask {
                        while ContinuousClock.now < end { await measure("refresh", into: samples) { try await person.refresh(api) } }
                    }
                }
            }
            let took = start.duration(to: .now) / .seconds(1)
            let refresh = samples.summary(of: "refresh")
            let values: [(String, Double)] = [
                ("rate", Double(refresh.count) / took), ("p50_ms", refresh.p50), ("p99_ms", refresh.p99),
                ("failed", Double(refresh.failed)),
            ]
            print("{" + values.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}")
        }
    }
}
