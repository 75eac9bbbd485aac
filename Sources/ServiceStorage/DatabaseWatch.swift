package import Logging
package import ServiceKit
internal import ServiceLifecycle
package import SQL

/// Says in a process's health whether its database answers, so that who asks before sending work sends it elsewhere.
///
/// Calls find out by themselves: this changes what the process says of itself, and nothing of what it does.
package struct DatabaseWatch: Service {
    /// Between two questions while it answers.
    package static let interval = Duration.seconds(2)
    /// Between two questions while the database is away: nobody is sent here until its return is seen.
    package static let intervalOfTrouble = Duration.milliseconds(250)
    /// How long an answer may take. Longer than a quiet database needs by far, and less than callers wait.
    package static let patience = Duration.seconds(2)

    private let database: Database
    private let services: [String]
    private let health: HealthBook
    private let logger: Logger
    private let interval: Duration

    /// - Parameter services: The full names of those that cannot serve without the database.
    package init(
        _ database: Database, services: [String], health: HealthBook, logger: Logger,
        interval: Duration = DatabaseWatch.interval
    ) {
        self.database = database
        self.services = services
        self.health = health
        self.logger = logger
        self.interval = interval
    }

    /// For the process that `environment` is of.
    package init(_ database: Database, services: [String], _ environment: ServiceEnvironment) {
        self.init(database, services: services, health: environment.health, logger: environment.logger)
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var last: String?
            while !Task.isCancelled {
                let trouble = await trouble()
                guard !Task.isCancelled else { return }
                if trouble != last { tell(trouble) }
                last = trouble
                try? await Task.sleep(for: trouble == nil ? interval : min(interval, Self.intervalOfTrouble))
            }
        }
    }

    private func tell(_ trouble: String?) {
        for service in services { health.set(service, trouble.map { .notServing(reason: $0) } ?? .serving) }
        if let trouble {
            logger.event(.error, "not serving", .path("reason", trouble))
        } else {
            logger.event(.notice, "serving again")
        }
    }

    /// Nil when the database answers. A sentence without the names of hosts, users or tables: health is shown to peers.
    private func trouble() async -> String? {
        do {
            return try await database.answers(within: Self.patience) ? nil : "The database does not answer in time."
        } catch {
            return "The database cannot be reached."
        }
    }
}

extension Database {
    /// Whether a question of no cost is answered in time.
    ///
    /// - Throws: `SQLError` when the database cannot be asked.
    fileprivate func answers(within patience: Duration) async throws -> Bool {
        do {
            return try await read(deadline: .now.advanced(by: patience)) { try $0.query("SELECT 1").count == 1 }
        } catch let error as SQLError where error.kind == .timeout {
            return false
        }
    }
}
