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
    ///   - target: A service's name, `NAME@host:port`, or `host:port` of the service that hosts the method; nil for that
    ///     service where configuration has it.
    init(method: String, target: String?, settings: OperatorSettings) throws {
        coding = try Self.coding(method)
        let host = Self.host(of: coding.descriptor)
        let (named, address) = try Self.parts(target)
        guard let process = named ?? host else {
            throw CommandFailure(
                "Every service hosts \(coding.descriptor.service): say which one, with --target NAME or NAME@host:port.", status: 64)
        }
        // A process does not tell whom it does not know which methods it has: it would only say that one may not.
        if let host, process != host, process != .gateway {
            throw CommandFailure(
                "\(process.rawValue) does not host \(coding.descriptor.service): \(host.rawValue) does.", status: 64)
        }
        guard process != .gateway || host == nil else {
            throw CommandFailure("The gateway does not host it: it answers HTTPS. Use curl.", status: 64)
        }
        self.process = process
        location = try address ?? settings.location(of: process)
    }

    /// Who and where, as far as `target` says it.
    private static func parts(_ target: String?) throws -> (process: ServiceName?, location: PeerLocation?) {
        guard let target else { return (nil, nil) }
        if let process = ServiceName(rawValue: target) { return (process, nil) }
        let parts = target.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let process = parts.count == 2 ? ServiceName(rawValue: parts[0]) : nil
        guard let address = parts.last, parts.count == 1 || process != nil, let location = PeerLocation(address) else {
            throw CommandFailure(
                "--target is \"\(target)\"; it takes \(LiveTarget.names.joined(separator: ", ")), NAME@host:port or host:port.", status: 64)
        }
        return (process, location)
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
