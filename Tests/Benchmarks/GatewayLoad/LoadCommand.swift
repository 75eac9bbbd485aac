import ArgumentParser
import Foundation
import NIOCore
import NIOPosix
import RPCTransport

/// Drives a running system as users do and prints what they waited.
///
/// The system must run with `gateway.rate_limits` off: all users come from one address.
@main struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lockstep-load",
        abstract: "Loads a running system through its gateway (gateway.rate_limits must be off).",
        subcommands: [MixedCommand.self, LoginsCommand.self, RefreshesCommand.self, AnswersCommand.self],
        defaultSubcommand: MixedCommand.self)
}

/// Where the system is.
struct PlaceOptions: ParsableArguments {
    @Option(help: "Where the gateway is.") var url = "https://localhost:8443"
    @Option(help: "The authority of its certificate, PEM; empty for plain HTTP.") var ca = ".lockstep/ca.pem"

    /// Runs `body` with a client, which ends with it.
    ///
    /// All on one event loop: what the load itself takes of the cores, with threads that wake each other for every answer, is
    /// taken from what is measured. And at a priority above all others where that is allowed, as it is to root: how long the load waits
    /// for a core, which is up to a tick of 4 ms where all cores compute, is no part of an answer.
    func withAPI(_ body: (API) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        Scheduling.hasten(group)
        let comesFirst = try await group.next().submit {
            var priority = sched_param(sched_priority: 1)
            // On Linux a "process" of zero is the calling thread.
            // SCHED_RESET_ON_FORK: not for the threads that this one begins.
            return sched_setscheduler(0, SCHED_FIFO | 0x4000_0000, &priority) == 0
        }.get()
        if !comesFirst {
            let text = "The load may not come first (SCHED_FIFO): its own waits for a core count.\n"
            FileHandle.standardError.write(Data(text.utf8))
        }
        try await withTaskExecutorPreference(LoopExecutor(group.next())) {
            let api = try API(url: url, authorityFile: ca, group)
            let result: Result<Void, any Error>
            do { result = .success(try await body(api)) } catch { result = .failure(error) }
            try await api.shutdown()
            try result.get()
        }
    }
}

/// Accounts that are there already, with numbers in their addresses.
struct AccountOptions: ParsableArguments {
    @Option(help: "Their addresses; {} stands for a number from 0.") var address = "user-{}@example.org"
    @Option(help: "The password of each.") var password = "plum-tram-lantern-nine"

    func address(_ index: Int) -> String { address.replacing("{}", with: String(index)) }
}

/// What users wait for while others sign in, and a hundred users at once.
struct MixedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mixed", abstract: "Users who sign in, read and refresh, beside a storm of logins.")

    @OptionGroup var place: PlaceOptions
    @Option(help: "The folder where mail arrives, to confirm addresses.") var outbox = ".lockstep/outbox"
    @Option(help: "Users of the mixed flow.") var users = 100
    @Option(help: "Seconds of the mixed flow.") var seconds = 30
    @Option(help: "Logins at once of the storm.") var hashers = 16
    @Option(help: "Calls measured of each kind, quiet and in the storm.") var calls = 300
    @Option(help: "Logins in a second of the mixed flow.") var logins = 5
    @Option(help: "Mean pause of a user between requests, milliseconds.") var pause = 200
    @Option(help: "Seed of the pauses and choices.") var seed = UInt64.random(in: 0 ... .max)

    func run() async throws {
        print("seed \(seed)")
        try await place.withAPI(load)
    }

    private func load(_ api: API) async throws {
        let mailbox = Mailbox(folder: outbox)
        print("registering \(users) users ...")
        let people = try await Person.register(users, api, mailbox, seed: seed)
        try await StormScenario(api: api, hashers: hashers, calls: calls).run(people)
        try await MixedScenario(
            api: api, seconds: seconds, loginsPerSecond: logins, pause: .milliseconds(pause), seed: seed
        ).run(people)
    }
}
