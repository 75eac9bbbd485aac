import Foundation
import TestSupport
import Testing

/// Everything is killed, one after the other, while people use the system: what was acknowledged is there, and once.
@Suite(.serialized) struct DrillTests {
    private static let people = 3
    /// Acknowledged answers of each person between two kills.
    private static let steps = 3

    @Test(
        "ASVS 16.5.2: kill -9 of each process, and of each of PostgreSQL's, loses nothing that was acknowledged and doubles no session",
        arguments: [Engine.sqlite, .postgres])
    func everythingIsKilledOnce(engine: Engine) async throws {
        // Long enough for a restart on a slow machine: a lost answer is asked for again within it.
        var settings = ["LOCKSTEP_AUTH_REFRESH_GRACE": "1m"]
        let postgres = engine == .postgres ? try await PostgresServer() : nil
        if let postgres { settings["LOCKSTEP_DATABASE_URL"] = postgres.sharedURL }
        let system = try await RunningSystem.start(settings: settings)
        defer { system.stop() }
        let people = try await withThrowingTaskGroup(of: DrillPerson.self) { group in
            for _ in 0..<Self.people { group.addTask { try await DrillPerson(system) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for person in people { group.addTask { try await person.use() } }
            for service in RunningSystem.services {
                try await progress(of: people)
                let pid = try #require(try system.pid(of: service))
                kill(pid, SIGKILL)
            }
            if let postgres {
                try await progress(of: people)
                try await postgres.kill()
                // Who asks meanwhile is told so, and not kept waiting.
                let told: Bool? = try await eventually(within: .seconds(30)) {
                    try await system.signIn("nobody@example.com", password: "canary-plum-tram").status == 503 ? true : nil
                }
                #expect(told == true, "an outage of the database is no 503")
                try await postgres.start()
            }
            try await progress(of: people)
            for person in people { await person.stop() }
            try await group.waitForAll()
        }
        try await system.waitUntilReady()
        for person in people {
            let complaints = try await person.audit()
            #expect(complaints == [])
        }
        for secret in await people.asyncFlatMap({ await $0.secrets }) {
            #expect(!system.logText.contains(secret), "a log holds a secret")
        }
        print("drill on \(engine): \(await people.asyncFlatMap { [await $0.acknowledged] }) acknowledged answers")
    }

    /// Everybody has had some more answers.
    private func progress(of people: [DrillPerson]) async throws {
        for person in people {
            let before = await person.acknowledged
            let went: Bool? = try await eventually(within: .seconds(60)) {
                await person.acknowledged >= before + Self.steps ? true : nil
            }
            try #require(went == true, "nobody answers any more")
        }
    }
}

/// Somebody who remembers every acknowledged answer, and what may or may not have happened where there was none.
private actor DrillPerson {
    private struct Session {
        let id: String
        var refresh: String
        var isEnded = false
    }

    private let system: RunningSystem
    private let address: String
    /// Acknowledged, or perhaps the last of these: a change whose answer was lost.
    private var passwords: [String]
    /// When that answer was lost. The change may still be under way, and come after the old password was taken.
    private var lostChange = ContinuousClock.now
    /// Longer than any call is worked on.
    private static let longestCall: Duration = .seconds(30)
    private var sessions: [Session] = []
    /// Sign-ins without an answer: each may have made a session.
    private var unknownSignIns = 0
    /// Tokens that were good and no longer are.
    private(set) var secrets: [String] = []
    private(set) var acknowledged = 0
    private var complaints: [String] = []
    private var isStopped = false

    init(_ system: RunningSystem) async throws {
        let password = Self.freshPassword()
        self.system = system
        passwords = [password]
        address = try await system.account(password: password)
        secrets = [password]
    }

    private static func freshPassword() -> String { "canary-plum-tram-\(UInt64.random(in: 0 ... .max))" }

    func stop() { isStopped = true }

    func use() async throws {
        var turn = 0
        while !isStopped {
            try await signIn()
            try await refreshLast()
            if turn % 2 == 1 { try await endFirst() }
            if turn % 3 == 2 { try await changePassword() }
            turn += 1
        }
    }

    private func signIn() async throws {
        // The newest once more at the end: it may have become the password while the old one was tried.
        let tries = passwords.count > 1 ? passwords.reversed() + passwords.suffix(1) : passwords
        for password in tries {
            let answer = try await system.signIn(address, password: password)
            switch answer.status {
            case 201:
                acknowledged += 1
                // A change that came late after all has ended the sessions before it.
                if passwords.count > 1, password == passwords.last { try await noteEnded() }
                if password == passwords.last || lostChange.duration(to: .now) > Self.longestCall { passwords = [password] }
                let session = Session(id: answer["session_id"], refresh: answer["refresh_token"])
                secrets.append(session.refresh)
                sessions.append(session)
                return
            case 401 where tries.count > 1:
                continue
            case 401:
                complaints.append("an acknowledged password is refused: \(answer.body)")
                return
            default:
                unknownSignIns += 1
                return
            }
        }
        complaints.append("neither the old password nor the new one is taken")
    }

    /// Asks until there is an answer: a lost one is given again.
    private func refreshLast() async throws {
        guard let index = sessions.indices.last, !sessions[index].isEnded else { return }
        let token = sessions[index].refresh
        let answer = try await definite { try await self.system.refresh(token) }
        guard answer.status == 201 else {
            complaints.append("an acknowledged session is gone: \(answer.status) \(answer.body)")
            sessions[index].isEnded = true
            return
        }
        acknowledged += 1
        sessions[index].refresh = answer["refresh_token"]
        secrets.append(sessions[index].refresh)
    }

    private func endFirst() async throws {
        guard let index = sessions.firstIndex(where: { !$0.isEnded }), let last = sessions.last, !last.isEnded,
            last.id != sessions[index].id
        else { return }
        guard let access = try await access(of: sessions.count - 1) else { return }
        let path = "/v1/sessions/\(sessions[index].id)"
        let answer = try await definite { try await self.system.curl(path, "DELETE", token: access) }
        // Asked for again after a lost answer, it is not there any more.
        if answer.status != 204 && answer.status != 404 { complaints.append("a session does not end: \(answer.body)") }
        acknowledged += 1
        sessions[index].isEnded = true
    }

    private func changePassword() async throws {
        guard passwords.count == 1, let last = sessions.indices.last, !sessions[last].isEnded,
            let access = try await access(of: last)
        else { return }
        let fresh = Self.freshPassword()
        let answer = try await system.curl(
            "/v1/users/me/password", "PUT",
            json: #"{"current_password":"\#(passwords[0])","new_password":"\#(fresh)"}"#, token: access)
        secrets.append(fresh)
        if answer.status == 204 {
            acknowledged += 1
            passwords = [fresh]
            // It ends the other sessions.
            for index in sessions.indices where index != last { sessions[index].isEnded = true }
        } else if answer.status == 0 || answer.status >= 500 {
            passwords.append(fresh)
            lostChange = .now
            // The change may have ended the others, or not.
            try await noteEnded()
        } else {
            complaints.append("a password is not changed: \(answer.status) \(answer.body)")
        }
    }

    private func access(of index: Int) async throws -> String? {
        let token = sessions[index].refresh
        let answer = try await definite { try await self.system.refresh(token) }
        guard answer.status == 201 else {
            complaints.append("an acknowledged session is gone: \(answer.status) \(answer.body)")
            sessions[index].isEnded = true
            return nil
        }
        sessions[index].refresh = answer["refresh_token"]
        secrets += [answer["refresh_token"], answer["access_token"]]
        return answer["access_token"]
    }

    private func noteEnded() async throws {
        for index in sessions.indices where !sessions[index].isEnded {
            if try await isOver(index) { sessions[index].isEnded = true }
        }
    }

    private func isOver(_ index: Int) async throws -> Bool {
        let token = sessions[index].refresh
        let answer = try await definite { try await self.system.refresh(token) }
        if answer.status == 201 { sessions[index].refresh = answer["refresh_token"] }
        return answer.status != 201
    }

    /// The first answer that says whether it was done: not that nobody is there, or that somebody behind is not.
    private func definite(_ ask: @Sendable () async throws -> Answer) async throws -> Answer {
        let answer: Answer? = try await eventually(within: .seconds(45)) {
            let answer = try await ask()
            return answer.status == 0 || answer.status >= 500 ? nil : answer
        }
        return try #require(answer, "no answer in 45 s")
    }

    /// What is not as it was acknowledged.
    func audit() async throws -> [String] {
        try await signIn()
        guard let last = sessions.indices.last else { return complaints + ["no session at all"] }
        let known = Set(sessions.filter { !$0.isEnded }.map(\.id))
        guard let access = try await access(of: last) else { return complaints }
        let listed = try await system.curl("/v1/sessions", token: access)
        let ids = listed.body.matches(of: /"session_id":"([^"]+)"/).map { String($0.1) }
        if Set(ids).count != ids.count { complaints.append("a session is there twice") }
        let missing = known.subtracting(ids)
        if !missing.isEmpty { complaints.append("\(missing.count) of \(known.count) sessions are not listed") }
        let ended = Set(sessions.filter(\.isEnded).map(\.id)).intersection(ids)
        if !ended.isEmpty { complaints.append("\(ended.count) ended sessions are back") }
        let strange = Set(ids).subtracting(sessions.map(\.id))
        if strange.count > unknownSignIns {
            complaints.append("\(strange.count) sessions that nobody asked for; \(unknownSignIns) sign-ins had no answer")
        }
        for index in sessions.indices {
            let isOver = try await isOver(index)
            if isOver != sessions[index].isEnded { complaints.append("session \(index) of \(sessions.count): over is \(isOver)") }
        }
        return complaints
    }
}

extension RunningSystem {
    fileprivate func refresh(_ token: String) async throws -> Answer {
        try await curl("/v1/tokens", "POST", json: #"{"refresh_token":"\#(token)"}"#)
    }
}

extension Array where Element: Sendable {
    fileprivate func asyncFlatMap<Result>(_ transform: (Element) async -> [Result]) async -> [Result] {
        var all: [Result] = []
        for element in self { all += await transform(element) }
        return all
    }
}
