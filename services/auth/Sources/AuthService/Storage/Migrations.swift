package import SQL

package enum AuthMigrations {
    /// The files of `services/auth/migrations`, compiled in.
    package static let all = [
        Migration(version: 1, name: "accounts", bytes: PackageResources._001_accounts_sql),
        Migration(version: 2, name: "bounds", bytes: PackageResources._002_bounds_sql),
        Migration(version: 3, name: "administration", bytes: PackageResources._003_administration_sql),
        Migration(version: 4, name: "factors", bytes: PackageResources._004_factors_sql),
        Migration(version: 5, name: "tiers", bytes: PackageResources._005_tiers_sql),
        Migration(version: 6, name: "address_changes", bytes: PackageResources._006_address_changes_sql),
        Migration(version: 7, name: "authentication", bytes: PackageResources._007_authentication_sql),
        Migration(version: 8, name: "clients", bytes: PackageResources._008_clients_sql),
        Migration(version: 9, name: "departures", bytes: PackageResources._009_departures_sql),
        Migration(
            version: 10, name: "audit_seal", bytes: PackageResources._010_audit_seal_sql,
            own: [
                .sqlite: PackageResources._010_audit_seal_sqlite_sql,
                .postgres: PackageResources._010_audit_seal_postgres_sql,
            ]),
        Migration(version: 11, name: "passkeys", bytes: PackageResources._011_passkeys_sql),
        Migration(version: 12, name: "short_passwords", bytes: PackageResources._012_short_passwords_sql),
        Migration(
            version: 13, name: "imports", bytes: PackageResources._013_imports_sql,
            own: [.postgres: PackageResources._013_imports_postgres_sql]),
        Migration(version: 14, name: "refused_guesses", bytes: PackageResources._014_refused_guesses_sql),
    ]
}
