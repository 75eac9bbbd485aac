import Foundation
import Glibc
import ServiceKit
import Supervision

/// Finds the five programs.
struct Executables {
    /// In the order in which they are started: those that others need first.
    static let order = ServiceName.allCases

    /// The encryption service may make its keyring: it refuses by itself where one was made before and is gone.
    private static let firstStart = ["LOCKSTEP_ENCRYPTION_KEYRING_CREATE": "true"]

    let directory: String

    /// - Parameter given: `--bin`; nil for the directory of this very program.
    init(_ given: String?) {
        directory = given ?? Bundle.main.executableURL?.deletingLastPathComponent().path ?? "."
    }

    /// - Throws: `CommandFailure` that names what is missing.
    func children(_ environment: [String: String]) throws -> [ChildSpecification] {
        let missing = Self.order.map(path).filter { !FileManager.default.isExecutableFile(atPath: $0) }
        guard missing.isEmpty else {
            throw CommandFailure(
                "Not found: \(missing.joined(separator: ", ")). `make release` builds them into .build-release/release; "
                    + "--bin DIR says where else they are.", status: EX_UNAVAILABLE)
        }
        let variables = environment.merging([Lifeline.variable: Lifeline.value]) { $1 }
            .merging(Self.firstStart) { given, _ in given }
        return Self.order.map { ChildSpecification(name: $0.rawValue, program: path($0), environment: variables) }
    }

    private func path(_ service: ServiceName) -> String { "\(directory)/\(service.rawValue)" }
}
