import Contracts
import ContractClients
import EmailService
import LibCrypto
import Logging
import RPCCore
import RPCInProcess
import SQL
import Synchronization
import TestSupport
import Testing

/// The service as its executable assembles it, with time, key and sink in the test's hands.
struct Fixture {
    let directory: TemporaryDirectory
    let clock = TestClock()
    let bell = Bell()
    let sealer = TestSealer()
    let sink: TestSink
    let database: Database
    let store: OutboxStore
    let client: EmailServiceClient

    init(sink: TestSink? = nil) async throws {
        directory = try TemporaryDirectory()
        self.sink = sink ?? TestSink(FileSink(directory: directory.path("outbox")))
        database = try await Database.open(url: Engine.current.freshURL(directory.path("email.sqlite")))
        store = OutboxStore(database: database)
        try await store.prepare()
        client = try Self.client(store, sealer, clock, bell, peer: "auth")
    }

    static func client(
        _ store: OutboxStore, _ sealer: TestSealer, _ clock: TestClock, _ bell: Bell, peer: String
    ) throws -> EmailServiceClient {
        let outbox = Outbox(store: store, sealer: sealer, clock: clock, bell: bell)
        return EmailServiceClient(try InProcessChannel(async: [EmailHandler(outbox: outbox)], peer: peer))
    }

    func client(as peer: String) throws -> EmailServiceClient {
        try Self.client(store, sealer, clock, bell, peer: peer)
    }

    func worker(_ change: (inout OutboxWorker.Settings) -> Void = { _ in }) throws -> OutboxWorker {
        var settings = OutboxWorker.Settings()
        change(&settings)
        return OutboxWorker(
            store: store, sealer: sealer, renderer: try MailRenderer(linkBase: "https://127.0.0.1:8443"), sink: sink,
            sender: Mailbox(address: "no-reply@lockstep.local", name: "Lockstep"), settings: settings, clock: clock,
            bell: bell, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func state(of id: String) async throws -> EmailGetMessageResponse {
        var request = EmailGetMessageRequest()
        request.messageID = id
        return try await client.getMessage(request)
    }

    /// All that SQLite has written, the log of changes included.
    func databaseBytes() throws -> [UInt8] {
        try ["email.sqlite", "email.sqlite-wal", "email.sqlite-shm"].flatMap { try File.bytes(directory.path($0)) }
    }
}

extension EmailSendRequest {
    static func verification(
        key: String = "key-1", to: String = "ada@example.com", name: String = "Ada",
        token: String = "tok-0123456789abcdefghijklmnopqrstuvwxyz_-ABCDE"
    ) -> EmailSendRequest {
        var request = EmailSendRequest()
        request.idempotencyKey = key
        request.template = .emailVerification
        request.to = to
        request.name = name
        request.variables = ["token": token]
        return request
    }
}

/// Time that passes when the test says so. Sleepers wake when their time has come.
final class TestClock: ServiceClock {
    private struct Sleeper {
        let until: Microseconds
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now: Microseconds = 1_795_000_000_000_000
        var nextID = 0
        var sleepers: [Int: Sleeper] = [:]
        var cancelled: Set<Int> = []
    }

    private let state = Mutex(State())

    var now: Microseconds { state.withLock { $0.now } }

    func advance(by duration: Duration) {
        let woken = state.withLock { state in
            state.now += duration.microseconds
            let due = state.sleepers.filter { $0.value.until <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.map(\.continuation)
        }
        for continuation in woken { continuation.resume() }
    }

    func sleep(until instant: Microseconds) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let answer: Result<Void, any Error>? = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return .failure(CancellationError()) }
                    if instant <= state.now { return .success(()) }
                    state.sleepers[id] = Sleeper(until: instant, continuation: continuation)
                    return nil
                }
                if let answer { continuation.resume(with: answer) }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                let sleeper = state.sleepers.removeValue(forKey: id)
                if sleeper == nil { state.cancelled.insert(id) }
                return sleeper
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }
}

/// AES-256-GCM with the context as additional data, as Encryption does it, and a switch to be unreachable.
final class TestSealer: Sealer {
    private let key: SymmetricKey
    private let reachable = Mutex(true)

    init() {
        do {
            key = try SymmetricKey()
        } catch {
            fatalError("no random bytes: \(error)")
        }
    }

    func set(reachable: Bool) { self.reachable.withLock { $0 = reachable } }

    func seal(_ plaintext: [UInt8], context: String, options: CallOptions) async throws -> [UInt8] {
        try check()
        return try AEAD.seal(plaintext, key: key, aad: Array(context.utf8))
    }

    func open(_ ciphertext: [UInt8], context: String, options: CallOptions) async throws -> [UInt8] {
        try check()
        do {
            return try AEAD.open(ciphertext, key: key, aad: Array(context.utf8))
        } catch {
            throw EmailError.unreadablePayload
        }
    }

    private func check() throws {
        guard reachable.withLock({ $0 }) else { throw RPCError(.unavailable, "encryption is away") }
    }
}

/// Passes on to a real sink, or fails as told; tells what it was given.
final class TestSink: MailSink {
    let name = "test"
    private let real: any MailSink
    private let failures = Mutex<[SinkError]>([])
    private let given = Mutex<[String: [[UInt8]]]>([:])
    let deliveries: AsyncStream<String>
    private let continuation: AsyncStream<String>.Continuation

    init(_ real: any MailSink) {
        self.real = real
        (deliveries, continuation) = AsyncStream.makeStream()
    }

    /// The next deliveries fail so, one each.
    func fail(_ errors: [SinkError]) { failures.withLock { $0 += errors } }

    func messages(of id: String) -> [[UInt8]] { given.withLock { $0[id] ?? [] } }

    func deliver(id: String, message: [UInt8]) async throws(SinkError) {
        given.withLock { $0[id, default: []].append(message) }
        let failure = failures.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        if let failure { throw failure }
        try await real.deliver(id: id, message: message)
        continuation.yield(id)
    }
}
