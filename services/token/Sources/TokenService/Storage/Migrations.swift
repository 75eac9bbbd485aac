package import SQL

package enum TokenMigrations {
    /// The files of `services/token/migrations`, compiled in.
    package static let all = [
        Migration(version: 1, name: "connections", bytes: PackageResources._001_connections_sql),
        Migration(version: 2, name: "browsers", bytes: PackageResources._002_browsers_sql),
        Migration(version: 3, name: "purging", bytes: PackageResources._003_purging_sql),
    ]
}
