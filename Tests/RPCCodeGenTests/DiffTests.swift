@testable import RPCCodeGen
import SwiftProtobuf
import Testing

/// Each rule of the diff, in each direction: one statement of the golden contract is changed, and one change is found.
@Suite struct DiffTests {
    @Test(arguments: DiffCase.all)
    func findsTheChangeAndNothingElse(change: DiffCase) throws {
        let diff = try Self.diff(change.edit)
        try #require(diff.changes.count == 1, "\(diff.changes.map(\.text))")
        let found = diff.changes[0]
        #expect(found.rule == change.rule)
        #expect(found.verdict == change.verdict)
        #expect(found.text == change.text)
        #expect(found.position.file == change.file)
        #expect(found.position.line == change.line)
    }

    @Test func everyRuleIsTested() {
        let tested = Set(DiffCase.all.map(\.rule))
        #expect(tested == Set(Change.Rule.allCases))
    }

    @Test func theSameContractHasNoChanges() throws {
        #expect(try Self.diff { _ in }.changes.isEmpty)
    }

    /// What is gone stands where it was.
    @Test func aServiceThatIsGoneIsNamedWithItsMethods() throws {
        let diff = try Self.diff { golden in golden.edit("golden/ledger.proto") { $0.service.removeLast() } }
        let found = diff.changes.map { "\($0.rule.rawValue) \($0.side.rawValue) \($0.position.line) \($0.subject)" }
        #expect(
            found == [
                "service old 56 lockstep.ledger.v1.FeedService", "method old 60 lockstep.ledger.v1.FeedService/Watch",
                "method old 66 lockstep.ledger.v1.FeedService/Import", "method old 71 lockstep.ledger.v1.FeedService/Exchange",
            ])
        #expect(diff.breaking.count == found.count)
    }

    @Test func aHostThatIsLostBreaks() throws {
        var old = try GoldenContract()
        old.service("DigestService") { $0.options.Contractservice.hostedByBoth = true }
        let diff = ContractDiff(
            from: try ContractModel(descriptors: old.files), to: try ContractModel(descriptors: GoldenContract().files))
        #expect(diff.breaking.map(\.rule) == [.hosting])
    }

    @Test func whatBreaksComesFirst() throws {
        let diff = try Self.diff { golden in
            golden.method("Sum") { $0.requestLimit = 2000; $0.responseLimit = 1 }
        }
        #expect(diff.changes.map(\.verdict) == [.breaking, .compatible])
        #expect(diff.breaking.map(\.rule) == [.responseLimit])
        #expect(diff.compatible.map(\.rule) == [.requestLimit])
    }

    @Test func commentsAndOrderAreNoChange() throws {
        let diff = try Self.diff { golden in
            golden.edit("golden/digest.proto") { file in
                file.clearSourceCodeInfo()
                file.service[0].method.reverse()
            }
        }
        #expect(diff.changes.isEmpty)
    }

    static func diff(_ edit: (inout GoldenContract) -> Void) throws -> ContractDiff {
        let old = try GoldenContract()
        var new = old
        edit(&new)
        return ContractDiff(from: try ContractModel(descriptors: old.files), to: try ContractModel(descriptors: new.files))
    }
}

/// What comes from outside is checked before it is linked, which could end the process.
@Suite struct DescriptorSetReaderTests {
    @Test func aSetIsReadFromItsBytes() throws {
        let files = try GoldenContract().files
        let bytes: [UInt8] = try Google_Protobuf_FileDescriptorSet.with { $0.file = files }.serializedBytes()
        let read = try ContractModel(descriptorSet: bytes)
        #expect(ContractDiff(from: read, to: try ContractModel(descriptors: files)).changes.isEmpty)
        #expect(read.methods.map(\.name).contains("Sum"))
    }

    @Test(arguments: broken.indices)
    func aBrokenSetIsRefused(index: Int) throws {
        let (edit, text) = Self.broken[index]
        var golden = try GoldenContract()
        edit(&golden)
        let failure = #expect(throws: UnreadableContract.self) { try ContractModel(descriptors: golden.files) }
        #expect(failure?.description.contains(text) == true, "\(failure?.description ?? "")")
    }

    @Test func bytesThatAreNoSetAreRefused() {
        #expect(throws: UnreadableContract.self) { try ContractModel(descriptorSet: [0xFF, 0xFF, 0xFF]) }
    }

    private static let broken: [(edit: @Sendable (inout GoldenContract) -> Void, text: String)] = [
        ({ golden in golden.files.removeAll { $0.name == "google/protobuf/duration.proto" } }, "--include_imports"),
        ({ golden in golden.files.append(golden.files[0]) }, "twice"),
        ({ golden in golden.edit("golden/digest.proto") { $0.syntax = "proto7" } }, "neither proto2 nor proto3"),
        ({ golden in golden.edit("golden/digest.proto") { $0.edition = .edition2023 } }, "neither proto2 nor proto3"),
        ({ golden in golden.edit("golden/digest.proto") { $0.service[0].method[0].inputType = ".Gone" } }, ".Gone"),
        ({ golden in golden.edit("golden/digest.proto") { $0.messageType[1].field[0].oneofIndex = 7 } }, "SumRequest"),
        ({ golden in golden.edit("golden/digest.proto") { $0.messageType[1].field[0].clearJsonName() } }, "JSON"),
        ({ golden in golden.edit("golden/digest.proto") { $0.messageType[1].field[0].extendee = ".Odd" } }, "numbers"),
        ({ golden in golden.edit("golden/digest.proto") { $0.dependency.append("golden/digest.proto") } }, "import each other"),
        ({ golden in golden.edit("golden/ledger.proto") { $0.messageType[2].field.removeAll(); $0.enumType.append(.init()) } },
         "lacks the type"),
    ]
}
