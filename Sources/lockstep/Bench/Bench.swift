import ArgumentParser
import Contracts
import NIOCore
import NIOPosix
import RPCClient
import RPCCore
import RPCTransport
import ServiceClients
import ServiceKit

/// `lockstep bench`
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Call one method over and over, and print how long it took.",
        discussion: """
            Without --rate each of --concurrency places makes one call after the other. With --rate calls are due at \
            even times whatever the answers do, and one that has to wait for a free place is counted from when it was \
            due (no coordinated omission).

              lockstep bench HealthService/Check --target auth
              lockstep bench JWTService/JWKS --cert gateway --rate 2000 --duration 30s

            Reflection says first whether the method is there and may be called. Ends with 0 as soon as calls \
            succeeded, else as `lockstep call` would for the error that came most.
            """)

    @Argument(help: ArgumentHelp("Which method, with or without its package.", valueName: "service/method"))
    var method: String

    @Option(
        name: [.customShort("d"), .customLong("data")],
        help: ArgumentHelp("The request: JSON, @FILE, or - for standard input.", valueName: "json"))
    var data: String?

    @Option(help: ArgumentHelp("As whom: a certificate in the state directory.", valueName: "name"))
    var cert = "operator"

    @Option(help: ArgumentHelp("Where: a service's name, or NAME@host:port.", valueName: "target"))
    var target: String?

    @Option(help: ArgumentHelp("Connections.", valueName: "n"))
    var connections = 4

    @Option(help: ArgumentHelp("Calls at once, over all connections.", valueName: "n"))
    var concurrency = 64

    @Option(help: ArgumentHelp("How long, such as 500ms or 10s.", valueName: "time"))
    var duration = "10s"

    @Option(help: ArgumentHelp("Calls a second. Default: as many as there are answers.", valueName: "n"))
    var rate: Double?

    @Option(help: ArgumentHelp("How long each call may take. Default: the contract's.", valueName: "time"))
    var timeout: String?

    @Flag(help: "Call also a method that changes something, each time anew.")
    var changes = false

    @Flag(help: "One JSON object.")
    var json = false

    @OptionGroup var state: StateOption

    /// Beyond it the places alone would fill memory.
    static let mostConcurrency = 100_000
    static let mostConnections = 1000

    func run() async throws {
        try await CommandFailure.reported {
            let plan = try plan
            let settings = try OperatorSettings(environment: state.environment)
            let found = try await find(settings)
            let coding = try check(found)
            let request = try Self.request(coding, try RequestData.read(data))
            let result = try await measure(found.target, coding, request, plan, settings)
            let report = BenchReport(
                title: "\(found.fullName) at \(found.target.text), \(connections) connections, \(concurrency) at once",
                method: found.fullName, result: result)
            if json { print(report.json) } else { report.lines.forEach { print($0) } }
            if report.status != 0 { throw ExitCode(report.status) }
        }
    }

    private var plan: BenchPlan {
        get throws {
            guard (1...Self.mostConcurrency).contains(concurrency) else {
                throw CommandFailure("--concurrency is \(concurrency); it takes 1 to \(Self.mostConcurrency).", status: 64)
            }
            guard (1...min(concurrency, Self.mostConnections)).contains(connections) else {
                throw CommandFailure(
                    "--connections is \(connections); it takes 1 to \(Self.mostConnections), "
                        + "and no more than --concurrency.", status: 64)
            }
            guard rate.map({ $0 > 0 && $0.isFinite }) ?? true else {
                throw CommandFailure("--rate takes a number above 0.", status: 64)
            }
            var plan = BenchPlan(concurrency: concurrency, rate: rate)
            plan.duration = try Self.time(duration, "--duration")
            plan.timeout = try timeout.map { try Self.time($0, "--timeout") }
            return plan
        }
    }

    private static func time(_ text: String, _ name: String) throws -> Duration {
        guard let duration = Duration(raw: .text(text)), duration > .zero else {
            throw CommandFailure("\(name) is \"\(text)\"; it takes \(Duration.allowed).", status: 64)
        }
        return duration
    }

    private func find(_ settings: OperatorSettings) async throws -> LiveContract.Method {
        let live = try await LiveContract.ask(try LiveTarget.all(target, settings: settings), settings)
        if live.processes.isEmpty { try live.reportFailures() }
        return try live.method(named: method)
    }

    /// Whether it may be called like this, as the process itself says.
    private func check(_ found: LiveContract.Method) throws -> MethodCoding {
        guard found.method.kind == "unary" else {
            throw CommandFailure("\(found.fullName) is \(found.method.kind); `bench` makes calls of one answer.", status: 64)
        }
        guard found.method.callers.contains(cert) else {
            let callers = found.method.callers.isEmpty ? "nobody" : found.method.callers.joined(separator: ", ")
            throw CommandFailure("\(cert) may not call \(found.fullName); \(callers) may: give --cert.", status: 77)
        }
        guard changes || found.method.idempotency == "NO_SIDE_EFFECTS" else {
            throw CommandFailure(
                "\(found.fullName) changes something, and `bench` would do so with each call. --changes says that "
                    + "this is meant.", status: 64)
        }
        guard let coding = Contract.codings.named(found.fullName), coding.descriptor.id == found.method.id else {
            throw CommandFailure("This program was built without \(found.fullName).", status: 69)
        }
        return coding
    }

    private static func request(_ coding: MethodCoding, _ json: [UInt8]) throws -> [UInt8] {
        do throws(RPCError) {
            return try coding.requestToSend(fromJSON: json)
        } catch {
            throw CommandFailure(CallReport(error: error).lines.joined(separator: "\n"), status: 65)
        }
    }

    private func measure(
        _ target: LiveTarget, _ coding: MethodCoding, _ request: [UInt8], _ plan: BenchPlan, _ settings: OperatorSettings
    ) async throws -> BenchResult {
        // As services' loops have it: what is measured is the service, not how long this waits for a core.
        Scheduling.hasten(MultiThreadedEventLoopGroup.singleton)
        let loops = Array(MultiThreadedEventLoopGroup.singleton.makeIterator())
        let tls = try settings.identity(cert)
        let pools = try (0..<connections).map { index in
            var options = ClientOptions(connections: 1)
            options.group = loops[index % loops.count]
            return try ClientPool(
                service: target.process.rawValue, resolver: target.location.resolver, tls: tls,
                options: options)
        }
        let lines = pools.enumerated().map { ($1 as any RPCChannel, LoopExecutor(loops[$0 % loops.count]) as any TaskExecutor) }
        let load = BenchLoad(
            method: coding.descriptor, request: request, plan: plan, lines: lines.map { (channel: $0, executor: $1) })
        let result = await load.run()
        for pool in pools { await pool.shutdown() }
        return result
    }
}
