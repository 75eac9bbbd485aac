import Contracts
import RPCCore
import ServiceKit

/// Which method, at which process.
struct CallTarget {
    let coding: MethodCoding
    /// The process that hosts the method: who the server must prove to be.
    let process: ServiceName
    let location: PeerLocation

    /// - Parameters:
    ///   - method: `PasswordService/Verify`, or with the package in front.
    ///   - target: `host:port`, or a service's name; nil for the service that hosts the method.
    init(method: String, target: String?, settings: OperatorSettings) throws {
        coding = try Self.coding(method)
        let named = target.flatMap(ServiceName.init(rawValue:))
        guard let process = named ?? Self.host(of: coding.descriptor) else {
            throw CommandFailure(
                "Every service hosts \(coding.descriptor.service): say which one, with --target NAME.", status: 64)
        }
        guard process != .gateway || Self.host(of: coding.descriptor) == nil else {
            throw CommandFailure("The gateway does not host it: it answers HTTPS. Use curl.", status: 64)
        }
        self.process = process
        guard let target, named == nil else {
            location = try settings.location(of: process)
            return
        }
        guard let location = PeerLocation(target) else {
            throw CommandFailure("--target is \"\(target)\"; it takes host:port or a service's name.", status: 64)
        }
        self.location = location
    }

    private static func coding(_ name: String) throws -> MethodCoding {
        if let coding = Contract.codings.named(name) { return coding }
        let names = Contract.codings.map(\.descriptor.fullName)
        let short = names.map { $0.split(separator: ".").last.map(String.init) ?? $0 }
        let meant = EditDistance.closest(to: name, of: short + names).map { " Did you mean \($0)?" } ?? ""
        throw CommandFailure("No method is called \(name).\(meant) `lockstep list` shows them all.", status: 64)
    }

    /// `lockstep.auth.v1.AuthService` is auth's; the runtime's own services are everybody's.
    private static func host(of method: MethodDescriptor) -> ServiceName? {
        let parts = method.service.split(separator: ".")
        return parts.count > 1 ? ServiceName(rawValue: String(parts[1])) : nil
    }
}
