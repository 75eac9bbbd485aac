import Foundation
import Testing

/// Who may import whom. Arrows point down only: executable, service, contracts, transport, core.
@Suite struct ArchitectureTests {
    @Test func wireCoreKnowsBuffersAndNothingElse() throws {
        let graph = try SourceTree.imports()
        #expect(try #require(graph["WireCore"]).isSubset(of: ["NIOCore"]))
    }

    @Test(arguments: ["EventLoop", "Channel", "Promise", "Task", "async", "await", "Date", "random", "Mutex", "Foundation"])
    func wireCoreIsSansIO(banned: String) throws {
        for file in try SourceTree.swift(below: "Sources/WireCore") {
            for index in file.lines.indices {
                let words = file.code(at: index).split { !$0.isLetter && !$0.isNumber && $0 != "_" }
                #expect(!words.contains(Substring(banned)), "\(file.path):\(index + 1) says \(banned)")
            }
        }
    }

    @Test func coreAndGeneratorKnowNoTransport() throws {
        let graph = try SourceTree.imports()
        for module in ["RPCCore", "RPCCodeGen", "RPCInProcess", "Contracts"] {
            let imports = SourceTree.closure(of: module, in: graph)
            #expect(imports.allSatisfy { !$0.hasPrefix("NIO") && $0 != "WireCore" }, "\(module): \(imports.sorted())")
        }
    }

    @Test func servicesNeverImportEachOther() throws {
        let services: Set = ["GatewayService", "AuthService", "TokenService", "EmailService", "EncryptionService"]
        let graph = try SourceTree.imports()
        for service in services {
            let foreign = SourceTree.closure(of: service, in: graph).intersection(services.subtracting([service]))
            #expect(foreign.isEmpty, "\(service) imports \(foreign.sorted())")
            #expect(graph[service] != nil, "\(service) is not where it should be")
        }
    }

    @Test func syncProcessesLinkNoClient() throws {
        let graph = try SourceTree.imports()
        let clients: Set = ["RPCClient", "ContractClients", "ServiceClients", "AsyncHTTPClient"]
        for module in ["EncryptionService", "encryption"] {
            #expect(SourceTree.closure(of: module, in: graph).isDisjoint(with: clients))
        }
    }

    @Test(arguments: ["async", "await", "Task", "URLSession", "EventLoop"])
    func syncServicesDoNotSuspend(banned: String) throws {
        let files = try SourceTree.swift(below: "services/encryption/Sources/EncryptionService")
        #expect(!files.isEmpty)
        for file in files {
            for index in file.lines.indices {
                let words = file.code(at: index).split { !$0.isLetter && !$0.isNumber && $0 != "_" }
                #expect(!words.contains(Substring(banned)), "\(file.path):\(index + 1) says \(banned)")
            }
        }
    }

    @Test func topLevelIsWhatWasAgreed() throws {
        let agreed: Set = ["Package.swift", "Sources", "Tests", "Protocols", "services", "Makefile", "README.md"]
        let found = try FileManager.default.contentsOfDirectory(atPath: SourceTree.root.path)
            .filter { !$0.hasPrefix(".") && $0 != "Package.resolved" }
        #expect(Set(found) == agreed)
    }
}
