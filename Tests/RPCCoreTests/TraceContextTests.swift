import RPCCore
import TestSupport
import Testing

/// W3C Trace Context, sections 3.2 and 3.3.
@Suite struct TraceContextTests {
    static let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test func aTraceparentIsReadAndWritten() throws {
        let trace = try #require(TraceContext(parent: Self.parent.utf8, state: "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"))
        #expect(trace.traceID.description == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(trace.spanID == 0x00f0_67aa_0ba9_02b7)
        #expect(trace.isSampled)
        #expect(trace.state == "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
        #expect(trace.parent == Self.parent)
    }

    @Test func onlyTheFlagThatIsKnownIsKept() throws {
        let trace = try #require(TraceContext(parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe".utf8))
        #expect(!trace.isSampled)
        #expect(trace.parent.hasSuffix("-00"))
    }

    @Test(arguments: [
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like",
    ])
    func aLaterVersionIsReadAsFarAsItIsKnown(text: String) throws {
        #expect(try #require(TraceContext(parent: text.utf8)).parent == Self.parent)
    }

    @Test(arguments: [
        "", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é",
    ])
    func whatIsNoTraceparentIsNone(text: String) { #expect(TraceContext(parent: text.utf8) == nil) }

    @Test(arguments: [
        "", "novalue", "a=b=c", "a=\u{1}", "a=é", String(repeating: "a", count: 513),
        (0..<33).map { "k\($0)=v" }.joined(separator: ","),
    ])
    func aTracestateThatIsNoneIsLeftOut(state: String) throws {
        let trace = try #require(TraceContext(parent: Self.parent.utf8, state: state))
        #expect(trace.state == nil)
    }

    @Test func aChildIsAnotherPartOfTheSameTrace() throws {
        var random = SeededRandom("aChildIsAnotherPartOfTheSameTrace")
        let root = TraceContext.root(isSampled: true, using: &random)
        let child = root.child(using: &random)
        #expect(child.traceID == root.traceID && child.isSampled)
        #expect(child.spanID != root.spanID)
        #expect(TraceContext(parent: root.parent.utf8) == root)
    }
}
