import Foundation
import RPCCodeGen
import SwiftProtobufPluginLibrary
import Testing

/// Whether what is checked in is what the contract says now. No protoc is needed to find out.
@Suite struct StaleTests {
    static let outputs: [(Options.Output, folder: String, ending: String)] = [
        (.handlers, "Sources/Contracts/Generated", ".lockstep.swift"),
        (.clients, "Sources/ContractClients/Generated", ".client.swift"),
    ]

    @Test(arguments: outputs.indices)
    func generatedSwiftIsUpToDate(index: Int) throws {
        let (output, folder, ending) = Self.outputs[index]
        var options = Options()
        options.output = output
        let files = try Generator.generate(Descriptors.contract(), options)
        for file in files {
            let found = try Checkout.text("\(folder)/\(file.name)")
            #expect(found == file.text, "\(folder)/\(file.name) is stale: run `make generate`")
        }
        let names = try Checkout.names(in: folder, ending: ending)
        #expect(names == files.map(\.name).sorted(), "\(folder) has other files than the contract: run `make generate`")
    }

    @Test(arguments: [("protocols.sha256", "Protocols"), ("fixtures.sha256", "Tests/RPCCodeGenTests/Fixtures")])
    func descriptorsAreOfThePresentText(manifest: String, folder: String) throws {
        let base = Checkout.root.appending(path: folder)
        var listed: Set<String> = []
        for line in try Checkout.text("Descriptors/\(manifest)", below: Checkout.tests).split(separator: "\n") {
            let (digest, name) = (String(line.prefix(64)), String(line.dropFirst(66)))
            listed.insert(name)
            let present = (try? Data(contentsOf: base.appending(path: name))).map { SHA256.hex(of: $0) }
            #expect(present == digest, "\(folder)/\(name) changed since: run `make generate`")
        }
        #expect(Checkout.protos(below: base) == listed, "\(folder) has other .proto files: run `make generate`")
    }

    /// The messages come from protoc-gen-swift, which is no library: here it is only seen that each file has its own.
    @Test func everyProtoHasItsMessages() throws {
        let files = try Descriptors.contract().map(\.name).filter { !$0.contains("/contract/") }
        let expected = files.compactMap { $0.split(separator: "/").last }
            .map { String($0).replacing(".proto", with: ".pb.swift") }
        #expect(try Checkout.names(in: "Sources/Contracts/Generated", ending: ".pb.swift") == expected.sorted())
    }
}
