import Dispatch
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import EncryptionService

/// The connection is lost while a commit is under way: whether it took place is found out, and nothing is lost or done twice.
@Suite struct LostAnswerTests {
    /// A keyring on PostgreSQL, and a store whose way there the test cuts.
    private func made() async throws -> (parts: SharedParts, gate: Gate, store: SQLKeyringStore, keyring: Keyring) {
        let server = try await PostgresServer.shared
        let parts = try await SharedParts(url: server.freshURL())
        try parts.open("a", create: true).stop()
        let gate = try Gate(to: "\(server.folder)/.s.PGSQL.\(server.port)", in: parts.directory.path("gate"))
        let way = parts.url.replacing("host=\(server.folder)&port=\(server.port)", with: "host=\(gate.folder)&port=1")
        try #require(way != parts.url)
        let store = try parts.store(url: way)
        return (parts, gate, store, try #require(try store.load(otherThan: .max)))
    }

    private func changed(_ keyring: Keyring, _ state: KeyState = .disabled) throws -> (Keyring, [AuditRecord.Line]) {
        let records = try AuditRecord.lines(
            [AuditEntry(action: "DISABLE", key: "token-vault", actor: "operator")], after: keyring.audit, time: 1)
        return (keyring.changed(audit: records.last?.record.head) { $0["token-vault"]?.state = state }, records)
    }

    @Test func aCommitThatTookPlaceIsFound() async throws {
        let (parts, gate, store, keyring) = try await made()
        let (next, records) = try changed(keyring)
        gate.arm(.afterCommit)
        try store.save(next, records: records)
        #expect(gate.cuts == 1)
        #expect(try parts.store().load(otherThan: .max)?["token-vault"]?.state == .disabled)
        // What comes next goes on from there, and it is told of once.
        let (after, more) = try changed(next, .enabled)
        try store.save(after, records: more)
        #expect(try parts.auditLog().count { $0.contains("DISABLE") } == 2)
        store.release()
    }

    @Test func aCommitThatDidNotTakePlaceIsMadeAgain() async throws {
        let (parts, gate, store, keyring) = try await made()
        let (next, records) = try changed(keyring)
        gate.arm(.beforeCommit)
        #expect(throws: KeyringProblem.unreachable(reason: "a change was not made, since the connection was lost")) {
            try store.save(next, records: records)
        }
        #expect(gate.cuts == 1)
        #expect(try parts.store().load(otherThan: .max)?.generation == keyring.generation)
        try store.save(next, records: records)
        #expect(try parts.store().load(otherThan: .max)?["token-vault"]?.state == .disabled)
        store.release()
    }

    /// Another process was quicker meanwhile: its change is not taken for this one's.
    @Test func anothersChangeIsNotTakenForIt() async throws {
        let (parts, gate, store, keyring) = try await made()
        let other = try parts.store()
        _ = try other.load(otherThan: .max)
        let (next, records) = try changed(keyring)
        let (theirs, told) = try changed(keyring, .pendingDestruction(at: 1))
        gate.arm(.beforeCommit) {
            // The transaction that holds the row ends with its connection; this one waits for that.
            try? other.save(theirs, records: told)
        }
        #expect(throws: KeyringProblem.superseded) { try store.save(next, records: records) }
        #expect(gate.cuts == 1)
        #expect(try parts.store().load(otherThan: .max)?["token-vault"]?.state == .pendingDestruction(at: 1))
        for each in [store, other] { each.release() }
    }
}

/// Stands between a client and PostgreSQL's socket, and cuts a connection at a COMMIT.
private final class Gate: Sendable {
    enum Cut: Sendable {
        /// The server never sees it.
        case beforeCommit
        /// The client never sees the answer.
        case afterCommit
    }

    /// What a URL names as host; the port is 1.
    let folder: String
    private let target: String
    private let listener: CInt
    private let armed = Mutex<(cut: Cut, then: @Sendable () -> Void)?>(nil)
    private let count = Atomic(0)

    init(to target: String, in folder: String) throws {
        self.folder = folder
        self.target = target
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        listener = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        let isListening = Self.with(folder + "/.s.PGSQL.1") { bind(listener, $0, $1) == 0 } && listen(listener, 8) == 0
        guard isListening else { throw CocoaError(.fileWriteUnknown) }
        Thread { [self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                let server = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
                guard Self.with(target, { connect(server, $0, $1) == 0 }) else { return }
                Thread { [self] in pump(client, server) }.start()
            }
        }.start()
    }

    var cuts: Int { count.load(ordering: .sequentiallyConsistent) }

    /// - Parameter then: Called when the server's side is closed and the client's is not yet.
    func arm(_ cut: Cut, then: @escaping @Sendable () -> Void = {}) { armed.withLock { $0 = (cut, then) } }

    /// Until one side ends, or it is cut.
    private func pump(_ client: CInt, _ server: CInt) {
        defer { for each in [client, server] { close(each) } }
        var room = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            var sides = [pollfd(fd: client, events: Int16(POLLIN), revents: 0), pollfd(fd: server, events: Int16(POLLIN), revents: 0)]
            guard poll(&sides, 2, -1) > 0 else { return }
            for (side, other) in [(0, server), (1, client)] where sides[side].revents != 0 {
                let found = read(sides[side].fd, &room, room.count)
                guard found > 0 else { return }
                // With its end: BEGIN says READ COMMITTED.
                let isCommit = side == 0 && Data(room[..<found]).firstRange(of: Data("COMMIT\0".utf8)) != nil
                let cut = isCommit ? armed.withLock { $0.take() } : nil
                if cut?.cut != .beforeCommit { guard write(other, room, found) == found else { return } }
                guard let cut else { continue }
                // All of the answer, so that it has taken place.
                if cut.cut == .afterCommit { _ = read(server, &room, room.count) }
                count.add(1, ordering: .sequentiallyConsistent)
                shutdown(server, CInt(SHUT_RDWR))
                cut.then()
                return
            }
        }
    }

    private static func with(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Bool) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }
}
