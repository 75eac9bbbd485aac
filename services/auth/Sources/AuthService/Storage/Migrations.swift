package import SQL

package enum AuthMigrations {
    /// The files of `services/auth/migrations`, compiled in.
    package static let all = [
        Migration(version: 1, name: "accounts", bytes: PackageResources._001_accounts_sql),
        Migration(version: 2, name: "bounds", bytes: PackageResources._002_bounds_sql),
        Migration(version: 3, name: "administration", bytes: PackageResources._003_administration_sql),
        Migration(version: 4, name: "factors", bytes: PackageResources._004_factors_sql),
    ]
}
