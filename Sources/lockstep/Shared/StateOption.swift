import ArgumentParser
import Foundation
import ServiceKit

/// `--state`, for every command that needs the state directory.
struct StateOption: ParsableArguments {
    @Option(
        name: .customLong("state"),
        help: ArgumentHelp(
            "The state directory: certificates, data, config.json. Default: LOCKSTEP_STATE, or .lockstep.",
            valueName: "dir"))
    var given: String?

    var directory: String {
        given ?? ProcessInfo.processInfo.environment[Configuration.stateVariable] ?? Configuration.defaultState
    }

    /// This process's environment, with the state directory as it was given.
    var environment: [String: String] {
        ProcessInfo.processInfo.environment.merging([Configuration.stateVariable: directory]) { $1 }
    }
}
