import ArgumentParser

/// grpc-swift-2's side of the benchmark of the RPC, with the same commands and output as `lockstep-echo`.
@main struct GRPCSwiftEcho: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grpc-swift-echo", abstract: "One side of a benchmark of the RPC, on grpc-swift-2.",
        subcommands: [Serve.self, Call.self])
}

struct StateOptions: ParsableArguments {
    @Option(help: "The state directory, with certificates.") var state = ".lockstep"
    @Option(help: "Ignored: there is one peer here.") var peer = "grpc-swift"
}

struct Serve: AsyncParsableCommand {
    @OptionGroup var options: StateOptions

    func run() async throws { try await EchoServer(state: options.state).run() }
}

struct Call: AsyncParsableCommand {
    @OptionGroup var options: StateOptions
    @Option(help: "Where the server listens.") var port: Int
    @Option(help: "Connections.") var connections = 4
    @Option(help: "Calls under way on each of them.") var outstanding = 64
    @Option(help: "Bytes of a message.") var size = 128
    @Option(help: "Seconds that are measured, after one that is not.") var seconds = 3.0
    @Flag(help: "Ignored: grpc-swift-2 knows no loop to be on.") var offLoop = false
    @Flag(help: "A server's stream instead of calls.") var stream = false

    func run() async throws { print(try await Load(self).run().json) }
}
