import RPCCodeGen
import Testing

/// The fixture contract's Swift, byte for byte. The same files are compiled into this target and run by `GoldenTests`.
@Suite struct GoldenTextTests {
    @Test(arguments: [Options.Output.handlers, .clients])
    func outputIsTheGoldenOne(output: Options.Output) throws {
        var options = Options()
        options.output = output
        options.contractsModule = ""
        let files = try Generator.generate(
            Descriptors.fixtures("golden", ["golden/digest.proto", "golden/ledger.proto"]), options)
        #expect(files.count == (output == .handlers ? 4 : 2))
        for file in files {
            let golden = try Checkout.text("Golden/\(file.name)", below: Checkout.tests)
            #expect(file.text == golden, "\(file.name) differs: look at it, then run `make generate`")
        }
    }

    @Test func clientsImportTheMessagesOfAnotherModule() throws {
        var options = Options()
        options.output = .clients
        options.contractsModule = "Elsewhere"
        let files = try Generator.generate(Descriptors.fixtures("golden", ["golden/digest.proto"]), options)
        #expect(files.allSatisfy { $0.text.contains("package import Elsewhere\npackage import RPCCore\n") })
    }
}
