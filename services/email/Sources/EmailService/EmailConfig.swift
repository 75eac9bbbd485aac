package import ServiceKit

/// Every key that this service reads, besides those that all services share.
package enum EmailConfig {
    package enum Sink: String, CaseIterable, ConfigValue {
        /// One `.eml` per message in `email.outbox_directory`.
        case file
    }

    package static let database = ConfigKey<DatabaseURL>.database(
        of: "email", "Where the outbox is kept; without a value of its own, where `database.url` (LOCKSTEP_DATABASE_URL) says.")
    package static let sink = ConfigKey(
        "email.sink", default: Sink.file, doc: "Where mail goes.")
    package static let outboxDirectory = ConfigKey(
        "email.outbox_directory", default: StatePath("outbox"),
        doc: "Folder of the sink `file`; made when it is missing, readable by its owner only.")
    package static let linkBase = ConfigKey(
        "email.link_base", default: "https://127.0.0.1:8443", allowed: "an https URL without query and fragment",
        doc: "Scheme, host and port of the pages that mails link to."
    ) { isLinkBase($0) }
    package static let fromAddress = ConfigKey(
        "email.from_address", default: "no-reply@lockstep.local", allowed: "one mail address in ASCII",
        doc: "Sender of all mail."
    ) { MailRules.addressProblem($0) == nil }
    package static let fromName = ConfigKey(
        "email.from_name", default: "Lockstep", allowed: "text without line breaks and control characters",
        doc: "The sender's name for people."
    ) { MailRules.nameProblem($0) == nil }
    package static let parallelism = ConfigKey(
        "email.parallelism", default: 4, in: 1...64, doc: "Messages under way at once.")
    package static let lease = ConfigKey(
        "email.lease", default: Duration.seconds(60), in: .seconds(5) ... .seconds(3600),
        doc: "How long a message belongs to the worker that took it; longer than any delivery takes.")
    package static let retryFirst = ConfigKey(
        "email.retry_first", default: Duration.seconds(1), in: .milliseconds(100) ... .seconds(600),
        doc: "Longest wait after the first attempt that failed; doubles with each.")
    package static let retryLongest = ConfigKey(
        "email.retry_longest", default: Duration.seconds(600), in: .seconds(1) ... .seconds(86_400),
        doc: "The wait grows no longer than this.")
    package static let maximumAttempts = ConfigKey(
        "email.max_attempts", default: 20, in: 1...1000, doc: "Attempts before a message is given up.")
    package static let retention = ConfigKey(
        "email.retention", default: Duration.seconds(7 * 86_400), in: .seconds(3600) ... .seconds(90 * 86_400),
        doc: "How long a message that ended keeps its idempotency key.")
    package static let instance = ConfigKey(
        "email.instance", default: "email-1", doc: "Name of this process among those that share the outbox.")

    package static let keys: [any ConfigEntry] = [
        database, sink, outboxDirectory, linkBase, fromAddress, fromName, parallelism, lease, retryFirst, retryLongest,
        maximumAttempts, retention, instance,
    ]
    package static let table = ConfigTable(service: "email", keys: keys)

    private static func isLinkBase(_ text: String) -> Bool {
        text.hasPrefix("https://") && text.count > "https://".count && !text.hasControlCharacters
            && !text.contains { $0 == "?" || $0 == "#" || $0 == " " }
    }
}

extension OutboxWorker.Settings {
    init(_ configuration: Configuration) throws {
        self.init()
        instance = try configuration[EmailConfig.instance]
        parallelism = try configuration[EmailConfig.parallelism]
        lease = try configuration[EmailConfig.lease]
        retention = try configuration[EmailConfig.retention]
        retry = RetryPolicy(
            first: try configuration[EmailConfig.retryFirst], longest: try configuration[EmailConfig.retryLongest],
            maximumAttempts: try configuration[EmailConfig.maximumAttempts])
    }
}
