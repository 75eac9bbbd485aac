import CLinux
import NIOPosix
import Testing

@testable import RPCTransport

@Suite struct SchedulingTests {
    @Test func eventLoopsAskForAShortSlice() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let before = try await group.next().submit { lockstep_slice() }.get()
        Scheduling.hasten(group)
        for loop in group.makeIterator() {
            let slice = try await loop.submit { lockstep_slice() }.get()
            // Zero where the kernel knows no slices, before Linux 6.12.
            #expect(slice == (before == 0 ? 0 : Scheduling.loopSlice))
        }
        try await group.shutdownGracefully()
    }
}
