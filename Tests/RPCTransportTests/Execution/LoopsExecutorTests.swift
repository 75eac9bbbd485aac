import NIOCore
import NIOPosix
import RPCTransport
import Testing

@Suite struct LoopsExecutorTests {
    @Test("A task and its children run on the loops, and stay on one while nothing else is waited for")
    func runsOnTheLoops() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let loops = Array(group.makeIterator())
        try await withTaskExecutorPreference(LoopsExecutor(group)) {
            for other in loops {
                let loop = try #require(loops.first { $0.inEventLoop })
                try await loop.submit {}.get()
                #expect(loop.inEventLoop)
                try await other.submit {}.get()
                #expect(loops.contains { $0.inEventLoop })
                await withTaskGroup(of: Bool.self) { children in
                    children.addTask { loops.contains { $0.inEventLoop } }
                    for await isAtHome in children { #expect(isAtHome) }
                }
            }
        }
        #expect(!loops.contains { $0.inEventLoop })
        try await group.shutdownGracefully()
    }
}
