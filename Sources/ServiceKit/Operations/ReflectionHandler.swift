package import Contracts
import FoundationEssentials
package import RPCCore
import SwiftProtobuf

/// `lockstep.runtime.v1.ReflectionService`: the contract as this process was built with it.
struct ReflectionHandler: ReflectionServiceHandler {
    let process: String
    let services: [ServiceDescriptor]
    let files: [ContractFile]

    /// - Parameter services: All that the process hosts.
    init(process: String, services: [ServiceDescriptor], files: [ContractFile] = ContractFiles.all) {
        self.process = process
        self.services = services.sorted { $0.name < $1.name }
        self.files = files
    }

    func listServices(
        _ request: RuntimeListServicesRequest, _ context: CallContext
    ) throws -> RuntimeListServicesResponse {
        .hosted(services, process: process, files: files)
    }

    func getFiles(_ request: RuntimeGetFilesRequest, _ context: CallContext) throws -> RuntimeGetFilesResponse {
        guard services.contains(where: { $0.name == request.service }) else {
            throw RPCError(.notFound, "\(process) hosts no such service.", reason: "service_not_hosted")
        }
        return .with { $0.files = files.closure(of: request.service).map { Data($0.descriptor) } }
    }
}

extension RuntimeListServicesResponse {
    /// What a process that hosts `services` answers; without a process, what a program was built with.
    package static func hosted(
        _ services: [ServiceDescriptor], process: String = "", files: [ContractFile] = ContractFiles.all
    ) -> RuntimeListServicesResponse {
        .with {
            $0.process = process
            $0.services = services.map { service in
                RuntimeHostedService(service, file: files.first { $0.services.contains(service.name) }?.name ?? "")
            }
        }
    }
}

extension RuntimeHostedService {
    fileprivate init(_ service: ServiceDescriptor, file: String) {
        self.init()
        name = service.name
        execution = service.execution == .sync ? "SYNC" : "ASYNC"
        hostedByBoth = service.hostedByBoth
        fingerprint = service.fingerprint.hexDigits
        self.file = file
        methods = service.methods.map(RuntimeHostedMethod.init)
    }
}

extension RuntimeHostedMethod {
    fileprivate init(_ method: MethodDescriptor) {
        self.init()
        name = method.name
        id = method.id
        kind = method.kind.text
        (cost, inlineLimit) = method.cost.words
        callers = method.callers
        (exposure, roles) = method.exposure.words
        optionalUser = method.optionalUser
        priority = method.maximumLane.word
        defaultDeadlineMs = method.deadline.default.wholeMilliseconds
        maxDeadlineMs = method.deadline.maximum.wholeMilliseconds
        requestLimit = UInt32(clamping: method.requestLimit)
        responseLimit = UInt32(clamping: method.responseLimit)
        concurrency = UInt32(clamping: method.concurrency ?? 0)
        if let limit = method.rate { rate = RuntimeMethodRate(limit) }
        onCancel = method.onCancel == .cancel ? "CANCEL" : "DETACH"
        idempotency = method.idempotency.word
        route = method.http.map { "\($0.verb.rawValue) \($0.template)" } ?? ""
        request = method.request.name
        response = method.response.name
    }
}

extension RuntimeMethodRate {
    fileprivate init(_ rate: Rate) {
        self.init()
        limit = UInt32(clamping: rate.limit)
        perSeconds = rate.period.wholeMilliseconds / 1000
        countedBy = rate.key == .address ? "ADDRESS" : "USER"
    }
}
