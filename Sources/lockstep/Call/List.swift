import Foundation
import ArgumentParser
import Contracts
import RPCCore

/// `lockstep list`
struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the methods of the contract.",
        discussion: "Each with its class and who may call it.")

    func run() {
        let methods = Contract.codings.map(\.descriptor)
        let width = methods.map(\.fullName.count).max() ?? 0
        for method in methods {
            let name = method.fullName.padding(toLength: width, withPad: " ", startingAt: 0)
            print("\(name)  \(method.execution == .sync ? "SYNC " : "ASYNC")  \(Self.callers(method))")
        }
    }

    private static func callers(_ method: MethodDescriptor) -> String {
        method.callers.isEmpty ? "nobody" : method.callers.joined(separator: ", ")
    }
}
