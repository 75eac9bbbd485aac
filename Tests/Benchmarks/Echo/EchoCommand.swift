import ArgumentParser
import ServiceKit

/// One side of one benchmark of the RPC, as a process of its own; `Tests/Benchmarks/echo.py` runs them in turns.
///
/// A server prints the port that it listens on; a client prints `start` when measuring begins, and
/// one line of JSON at the end.
@main struct EchoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lockstep-echo", abstract: "One side of a benchmark of the RPC.",
        subcommands: [Serve.self, Call.self, Connect.self, ServeOverload.self, CallOverload.self, Cores.self])
}

/// Whose echo it is.
enum Peer: String, ExpressibleByArgument, CaseIterable {
    /// Lockstep, SYNC INLINE.
    case sync
    /// Lockstep, ASYNC.
    case async
    /// NIO and NIOSSL with length-prefixed frames, one write for each burst: no calls, no protobuf. The floor.
    case floor
    /// No echo: Encrypt of a running Encryption, one message a call.
    case encrypt
    /// The same in batches of a thousand messages.
    case encryptBatch = "encrypt-batch"

    /// The name in the certificate of its server.
    var service: String { [.async, .floor].contains(self) ? "auth" : "encryption" }
    /// The name in the certificate of who calls it.
    var caller: String { [.encrypt, .encryptBatch].contains(self) ? "token" : "operator" }
}

/// Where `lockstep certs` has left certificates.
struct StateOptions: ParsableArguments {
    @Option(help: "The state directory, with certificates.") var state = ".lockstep"
    @Option(help: "Whose echo: sync, async or floor; encrypt and encrypt-batch call a running Encryption.") var peer = Peer.sync
}

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Serves until it is killed.")

    @OptionGroup var options: StateOptions

    func run() async throws {
        Heap.keepLargeBlocks()
        let tls = try options.tls(options.peer.service)
        switch options.peer {
        case .sync: try await EchoServers.sync(tls)
        case .async: try await EchoServers.async(tls)
        case .floor: try await FloorServer.run(tls)
        case .encrypt, .encryptBatch: throw ValidationError("`lockstep up` starts what \(options.peer.rawValue) calls.")
        }
    }
}

struct Call: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Calls for a while and says how it went.")

    @OptionGroup var options: StateOptions
    @Option(help: "Where the server listens.") var port: Int
    @Option(help: "Connections.") var connections = 4
    @Option(help: "Calls under way on each of them.") var outstanding = 64
    @Option(help: "Bytes of a message.") var size = 128
    @Option(help: "Seconds that are measured, after one that is not.") var seconds = 3.0
    @Flag(help: "Callers run on the default executor, not on the event loops.") var offLoop = false
    @Flag(help: "A server's stream instead of calls.") var stream = false
    @Flag(help: "With --peer encrypt-batch: requests are encoded and answers decoded, each of them.") var decoded = false
    @Option(help: "Bytes of the streams that share the connections with the calls, one after the other on each; with --peer async.")
    var beside = 0

    func validate() throws {
        guard beside == 0 || options.peer == .async else { throw ValidationError("--beside is for --peer async: others do not stream.") }
    }

    func run() async throws {
        Heap.keepLargeBlocks()
        let tls = try options.tls(options.peer.caller)
        let plan = LoadPlan(
            port: port, connections: connections, outstanding: outstanding, size: size, seconds: seconds,
            offLoop: offLoop, stream: stream, beside: beside, decoded: decoded)
        let report: LoadReport
        switch options.peer {
        case .sync, .async, .encrypt, .encryptBatch: report = try await RPCLoad(peer: options.peer, tls: tls, plan: plan).run()
        case .floor: report = try await FloorLoad(tls: tls, plan: plan).run()
        }
        print(report.json)
    }
}
