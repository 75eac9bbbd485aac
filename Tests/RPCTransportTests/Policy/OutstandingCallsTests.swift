import RPCClient
import Testing

@Suite struct OutstandingCallsTests {
    @Test("What a busy loop counts forgets none of the calls that are on their way to it")
    func promises() {
        let calls = OutstandingCalls()
        for _ in 0..<5 { calls.promise() }
        #expect(calls.count == 5)
        calls.arrive()
        calls.set(1)
        #expect(calls.count == 5)
        // One that was under way ends while four are still to come.
        calls.set(0)
        #expect(calls.count == 4)
        for underWay in 1...4 {
            calls.arrive()
            calls.set(underWay)
        }
        #expect(calls.count == 4)
    }

    @Test("A call that ended before it came is not counted")
    func gone() {
        let calls = OutstandingCalls()
        calls.promise()
        calls.arrive()
        #expect(calls.count == 0)
    }
}
