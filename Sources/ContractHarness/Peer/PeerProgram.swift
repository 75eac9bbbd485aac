/// A peer as a program: carries out the harness's commands until its standard input ends.
package struct PeerProgram: Sendable {
    private let pipe: MessagePipe
    private let core: PeerCore

    package init(pipe: MessagePipe, core: PeerCore) {
        self.pipe = pipe
        self.core = core
    }

    package func run() async throws {
        defer { core.end() }
        for try await command in pipe.messages(ConformanceCommand.self) {
            if Self.keepsOrder(command) {
                try pipe.send(await core.reply(command))
            } else {
                Task {
                    // Without a harness there is nobody to tell.
                    try? pipe.send(await core.reply(command))
                }
            }
        }
    }

    /// Commands overtake one another, but not those that others build upon.
    private static func keepsOrder(_ command: ConformanceCommand) -> Bool {
        switch command.body {
        case .describe, .startServer, .openChannel, .report, .cancelCall, nil: true
        default: false
        }
    }
}
