import CLinux
import Testing

@testable import ServiceKit

/// The limit is `SystemTests.noCoreDumps`'s: lowered here, it would stay lowered for all tests.
@Suite struct CoreDumpsTests {
    @Test("ASVS 13.3.1: no other process of the user looks into this one") func hidden() {
        #expect(lockstep_set_dumpable(1) == 0 && lockstep_dumpable() == 1)
        #expect(CoreDumps.hide() && lockstep_dumpable() == 0)
        #expect(lockstep_set_dumpable(1) == 0)
    }
}
