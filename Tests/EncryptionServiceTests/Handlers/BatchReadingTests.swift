import Contracts
import Foundation
import RPCCore
import SwiftProtobuf
import TestSupport
import Testing

@testable import EncryptionService

/// A batch read where it is, beside the same bytes as the generated message reads them.
@Suite struct BatchReadingTests {
    private typealias Request = EncryptionBatchEncryptRequest
    private let method = EncryptionServiceContract.batchEncrypt

    private enum Outcome: Equatable {
        case items(key: String, version: UInt32, [[Data]])
        case refused(reason: String, fields: [String])

        init(_ error: any Error) {
            let error = error as? RPCError
            self = .refused(reason: error?.reason ?? "?", fields: error?.violations.map { "\($0.field): \($0.message)" } ?? [])
        }
    }

    private func inPlace(_ bytes: [UInt8]) -> Outcome {
        bytes.withUnsafeBytes { bytes in
            do {
                let batch = try Batch(bytes, of: method, items: \Request.items)
                let items = batch.items.map { [Data($0.subject), Data($0.companion)] }
                #expect(batch.head.items.isEmpty && batch.count == items.count)
                return .items(key: batch.head.keyName, version: batch.head.keyVersion, items)
            } catch {
                return Outcome(error)
            }
        }
    }

    private func decoded(_ bytes: [UInt8]) -> Outcome {
        do {
            let request: Request = try method.decode(request: bytes)
            return .items(key: request.keyName, version: request.keyVersion, request.items.map { [$0.plaintext, $0.context] })
        } catch {
            return Outcome(error)
        }
    }

    private let request = Request.with {
        $0.keyName = "vault"
        $0.keyVersion = 3
        $0.items = [("first", "context"), ("", ""), ("second", ""), ("", "alone")].map { item in
            .with {
                $0.plaintext = Data(item.0.utf8)
                $0.context = Data(item.1.utf8)
            }
        }
    }

    @Test func wholeAndEndedAtEveryByte() throws {
        let bytes: [UInt8] = try request.serializedBytes()
        #expect(inPlace(bytes) == decoded(bytes) && inPlace(bytes) != .refused(reason: "malformed_request", fields: []))
        for count in 0..<bytes.count {
            let part = Array(bytes.prefix(count))
            #expect(inPlace(part) == decoded(part), "\(count) bytes")
        }
    }

    @Test("Fields in any order, twice, unknown, or of another type than the contract's")
    func oddButWellFormed() throws {
        let bytes: [UInt8] = try request.serializedBytes()
        let (item, again): ([UInt8], [UInt8]) = ([0x12, 0x06, 0x0A, 0x01, 0x61, 0x0A, 0x01, 0x62], [0x0A, 0x03, 0x6F, 0x6E, 0x65])
        let number: [UInt8] = [0x10, 0x05]
        let itemWithNumbers: [UInt8] = [0x12, 0x07, 0x08, 0x05, 0x12, 0x01, 0x63, 0x18, 0x01]
        for odd in [
            item + bytes, bytes + item, bytes + again, again + bytes, bytes + number, bytes + itemWithNumbers, bytes + [0x22, 0x00],
        ] {
            #expect(inPlace(odd) == decoded(odd), "\(odd)")
        }
    }

    @Test("What breaks the contract is refused with the same fields") func violations() throws {
        for change in [
            { $0.items = [] }, { $0.items = [EncryptionEncryptItem()] }, { $0.keyName = "" }, { $0.keyName = "no such name" },
            { $0.items = Array(repeating: EncryptionEncryptItem(), count: 10_001) },
            { $0.items = Array(repeating: EncryptionEncryptItem(), count: 10_000) },
        ] as [(inout Request) -> Void] {
            var request = request
            change(&request)
            let bytes: [UInt8] = try request.serializedBytes()
            #expect(inPlace(bytes) == decoded(bytes))
        }
    }

    @Test func mutated() throws {
        var random = SeededRandom("BatchReadingTests.mutated")
        let whole: [UInt8] = try request.serializedBytes()
        var refused = 0
        for _ in 0..<20_000 {
            var bytes = whole
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes.remove(at: place)
                case 1: bytes.insert(.random(in: 0 ... .max, using: &random), at: place)
                default: bytes[place] = .random(in: 0 ... .max, using: &random)
                }
            }
            let outcome = inPlace(bytes)
            #expect(outcome == decoded(bytes), "seed \(random.seed): \(bytes)")
            if case .refused = outcome { refused += 1 }
        }
        #expect(refused > 2000 && refused < 19_000, "seed \(random.seed): both were seen")
    }
}
