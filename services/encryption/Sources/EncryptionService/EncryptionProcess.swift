import Dispatch
import Glibc
import LibCrypto
import Logging
package import ServiceKit

/// The process: configuration in, handlers out.
package enum EncryptionProcess {
    package static let process = SyncServiceProcess(table: EncryptionConfig.table, compose: compose)

    /// Opens the keyring and builds the handlers; the keyring thread ends after the server has drained.
    static func compose(_ environment: ServiceEnvironment) throws -> SyncParts {
        let logger = environment.logger
        let clock = environment.clock
        let composition = try Composition.make(
            EncryptionSettings(environment.configuration), clock: { clock.microseconds },
            report: { event in
                switch event {
                case .changed(let order, let version):
                    logger.event(
                        .notice, "key administered", .id("key", order.key), .id("action", order.change.action),
                        .id("actor", order.actor.name), .count("version", version))
                case .refused(let order, let error):
                    logger.event(
                        .warning, "key not administered", .id("key", order.key), .id("action", order.change.action),
                        .id("reason", error.rpcError.reason))
                case .putBack(let generation, let written):
                    logger.event(
                        .warning, "keyring is an older one, its messages are counted on", .count("generation", generation),
                        .count("written", written))
                case .sealedAnew(let id):
                    logger.event(.notice, "keyring sealed anew", .id("master_key", Hex.encode(id)))
                case .reserved(let keys): logger.event(.debug, "reserves written", .count("keys", keys.count))
                case .usesTold(let count): logger.event(.debug, "uses of keys written to the audit log", .count("records", count))
                case .usesLost(let count):
                    logger.event(.error, "uses of keys are not in the audit log, which could not be written", .count("calls", count))
                case .administrationStopped(let error):
                    logger.event(.error, "audit log not written, key administration stopped", .error(error))
                case .administrationResumed:
                    logger.event(.notice, "audit log written again, key administration resumed")
                case .activated(let key, let version):
                    logger.event(.notice, "key version in use", .id("key", key), .count("version", version))
                case .reloaded(let generation): logger.event(.info, "keyring taken over", .count("generation", generation))
                case .unreachable(let error):
                    logger.event(.error, "keyring's database not reached, key administration stopped", .error(error))
                case .reachable: logger.event(.notice, "keyring's database reached again")
                case .memoryNotLocked: logger.event(.warning, "master key not locked in memory", .error(StartProblem.memoryNotLocked))
                case .failed(let error):
                    logger.event(.error, "keyring not written, trying again", .error(error))
                case .abandoned(let error):
                    logger.event(.error, "keyring not written before the end", .error(error))
                }
            })
        let hangUp = HangUp { composition.keeper.reload() }
        return SyncParts(
            handlers: composition.handlers,
            stop: {
                hangUp.stop()
                composition.keeper.stop()
            })
    }
}

/// Calls a function for each SIGHUP, which the process has to ignore otherwise.
private final class HangUp: Sendable {
    // Unsafe: dispatch sources may be cancelled from any thread; nothing else is done with it.
    nonisolated(unsafe) private let source: any DispatchSourceSignal

    init(_ body: @escaping @Sendable () -> Void) {
        source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
        source.setEventHandler(handler: body)
        source.activate()
    }

    func stop() { source.cancel() }
}

extension EncryptionSettings {
    /// - Throws: `ConfigProblem` for a key that is not in the table; the values were checked when they were loaded.
    package init(_ configuration: Configuration) throws {
        let policy = try configuration[EncryptionConfig.policy]
        self.init(
            location: KeyringLocation(
                keyring: try configuration[EncryptionConfig.keyring].path(in: configuration.state),
                masterKey: try configuration[EncryptionConfig.masterKey].path(in: configuration.state),
                audit: try configuration[EncryptionConfig.audit].path(in: configuration.state),
                database: try configuration[EncryptionConfig.database].url.map {
                    Redacted($0.resolved(in: configuration.state, schema: "encryption"))
                }),
            keys: try configuration[EncryptionConfig.keys].compactMap { KeySpecification($0) },
            mayCreate: try configuration[EncryptionConfig.create],
            policy: try KeyPolicy(json: policy.isEmpty ? KeyPolicy.standardText : policy),
            rounds: try configuration[EncryptionConfig.rounds],
            minimumPassword: try configuration[EncryptionConfig.minimumPassword],
            issuer: try configuration[EncryptionConfig.issuer],
            skew: try configuration[EncryptionConfig.skew].components.seconds,
            publishLead: try configuration[EncryptionConfig.publishLead].components.seconds)
        let descriptor = try configuration[EncryptionConfig.masterKeyDescriptor]
        if descriptor >= 0 { location.masterKeyDescriptor = Int32(clamping: descriptor) }
        let module = try configuration[EncryptionConfig.module]
        if !module.isEmpty {
            let pin = try configuration[EncryptionConfig.pinDescriptor]
            location.token = PKCS11Token(
                module: module, token: try configuration[EncryptionConfig.token], key: try configuration[EncryptionConfig.tokenKey],
                pin: pin >= 0
                    ? .descriptor(InheritedPIN(descriptor: Int32(clamping: pin)))
                    : .file(try configuration[EncryptionConfig.pinFile].path(in: configuration.state)))
        }
        sharing = Sharing(
            poll: try configuration[EncryptionConfig.poll].microseconds,
            lease: try configuration[EncryptionConfig.lease].microseconds)
        passwords.minimumWithSecondFactor = try configuration[EncryptionConfig.minimumWithSecondFactor]
        passwords.contextWords = try configuration[EncryptionConfig.contextWords]
        let blocklist = try configuration[EncryptionConfig.blocklist]
        passwords.blocklist = blocklist.isEmpty ? nil : StatePath(blocklist).path(in: configuration.state)
        let pepper = try configuration[EncryptionConfig.pepper]
        passwords.pepperKey = pepper.isEmpty ? nil : pepper
        passwords.formerPepperKeys = try configuration[EncryptionConfig.formerPeppers]
        location.auditBeginsAfter = UInt64(try configuration[EncryptionConfig.beginAfter])
        auditsUses = try configuration[EncryptionConfig.uses]
        isMemoryLockRequired = try configuration[EncryptionConfig.lockMemory] == "required"
        isFIPSRequired = try configuration[EncryptionConfig.fips] == "required"
    }
}

extension Duration {
    fileprivate var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}

extension KeyringProblem: LoggableError, ExitStatusProviding {
    package var logLine: String { description }

    /// All but a passing trouble of the system needs a person.
    package var exitStatus: Int32 {
        switch self {
        case .inUse, .io, .crypto: ExitStatus.failure
        case .unreachable, .superseded, .masterKeyLocked: ExitStatus.failure
        default: ExitStatus.configuration
        }
    }
}
