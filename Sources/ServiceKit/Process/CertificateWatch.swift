import Dispatch
import Foundation
import Logging
import RPCTransport
import ServiceLifecycle
import UnixSignals

/// Has the process use new certificates, keys and authorities as soon as their files are replaced, or at once on
/// SIGHUP. Files that cannot be used change nothing but the log.
struct CertificateWatch: Service, CustomStringConvertible {
    let tls: TLSIdentity
    /// Between two looks at the files; nil: only on SIGHUP.
    let interval: Duration?
    let logger: Logger

    var description: String { "certificate watch" }

    /// Looks on a thread of its own: files may be slow.
    func run() async throws {
        let bell = Bell()
        let signals = await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown()
        Thread.detachNewThread { look(until: bell) }
        for await _ in signals { bell.ring() }
        bell.stop()
    }

    private func look(until bell: Bell) {
        var watch = TLSFileWatch()
        while true {
            switch bell.wait(interval) {
            case .stopped: return
            case .rung:
                watch.force(tls.files.stamps)
                reload(isAsked: true)
            case .timeOut: if watch.look(tls.files.stamps) { reload(isAsked: false) }
            }
        }
    }

    private func reload(isAsked: Bool) {
        do {
            let change = try tls.reload()
            guard isAsked || !change.isNone else { return }
            logger.event(
                .info, "certificates reloaded", .flag("certificate_changed", change.certificate),
                .flag("authorities_changed", change.authorities),
                .path("certificate_expires", tls.expires.formatted(.iso8601)))
        } catch {
            logger.event(.error, "certificates not reloaded, those in use stay", .error(error))
        }
    }
}

extension TLSConfigurationError: LoggableError {
    /// Names of files, and what is wrong with them.
    package var logLine: String { description }
}

/// Wakes a thread before its time.
private final class Bell: Sendable {
    enum Sound {
        case timeOut
        case rung
        case stopped
    }

    private let rings = DispatchSemaphore(value: 0)
    private let end = Latch()

    func ring() { rings.signal() }

    func stop() {
        end.open()
        rings.signal()
    }

    func wait(_ interval: Duration?) -> Sound {
        let time = interval.map { DispatchTime.now() + .milliseconds(Int($0 / .milliseconds(1))) } ?? .distantFuture
        let isRung = rings.wait(timeout: time) == .success
        if end.isOpen { return .stopped }
        return isRung ? .rung : .timeOut
    }
}
