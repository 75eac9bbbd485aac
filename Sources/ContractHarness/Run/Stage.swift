import Foundation
import Synchronization

/// A server that listens, and how to give it commands.
struct RunningServer: Sendable {
    let link: any PeerLink
    let ready: ConformanceServerReady
}

/// What the cases of one role play on: the implementation under test and the reference at the other end.
final class Stage: Sendable {
    let role: ContractRole
    let authority: HarnessAuthority
    let client: any PeerLink
    /// Whose certificate the raw peer shows.
    let caller: String
    /// What cases may call where they do not care: a method's id and an empty request for it.
    let variables: [String: JSONValue]
    private let makeServer: @Sendable () throws -> any PeerLink
    private let servers = Mutex<[String: Task<RunningServer, any Error>]>([:])
    private let fixed: RunningServer?

    /// - Parameters:
    ///   - client: The client under test, or the reference.
    ///   - makeServer: Starts a server under test, or the reference, for one set of limits.
    init(
        role: ContractRole, authority: HarnessAuthority, client: any PeerLink,
        makeServer: @escaping @Sendable () throws -> any PeerLink
    ) {
        self.role = role
        self.authority = authority
        self.client = client
        self.makeServer = makeServer
        caller = "operator"
        variables = ["method": .int(Int(ConformanceServiceContract.unary.id))]
        fixed = nil
    }

    /// A service that runs already.
    init(fixed: RunningServer, authority: HarnessAuthority, method: UInt32) {
        role = .server
        self.authority = authority
        self.fixed = fixed
        client = LocalPeer()
        makeServer = { throw CaseError("this service runs already") }
        caller = "operator"
        variables = ["method": .int(Int(method))]
    }

    /// The server for a case: shared by all cases with the same limits, but not with those that want one alone.
    func server(_ testCase: ContractCase) async throws -> RunningServer {
        if let fixed { return fixed }
        let key = testCase.isAlone ? "alone: \(testCase.name)" : testCase.server.text
        let task = servers.withLock { servers in
            if let known = servers[key] { return known }
            let task = Task { try await start(testCase) }
            servers[key] = task
            return task
        }
        return try await task.value
    }

    /// Whose files a case replaces that runs alone.
    func owner(_ testCase: ContractCase) -> String { "\(role.rawValue)-\(testCase.name)" }

    private func start(_ testCase: ContractCase) async throws -> RunningServer {
        var start = try ConformanceStartServer(json: testCase.server)
        start.credentials =
            testCase.rotates && role == .server
            ? try authority.ownCredentials("conformance", of: owner(testCase))
            : try authority.credentials("conformance")
        let link = try makeServer()
        do {
            guard case .serverReady(let ready) = try await link.send(.startServer(start)) else {
                throw StepFailure("the peer answers `start_server` with something else")
            }
            return RunningServer(link: link, ready: ready)
        } catch {
            await link.end()
            throw error
        }
    }

    /// Ends the server that a case had alone, or one that has ended by itself.
    func release(_ testCase: ContractCase) async {
        guard testCase.isAlone else { return }
        let task = servers.withLock { $0.removeValue(forKey: "alone: \(testCase.name)") }
        if let server = try? await task?.value { await server.link.end() }
    }

    /// What the peer says of itself.
    func describe() async throws -> ConformanceDescription {
        if role == .client { return try await client.describe() }
        let link = try makeServer()
        do {
            let description = try await link.describe()
            await link.end()
            return description
        } catch {
            await link.end()
            throw error
        }
    }

    func end() async {
        for task in servers.withLock({ Array($0.values) }) {
            if let server = try? await task.value { await server.link.end() }
        }
        await client.end()
    }
}
