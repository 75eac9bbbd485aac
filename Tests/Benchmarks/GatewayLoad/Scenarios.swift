/// Measures one action, from now or from when it was due.
func measure(
    _ label: String, since start: ContinuousClock.Instant = .now, into samples: Samples, _ action: () async throws -> Void
) async {
    do {
        try await action()
        samples.add(label, start.duration(to: .now))
    } catch {
        // A storm that is called off is no failure.
        guard !Task.isCancelled else { return }
        samples.fail(label, (error as? Refusal)?.description ?? String(describing: type(of: error)))
    }
}

/// Reads and refreshes of a few users: alone, then while others sign in without pause.
struct StormScenario {
    let api: API
    let hashers: Int
    let calls: Int

    func run(_ people: [Person]) async throws {
        guard let watcher = people.first else { return }
        print("\nGET /v1/users/me and POST /v1/tokens, one after the other, quiet:")
        await reads(watcher).report()
        print("\nthe same while \(hashers) logins hash:")
        let storm = Samples()
        let samples = await withTaskGroup(of: Void.self) { group in
            for index in 0..<hashers {
                let person = people[(index + 1) % people.count]
                group.addTask {
                    while !Task.isCancelled {
                        await measure("POST /v1/sessions (the storm)", into: storm) { try await person.login(api) }
                    }
                }
            }
            let samples = await reads(watcher)
            group.cancelAll()
            return samples
        }
        samples.report()
        storm.report()
    }

    private func reads(_ person: Person) async -> Samples {
        let samples = Samples()
        for _ in 0..<calls {
            await measure("GET /v1/users/me", into: samples) {
                try await api.send("GET", "/v1/users/me", token: person.access)
            }
            await measure("POST /v1/tokens", into: samples) { try await person.refresh(api) }
        }
        return samples
    }
}

/// Everybody at once, each doing what users do, with pauses; few of them sign in at a time.
struct MixedScenario {
    let api: API
    let seconds: Int
    let loginsPerSecond: Int
    let pause: Duration
    let seed: UInt64

    func run(_ people: [Person]) async throws {
        print("\n\(people.count) users at once for \(seconds) s, at most \(loginsPerSecond) logins/s:")
        let samples = Samples()
        let end = ContinuousClock.now + .seconds(seconds)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await logins(people, samples, until: end) }
            for (index, person) in people.enumerated() {
                group.addTask { await use(person, samples, until: end, seed: seed &+ UInt64(index)) }
            }
        }
        samples.report()
    }

    /// Starts a login each so often, whether or not the one before has ended.
    private func logins(_ people: [Person], _ samples: Samples, until end: ContinuousClock.Instant) async {
        guard loginsPerSecond > 0 else { return }
        await withTaskGroup(of: Void.self) { group in
            for person in sequence(state: 0, next: { index in
                defer { index += 1 }
                return people[index % people.count]
            }) {
                guard ContinuousClock.now < end else { return }
                group.addTask { await measure("POST /v1/sessions", into: samples) { try await person.login(api) } }
                try? await Task.sleep(for: .seconds(1) / loginsPerSecond)
            }
        }
    }

    private func use(_ person: Person, _ samples: Samples, until end: ContinuousClock.Instant, seed: UInt64) async {
        var random = SplitMix(state: seed)
        while ContinuousClock.now < end {
            try? await Task.sleep(for: pause * Double.random(in: 0.5...1.5, using: &random))
            await act(person, samples, choice: Int.random(in: 0..<10, using: &random))
        }
    }

    private func act(_ person: Person, _ samples: Samples, choice: Int) async {
        if choice == 0 {
            return await measure("POST /v1/tokens", into: samples) { try await person.refresh(api) }
        }
        let path = ["/v1/users/me", "/v1/users/me", "/v1/sessions", "/v1/providers", "/v1/connections"][choice % 5]
        await measure("GET \(path)", into: samples) { try await api.send("GET", path, token: person.access) }
    }
}

/// A small generator that a seed repeats (SplitMix64).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
