package import SQL

package enum EmailMigrations {
    /// The files of `services/email/migrations`, compiled in.
    package static let all = [
        Migration(version: 1, name: "outbox", bytes: PackageResources._001_outbox_sql)
    ]
}
