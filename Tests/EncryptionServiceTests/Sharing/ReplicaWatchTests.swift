import Testing

@testable import EncryptionService

@Suite struct ReplicaWatchTests {
    private func replica(_ id: String, beat: Int64, holds: UInt64) -> Replica { Replica(id: id, beat: beat, holds: holds) }

    @Test func everyoneThatLivesIsWaitedFor() {
        var watch = ReplicaWatch(lease: 100)
        #expect(watch.allHold(7, at: 0), "nobody else")
        watch.look([replica("a", beat: 1, holds: 7), replica("b", beat: 1, holds: 6)], at: 0)
        #expect(watch.allHold(6, at: 0) && !watch.allHold(7, at: 0))
        watch.look([replica("a", beat: 2, holds: 7), replica("b", beat: 2, holds: 7)], at: 50)
        #expect(watch.allHold(7, at: 50))
    }

    @Test func aBeatThatStandsStillForALeaseHasLapsed() {
        var watch = ReplicaWatch(lease: 100)
        watch.look([replica("a", beat: 1, holds: 1)], at: 0)
        watch.look([replica("a", beat: 1, holds: 1)], at: 100)
        #expect(!watch.allHold(2, at: 100) && watch.lapsed.isEmpty)
        watch.look([replica("a", beat: 1, holds: 1)], at: 101)
        #expect(watch.allHold(2, at: 101))
        #expect(watch.lapsed.map(\.id) == ["a"])
        watch.look([replica("a", beat: 2, holds: 1)], at: 102)
        #expect(!watch.allHold(2, at: 102) && watch.lapsed.isEmpty, "it is back")
    }

    /// Processes with other leases, as while a setting is rolled out: each knows by its own when it is waited for no more.
    @Test func eachIsWaitedForByItsOwnLease() {
        var watch = ReplicaWatch(lease: 100)
        var patient = replica("a", beat: 1, holds: 1)
        patient.lease = 300
        watch.look([patient, replica("b", beat: 1, holds: 2)], at: 0)
        watch.look([patient, replica("b", beat: 1, holds: 2)], at: 250)
        #expect(!watch.allHold(2, at: 250) && watch.lapsed.map(\.id) == ["b"])
        #expect(watch.allHold(2, at: 301))
    }

    /// Whatever the two clocks say: whoever is no longer waited for has known it for a while.
    @Test func itsOwnLeaseEndsFirst() {
        var watch = ReplicaWatch(lease: 100)
        // It says something at 0, which is seen at once, and at 1000 on the other's clock.
        watch.look([replica("a", beat: 1, holds: 1)], at: 1000)
        let ownEnd = watch.ownLease
        #expect(!watch.allHold(2, at: 1000 + ownEnd))
    }
}
