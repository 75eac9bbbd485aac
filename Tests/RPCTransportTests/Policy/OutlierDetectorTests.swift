import RPCClient
import Testing

@Suite struct OutlierDetectorTests {
    private let start = ContinuousClock.now
    private let peers = (1...4).map(PeerID.init)

    private func at(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }

    private func detector(_ count: Int, _ change: (inout OutlierOptions) -> Void = { _ in }) -> OutlierDetector {
        var options = OutlierOptions()
        change(&options)
        var detector = OutlierDetector(options)
        for peer in peers.prefix(count) { detector.add(peer, now: start) }
        return detector
    }

    private func fail(_ detector: inout OutlierDetector, _ peer: PeerID, _ times: Int = 5, at seconds: Double = 0) {
        for _ in 0..<times { detector.failed(peer, now: at(seconds)) }
    }

    private func probe(_ detector: inout OutlierDetector, at seconds: Double) -> PeerID? {
        detector.probe(now: at(seconds)) { _ in true }
    }

    @Test("Failures in a row eject; a success between them does not let them add up")
    func inARow() {
        var detector = detector(3)
        fail(&detector, peers[0], 4)
        #expect(detector.isHealthy(peers[0]) && !detector.isCalm)
        detector.succeeded(peers[0], now: start)
        #expect(detector.isCalm)
        fail(&detector, peers[0], 4)
        #expect(detector.isHealthy(peers[0]))
        fail(&detector, peers[0], 1)
        #expect(!detector.isHealthy(peers[0]))
        #expect(detector.isHealthy(peers[1]))
        #expect(detector.ejected == 1 && !detector.isCalm)
    }

    @Test("Never more than their share, but one of several always; a single one never", arguments: [(1, 0), (2, 1), (3, 1), (4, 2)])
    func share(count: Int, most: Int) {
        var detector = detector(count)
        for peer in peers.prefix(count) { fail(&detector, peer, 20) }
        #expect(detector.ejected == most)
    }

    @Test("An ejected one gets one call when its time is over, and is well again when that goes well")
    func halfOpen() {
        var detector = detector(3)
        fail(&detector, peers[0])
        #expect(probe(&detector, at: 4.9) == nil)
        #expect(detector.probe(now: at(5)) { _ in false } == nil)
        #expect(probe(&detector, at: 5) == peers[0])
        #expect(probe(&detector, at: 5.1) == nil)
        #expect(!detector.isHealthy(peers[0]))
        detector.succeeded(peers[0], now: at(5.2))
        #expect(detector.isHealthy(peers[0]) && detector.isCalm)
    }

    @Test("Late successes of calls that were under way do not bring it back")
    func lateSuccess() {
        var detector = detector(3)
        fail(&detector, peers[0])
        detector.succeeded(peers[0], now: at(1))
        #expect(!detector.isHealthy(peers[0]))
    }

    @Test("A probe that fails makes the next wait twice as long, up to a bound")
    func grows() {
        var detector = detector(3) { $0.longestEjection = .seconds(20) }
        fail(&detector, peers[0])
        var now = 0.0
        for wait in [5.0, 10, 20, 20] {
            #expect(probe(&detector, at: now + wait - 0.001) == nil)
            now += wait
            #expect(probe(&detector, at: now) == peers[0])
            detector.failed(peers[0], now: at(now))
        }
    }

    @Test("Good health makes earlier ejections forgotten")
    func forgiven() {
        var detector = detector(3)
        fail(&detector, peers[0])
        #expect(probe(&detector, at: 5) == peers[0])
        detector.succeeded(peers[0], now: at(5))
        fail(&detector, peers[0], at: 6)
        #expect(probe(&detector, at: 15.9) == nil)
        #expect(probe(&detector, at: 16) == peers[0])
        detector.succeeded(peers[0], now: at(16))
        fail(&detector, peers[0], at: 1000)
        #expect(probe(&detector, at: 1005) == peers[0])
    }

    @Test("A probe without an outcome gives way to the next")
    func lostProbe() {
        var detector = detector(2)
        fail(&detector, peers[1])
        #expect(probe(&detector, at: 5) == peers[1])
        #expect(probe(&detector, at: 9.9) == nil)
        #expect(probe(&detector, at: 10) == peers[1])
    }

    @Test("One that fails now and then while others do not is ejected at the end of the interval, also of three")
    func successRate() {
        var detector = detector(3)
        for _ in 0..<50 {
            detector.failed(peers[0], now: at(1))
            detector.succeeded(peers[0], now: at(1))
        }
        #expect(detector.isHealthy(peers[0]))
        #expect(!detector.isIntervalOver(now: at(9)))
        #expect(detector.isIntervalOver(now: at(10)))
        detector.endInterval(successes: [peers[0]: 50, peers[1]: 100, peers[2]: 98], now: at(10))
        #expect(!detector.isHealthy(peers[0]))
        #expect(detector.isHealthy(peers[1]) && detector.isHealthy(peers[2]))
        #expect(!detector.isIntervalOver(now: at(19)))
    }

    @Test("Where all fail alike, nobody is an outlier; few answers say nothing")
    func noOutlier() {
        var detector = detector(3)
        for _ in 0..<50 {
            for peer in peers.prefix(3) {
                detector.failed(peer, now: at(1))
                detector.succeeded(peer, now: at(1))
            }
        }
        detector.endInterval(successes: [peers[0]: 50, peers[1]: 50, peers[2]: 50], now: at(10))
        #expect(detector.ejected == 0)
        for _ in 0..<4 { detector.failed(peers[0], now: at(11)) }
        detector.endInterval(successes: [peers[0]: 50, peers[1]: 150, peers[2]: 150], now: at(20))
        #expect(detector.ejected == 0)
    }

    @Test("Successes count since the interval's beginning only")
    func intervals() {
        var detector = detector(2)
        detector.endInterval(successes: [peers[0]: 1000, peers[1]: 1000], now: at(10))
        for _ in 0..<30 {
            detector.failed(peers[0], now: at(11))
            detector.succeeded(peers[0], now: at(11))
        }
        detector.endInterval(successes: [peers[0]: 1030, peers[1]: 1060], now: at(20))
        #expect(!detector.isHealthy(peers[0]))
    }

    @Test("One that is removed counts no more; one that is left alone begins anew")
    func removed() {
        var detector = detector(2)
        fail(&detector, peers[0])
        #expect(detector.ejected == 1)
        detector.remove(peers[1])
        detector.forgive(peers[0], now: at(1))
        #expect(detector.isHealthy(peers[0]) && detector.isCalm)
        detector.remove(peers[0])
        detector.failed(peers[0], now: at(2))
        detector.succeeded(peers[0], now: at(2))
        #expect(detector.isCalm)
    }
}
