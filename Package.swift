// swift-tools-version: 6.2
import PackageDescription

/// One set of settings for every target: Swift 6 mode, explicit import visibility, warnings are errors.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTPTypes: Target.Dependency = .product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let protobufPlugin: Target.Dependency = .product(name: "SwiftProtobufPluginLibrary", package: "swift-protobuf")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let configuration: Target.Dependency = .product(name: "Configuration", package: "swift-configuration")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let coreMetrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let tracing: Target.Dependency = .product(name: "Tracing", package: "swift-distributed-tracing")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let hummingbirdTLS: Target.Dependency = .product(name: "HummingbirdTLS", package: "hummingbird")
let hummingbirdHTTP2: Target.Dependency = .product(name: "HummingbirdHTTP2", package: "hummingbird")
let mustache: Target.Dependency = .product(name: "Mustache", package: "swift-mustache")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

/// What a call passes through: an async function runs where its caller does, for each change of executor costs a call
/// more than its frame does.
let calls: [SwiftSetting] = settings + [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]

/// What runs for every call: no checks of exclusive access at run time in release builds. Debug builds, and so all tests,
/// have them.
let hot: [SwiftSetting] = calls + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

/// A module under `Sources/`.
func module(_ name: String, _ dependencies: [Target.Dependency], settings: [SwiftSetting] = settings) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(name)", swiftSettings: settings)
}

/// A C library of Debian's, found by pkg-config or on the default search path.
func system(_ name: String, pkgConfig: String? = nil, apt: String) -> Target {
    .systemLibrary(name: name, path: "Sources/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

/// A service: the library that holds it and the executable of a few lines that runs it. With `migrations`, the SQL
/// files of its `migrations/` folder are compiled into the library, and so are files of `data`: the executable works from any
/// directory.
func service(
    _ folder: String, library: String, migrations: Bool = false, data: [String] = [], _ dependencies: [Target.Dependency]
) -> [Target]
{
    [
        migrations
            ? .target(
                name: library, dependencies: dependencies, path: "services/\(folder)",
                exclude: ["README.md", "Sources/\(folder)"], sources: ["Sources/\(library)"],
                resources: [.embedInCode("migrations")], swiftSettings: settings)
            : .target(
                name: library, dependencies: dependencies, path: "services/\(folder)/Sources/\(library)",
                resources: data.map { .embedInCode($0) }, swiftSettings: settings),
        .executableTarget(
            name: folder, dependencies: [.target(name: library), "ServiceKit"],
            path: "services/\(folder)/Sources/\(folder)",
            swiftSettings: settings),
    ]
}

/// The tests of one module, in the folder of the same name.
func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource] = [])
    -> Target
{
    .testTarget(
        name: name, dependencies: dependencies + ["TestSupport"], path: "Tests/\(name)", exclude: exclude,
        resources: resources, swiftSettings: settings)
}

let package = Package(
    name: "lockstep",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.1"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // MARK: C libraries of the system
        system("CSQLite", pkgConfig: "sqlite3", apt: "libsqlite3-dev"),
        system("CLibPQ", pkgConfig: "libpq", apt: "libpq-dev"),
        system("COpenSSL", pkgConfig: "libcrypto", apt: "libssl-dev"),
        system("CXCrypt", apt: "libcrypt-dev"),
        // One AES key on a PKCS #11 token: a module is loaded while the program runs.
        .target(name: "CPKCS11", path: "Sources/CPKCS11"),
        system("CLinux", apt: "libc6-dev"),

        // MARK: Protocol: the wire, the call layer and the transport between them
        // Sans-IO frames, connection and call state machines: bytes and time in, bytes and events out.
        module("WireCore", [nioCore], settings: hot),
        // The call layer: status, errors, descriptors, contexts, handlers, channels.
        module("RPCCore", [protobuf, deque], settings: hot),
        // NIO + TLS driver of WireCore: identity, listener, execution of handlers.
        module(
            "RPCTransport", ["CLinux", "WireCore", "RPCCore", deque, nioCore, nioPosix, nioSSL, nioTLS, x509, asn1], settings: hot),
        // The calling side: connections, reconnection, deadlines. No SYNC service links it.
        module(
            "RPCClient", ["RPCTransport", "WireCore", "RPCCore", deque, nioCore, nioPosix, nioSSL, nioTLS, x509],
            settings: hot),
        // The same call layer in memory, for service tests.
        module("RPCInProcess", ["RPCCore"]),

        // MARK: Contract: from Protocols/*.proto to Swift
        // Descriptors -> model -> lint -> Swift text, pure.
        module("RPCCodeGen", [protobuf, protobufPlugin]),
        // stdin -> RPCCodeGen -> stdout.
        .executableTarget(
            name: "protoc-gen-lockstep", dependencies: ["RPCCodeGen", protobuf, protobufPlugin],
            path: "Sources/protoc-gen-lockstep", swiftSettings: settings),
        // Generated messages, descriptors and handler protocols: checked in, never edited.
        module("Contracts", ["RPCCore", protobuf], settings: calls),
        // Generated clients: checked in, never edited. Linked by ASYNC services only.
        module("ContractClients", ["Contracts", "RPCCore", protobuf], settings: calls),

        // MARK: What services share
        // AES-GCM, Ed25519, HMAC, SHA-256 and random bytes over OpenSSL's libcrypto.
        module("LibCrypto", ["COpenSSL"]),
        // Compact JWS and JWK sets (RFC 7515, 7517, 8037): one signer and one verifier for everyone.
        module("JOSE", ["LibCrypto"]),
        // Connections, transactions, prepared statements and migrations over SQLite and PostgreSQL.
        module("SQL", ["CSQLite", "CLibPQ", deque, heap]),
        // What the five processes share: configuration, logs, health, lifecycle, identity, Redacted.
        module(
            "ServiceKit",
            [
                "CLinux", "RPCCore", "RPCTransport", "Contracts", "JOSE", "LibCrypto", nioCore, nioPosix, nioSSL, x509, asn1, logging,
                configuration, lifecycle, unixSignals, protobuf, nioHTTP1, coreMetrics, tracing,
            ]),
        // What stores share: the database's trouble as callers may see it.
        module("ServiceStorage", ["ServiceKit", "SQL", "RPCCore", coreMetrics, lifecycle, logging]),
        // Channels to the other services, by configuration. Apart from ServiceKit, since no SYNC service links a client.
        module("ServiceClients", ["ServiceKit", "RPCClient", "RPCCore", "RPCTransport"]),

        // MARK: Command line
        // Development CA and certificates for the five and the operator.
        module("DevelopmentCA", ["RPCCore", "RPCTransport", "LibCrypto", x509, asn1, crypto]),
        // Contract tests of an implementation of the wire, ours or another's, as a child process.
        module(
            "ContractHarness",
            [
                "Supervision", "RPCCore", "RPCTransport", "RPCClient", "WireCore", "DevelopmentCA", protobuf, nioCore, nioPosix, nioSSL,
                nioTLS, x509, asn1, crypto,
            ]),
        // Starts, watches and restarts processes: a state value, and the driver that spawns.
        module("Supervision", ["CLinux"]),
        .executableTarget(
            name: "lockstep",
            dependencies: [
                "Contracts", "ContractClients", "RPCCore", "RPCTransport", "RPCClient", "ServiceKit", "ServiceClients",
                "DevelopmentCA", "Supervision", "RPCCodeGen", "ContractHarness", "AuthService", "EmailService", "TokenService",
                "EncryptionService", "LibCrypto", "SQL", httpClient, nioCore, nioPosix, nioHTTP1,
                nioSSL, arguments, protobuf,
            ],
            path: "Sources/lockstep", swiftSettings: settings),
    ]
        // MARK: Services
        + service(
            "encryption", library: "EncryptionService",
            data: [
                "Passwords/common-passwords.txt", "KeyringStore/Migrations/0001_keyring.sql", "KeyringStore/Migrations/0002_lease.sql",
            ],
            [
                "CLinux", "Contracts", "RPCCore", "RPCTransport", "ServiceKit", "LibCrypto", "JOSE", "CXCrypt", "CPKCS11", "SQL", protobuf,
                logging, lifecycle,
            ])
        + service(
            "auth", library: "AuthService", migrations: true,
            [
                "Contracts", "ContractClients", "RPCCore", "RPCTransport", "RPCClient", "ServiceKit", "ServiceClients",
                "ServiceStorage", "LibCrypto", "SQL", protobuf, logging, lifecycle,
            ])
        + service(
            "token", library: "TokenService", migrations: true,
            [
                "Contracts", "ContractClients", "RPCCore", "RPCTransport", "RPCClient", "ServiceKit", "ServiceClients",
                "ServiceStorage", "LibCrypto", "SQL", httpClient, nioCore, nioHTTP1, protobuf, logging, lifecycle,
            ])
        + service(
            "email", library: "EmailService", migrations: true,
            [
                "Contracts", "ContractClients", "RPCCore", "RPCTransport", "RPCClient", "ServiceKit", "ServiceClients",
                "ServiceStorage", "LibCrypto", "SQL", mustache, logging, lifecycle,
            ])
        + service(
            "gateway", library: "GatewayService",
            [
                "Contracts", "ContractClients", "RPCCore", "RPCTransport", "RPCClient", "ServiceKit", "ServiceClients", "JOSE",
                "LibCrypto", hummingbird, hummingbirdCore, hummingbirdTLS, hummingbirdHTTP2, httpTypes, nioHTTPTypes, nioHTTP1, nioTLS,
                protobuf, nioCore, nioSSL, logging, lifecycle, coreMetrics,
            ])
        // MARK: Tests
        + [
            .target(
                name: "TestSupport", dependencies: [x509, asn1, crypto], path: "Tests/Support", exclude: ["buf", "fips", "oauth-provider", "openapi", "postgres", "test.sh", "vectors"],
                swiftSettings: settings),
            tests("WireCoreTests", ["WireCore", nioCore]),
            tests("RPCCoreTests", ["RPCCore", "RPCInProcess", protobuf]),
            tests(
                "RPCTransportTests",
                ["CLinux", "RPCTransport", "RPCClient", "RPCCore", "WireCore", nioCore, nioPosix, nioSSL, nioEmbedded, x509, crypto],
                exclude: ["Protection/README.md"]),
            tests(
                "RPCCodeGenTests", ["RPCCodeGen", "RPCCore", "RPCInProcess", protobuf, protobufPlugin],
                exclude: ["Fixtures", "Descriptors"]),
            tests("LibCryptoTests", ["LibCrypto", "COpenSSL"], resources: [.copy("Vectors")]),
            tests("JOSETests", ["JOSE", "LibCrypto"], resources: [.copy("Vectors")]),
            tests("SQLTests", ["SQL"]),
            tests("ServiceKitTests", ["ServiceKit", "CLinux", "ServiceClients", "RPCClient", "ServiceStorage", "SQL", "DevelopmentCA", "Contracts", "ContractClients", "RPCCore", "RPCTransport", "LibCrypto", "JOSE", lifecycle, logging, protobuf, coreMetrics, tracing, httpClient, nioCore, nioHTTP1]),
            tests("DevelopmentCATests", ["DevelopmentCA", "RPCCore", "RPCTransport", x509, asn1]),
            tests("SupervisionTests", ["Supervision"]),
            tests("ContractHarnessTests", ["ContractHarness", "lockstep-peer"]),
            tests(
                "LockstepTests",
                [
                    "lockstep", "AuthService", "EncryptionService", "LibCrypto", "Contracts", "ContractClients", "SQL", "RPCCodeGen",
                    "RPCCore", "RPCInProcess", "ServiceKit", nioCore, nioPosix,
                ]),
            tests(
                "EncryptionServiceTests",
                [
                    "EncryptionService", "CPKCS11", "Contracts", "ContractClients", "RPCCore", "RPCInProcess", "ServiceKit", "LibCrypto",
                    "JOSE", "SQL", protobuf,
                ],
                resources: [.copy("Vectors")]),
            tests("AuthServiceTests", ["AuthService", "Contracts", "ContractClients", "RPCCore", "RPCInProcess", "ServiceKit", "SQL", "LibCrypto", logging]),
            tests(
                "TokenServiceTests",
                [
                    "TokenService", "Contracts", "ContractClients", "RPCCore", "RPCInProcess", "ServiceKit", "SQL", "LibCrypto",
                    httpClient, nioCore, nioPosix, nioHTTP1, protobuf, logging,
                ]),
            tests(
                "EmailServiceTests",
                [
                    "EmailService", "Contracts", "ContractClients", "RPCCore", "RPCInProcess", "ServiceKit", "SQL", "LibCrypto",
                    logging,
                ]),
            tests("GatewayServiceTests", ["GatewayService", "Contracts", "ContractClients", "RPCCore", "RPCInProcess", "RPCTransport", "ServiceKit", "JOSE", "LibCrypto", httpClient, nioCore, nioPosix, nioHTTP1, nioSSL, x509, asn1, crypto, logging, lifecycle, protobuf]),
            // A running system under load: what users wait for while others sign in.
            .executableTarget(
                name: "lockstep-load", dependencies: ["RPCTransport", httpClient, nioCore, nioPosix, nioSSL, arguments],
                path: "Tests/Benchmarks/GatewayLoad", swiftSettings: settings),
            // Echoes of this RPC and of the floor below it, for comparison with others.
            .executableTarget(
                name: "lockstep-echo",
                dependencies: [
                    "RPCCore", "RPCTransport", "RPCClient", "WireCore", "ServiceKit", "CXCrypt", "Contracts", "ContractClients",
                    protobuf, nioCore, nioPosix, nioSSL, nioTLS, arguments,
                ],
                path: "Tests/Benchmarks/Echo", swiftSettings: calls),
            // Our own implementation as a peer of the contract tests.
            .executableTarget(
                name: "lockstep-peer", dependencies: ["ContractHarness", arguments], path: "Tests/Contract/Peer",
                swiftSettings: settings),
            // The rules of the house that a machine can check: imports, banned words, traps, generated code.
            tests("SoundnessTests", []),
            // Many calls over networks that fail, in virtual time.
            .testTarget(
                name: "SimulationTests", dependencies: ["WireCore", nioCore], path: "Tests/Simulation",
                swiftSettings: settings),
            // Functions of bytes that keep their promises: for libFuzzer, and for `make test` with what it found.
            .target(name: "FuzzWire", dependencies: ["WireCore", nioCore], path: "Tests/Fuzz/Wire", swiftSettings: settings),
            .target(
                name: "FuzzHTTP", dependencies: ["FuzzWire", "GatewayService", "Contracts", "JOSE", "RPCCore", "ServiceKit"],
                path: "Tests/Fuzz/HTTP", swiftSettings: settings),
            .testTarget(
                name: "FuzzTests", dependencies: ["FuzzWire", "FuzzHTTP"], path: "Tests/Fuzz/Tests",
                swiftSettings: settings),
            // The five processes, really started, and driven over HTTPS and the wire.
            tests("EndToEndTests", ["Contracts", "ContractClients", "RPCCore", "RPCClient", "RPCTransport", "ServiceKit", httpClient, nioCore, nioSSL]),
        ]
)

// MARK: Fuzzing
// `make fuzz` sets LOCKSTEP_FUZZ to libFuzzer's archive without a `main`: then the modules under test are instrumented,
// and there is one program more.
if let libFuzzer = Context.environment["LOCKSTEP_FUZZ"] {
    let instrumented: Set = ["WireCore", "RPCCore", "GatewayService", "JOSE", "FuzzWire", "FuzzHTTP"]
    for target in package.targets where instrumented.contains(target.name) {
        target.swiftSettings = (target.swiftSettings ?? []) + [.unsafeFlags(["-sanitize=fuzzer"])]
    }
    let whole = ["-Xlinker", "--whole-archive", "-Xlinker", libFuzzer, "-Xlinker", "--no-whole-archive", "-lstdc++"]
    package.targets.append(
        .executableTarget(
            name: "lockstep-fuzz", dependencies: ["FuzzWire", "FuzzHTTP"], path: "Tests/Fuzz/Driver",
            swiftSettings: settings, linkerSettings: [.unsafeFlags(whole)]))
}
