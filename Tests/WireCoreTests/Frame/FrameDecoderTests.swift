import NIOCore
import Testing
import WireCore

@Suite struct FrameDecoderTests {
    private func frames(_ reads: [ByteBuffer]) throws -> [Frame] {
        var (decoder, frames) = (FrameDecoder(maxFrameSize: WireLimits.frameSizeBounds.lowerBound), [Frame]())
        for read in reads {
            decoder.append(read)
            while let frame = try decoder.next() { frames.append(frame) }
            decoder.releaseConsumed()
        }
        #expect(!decoder.holdsPartialFrame)
        return frames
    }

    /// The beginning of a frame, its rest with whole frames behind it, and the beginning of the next, in every combination.
    @Test func anyTwoCutsGiveTheSameFrames() throws {
        var bytes = ByteBuffer()
        bytes.writeHello(HelloFrame(limits: .defaults(), acceptsCalls: true, fingerprints: []))
        bytes.writePing(7)
        bytes.writeMessage(
            CallID(rawValue: 1), MessageFrame(content: .next(ByteBuffer(repeating: 9, count: 40)), endsRequest: true))
        bytes.writeCredit(nil, 4096)
        bytes.writePong(8)
        let (whole, count) = (try frames([bytes]), bytes.readableBytes)
        #expect(whole.count == 5)
        for first in 0...count {
            for second in first...count {
                let reads = [(0, first), (first, second), (second, count)].map { from, to in
                    bytes.getSlice(at: bytes.readerIndex + from, length: to - from) ?? ByteBuffer()
                }
                #expect(try frames(reads) == whole, "cut at \(first) and \(second)")
            }
        }
    }

    @Test("What is added before the frames of before were taken is behind them") func addedTwice() throws {
        var hello = ByteBuffer()
        hello.writeHello(HelloFrame(limits: .defaults(), acceptsCalls: true, fingerprints: []))
        var ping = ByteBuffer()
        ping.writePing(1)
        var decoder = FrameDecoder(maxFrameSize: WireLimits.frameSizeBounds.lowerBound)
        var part = hello
        let rest = part.readSlice(length: 5).map { ($0, part) }
        let (beginning, end) = try #require(rest)
        decoder.append(beginning)
        #expect(try decoder.next() == nil)
        decoder.releaseConsumed()
        decoder.append(end)
        decoder.append(ping)
        decoder.append(ping)
        var found = 0
        while try decoder.next() != nil { found += 1 }
        #expect(found == 3 && !decoder.holdsPartialFrame)
    }
}
