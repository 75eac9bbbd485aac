import SwiftProtobuf
import SwiftProtobufPluginLibrary

extension Lint {
    /// Callers that host no service of the contract: the gateway's face is HTTP, the operator's the command line.
    static let processesWithoutService: Set = ["gateway", "operator"]
    /// The package whose services every process hosts.
    static let runtimePackage = "lockstep.runtime.v1"

    mutating func check(_ service: ServiceModel) {
        checkExecution(of: service)
        checkHosting(of: service)
        for method in service.methods {
            checkShape(of: method)
            checkExecution(of: method, in: service)
            checkAccess(to: method)
            checkLimits(of: method)
            checkCompression(of: method)
            checkCookies(of: method)
            if let route = method.route { check(route, of: method) }
        }
    }

    private mutating func checkExecution(of service: ServiceModel) {
        guard service.rules.execution != .sync, service.rules.execution != .async else { return }
        report(
            service.descriptor.position(ofOption: .service), "\(service.name) does not say how its methods run.",
            "Write `option (lockstep.contract.v1.service) = {execution: SYNC};` for CPU-bound work, ASYNC for I/O.")
    }

    private mutating func checkHosting(of service: ServiceModel) {
        guard service.rules.hostedByBoth else { return }
        let position = service.descriptor.position(ofOption: .service)
        if service.descriptor.file.package != Self.runtimePackage {
            report(
                position, "\(service.name) says `hosted_by_both`, which only \(Self.runtimePackage) may.",
                "Leave it out.")
        }
        if !service.isSync {
            report(
                position, "\(service.name) is hosted by both classes, but is not SYNC.", "Write `execution: SYNC`.")
        }
    }

    /// A process hosts one class; a process of SYNC services calls nobody.
    mutating func checkProcesses() {
        let own = contract.services.filter { $0.descriptor.file.package != Self.runtimePackage }
        let processes = Dictionary(grouping: own, by: \.process)
        for (process, services) in processes {
            guard let sync = services.first(where: \.isSync) else { continue }
            for service in services where service.rules.execution == .async {
                report(
                    service.descriptor.position(ofOption: .service),
                    "\(service.name) is ASYNC, but \(process) hosts \(sync.name), which is SYNC; "
                        + "a process hosts one class.",
                    "Move \(service.name) to a package of its own, or give both the same execution.")
            }
        }
        let known = Self.processesWithoutService.union(processes.keys)
        for method in contract.methods { checkCallers(of: method, processes, known) }
    }

    private mutating func checkCallers(
        of method: MethodModel, _ processes: [String: [ServiceModel]], _ known: Set<String>
    ) {
        for caller in method.rules.callers {
            if !known.contains(caller) {
                report(
                    method.rulesPosition, "\(method.name) names the caller \"\(caller)\", which is no service.",
                    "Write one of \(known.sorted().joined(separator: ", ")).")
            } else if let sync = processes[caller]?.first(where: \.isSync) {
                report(
                    method.rulesPosition,
                    "\(method.name) names the caller \"\(caller)\", whose \(sync.name) is SYNC and calls nobody.",
                    "Remove \"\(caller)\" from `callers`; let an ASYNC service make the call.")
            }
        }
        for (index, caller) in method.rules.callers.enumerated() where method.rules.callers[..<index].contains(caller) {
            report(
                method.rulesPosition, "\(method.name) names the caller \"\(caller)\" twice.", "Write it once.")
        }
    }

    /// Generated types are named after services without their package.
    mutating func checkServiceNames() {
        for (name, services) in Dictionary(grouping: contract.services, by: \.name) {
            for service in services.dropFirst() {
                report(
                    service.descriptor.position(), "Two services are named \(name): also \(services[0].fullName).",
                    "Give one another name; generated types carry no package.")
            }
        }
    }
}
