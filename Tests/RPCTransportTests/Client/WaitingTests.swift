import NIOCore
import NIOPosix
import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct WaitingTests {
    @Test("Calls that find no free slot wait in their order, and no more of them than may")
    func crowd() async throws {
        let (started, release) = (Latch(), Latch())
        let order = Mutex<[UInt8]>([])
        let held = AsyncMethod(bytes: .test("Held")) { request, _ in
            order.withLock { $0 += request }
            started.open()
            await release.wait()
            return request
        }
        var options = ServerOptions()
        options.limits.maxConcurrentCalls = 1
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        try await withServer([held], options: options) { _, address in
            let change = { (options: inout ClientOptions) in
                options.group = group
                options.maximumWaiting = 2
            }
            try await withClient(address, change) { client in
                let first = Task { try await client.call(held.descriptor, [0]) }
                await started.wait()
                // All come to the connection at once, from outside its loop, before any hears that it is full.
                let gate = ThreadGate()
                group.next().execute { gate.wait() }
                let tasks = (1...6).map { number in
                    Task.immediate { try await client.call(held.descriptor, [UInt8(number)]) }
                }
                gate.open()
                for task in tasks.dropFirst(2) {
                    let error = await #expect(throws: RPCError.self) { try await task.value }
                    #expect(error?.reason == "busy")
                }
                release.open()
                for task in [first] + tasks.prefix(2) { _ = try await task.value }
            }
        }
        #expect(order.withLock { $0 } == [0, 1, 2])
        try await group.shutdownGracefully()
    }
}
