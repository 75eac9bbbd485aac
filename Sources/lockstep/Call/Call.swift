import ArgumentParser
import Foundation
import RPCClient
import RPCCore
import ServiceClients
import ServiceKit

/// `lockstep call`
struct Call: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Call one method and print its answer as JSON.",
        discussion: """
            The request is JSON with the contract's field names; bytes are base64. Give secrets with -d @FILE or \
            -d -, so that they are in no process list.

              lockstep call HealthService/Check --target auth
              lockstep call PasswordService/Verify --cert auth -d @request.json
              lockstep call HealthWatchService/Watch --target auth

            Of a method that streams each response is a line, as it comes; requests are lines of JSON, sent as they \
            are read.

            Ends with 0, or by what went wrong: 64 bad command, 65 bad request, 69 unknown there, \
            70 the service failed, 75 try again, 77 not allowed, 78 configuration.
            """)

    @Argument(help: ArgumentHelp("Which method, with or without its package.", valueName: "service/method"))
    var method: String

    @Option(
        name: [.customShort("d"), .customLong("data")],
        help: ArgumentHelp("The request: JSON, @FILE, or - for standard input.", valueName: "json"))
    var data: String?

    @Option(help: ArgumentHelp("As whom: a certificate in the state directory.", valueName: "name"))
    var cert = "operator"

    @Option(help: ArgumentHelp("Where: a service's name, NAME@host:port or host:port. Default: by configuration.", valueName: "target"))
    var target: String?

    @Option(help: ArgumentHelp("How long to wait, such as 500ms or 10s. Default: the contract's.", valueName: "time"))
    var timeout: String?

    @OptionGroup var state: StateOption

    func run() async throws {
        try await CommandFailure.reported {
            let settings = try OperatorSettings(environment: state.environment)
            let target = try CallTarget(method: method, target: target, settings: settings)
            var options = CallOptions(timeout: try limit)
            // A person waits: when nobody is there, that is the answer.
            options.waitForReady = false
            let isStream = target.coding.descriptor.kind.streams
            let request = isStream ? [] : try RequestData.read(data)
            let lines = isStream ? try RequestLines.open(data) : nil
            let pool = try ClientPool(
                service: target.process.rawValue, resolver: target.location.resolver,
                tls: settings.identity(cert), options: ClientOptions(connections: 1))
            let answer: Result<[UInt8]?, RPCError>
            if let lines {
                answer = try await Self.stream(target.coding, lines, options, pool)
            } else {
                answer = await Self.answer(target.coding, request, options, pool).map { $0 }
            }
            await pool.shutdown()
            try Self.show(answer.mapError(named))
        }
    }

    /// A server does not tell a stranger which methods it has; here the name is known.
    private func named(_ error: RPCError) -> RPCError {
        guard error.reason == "caller_not_allowed" else { return error }
        var error = error
        error.message = "\(cert) may not call \(method); `lockstep list` shows who may."
        return error
    }

    private var limit: Duration? {
        get throws {
            guard let timeout else { return nil }
            guard let duration = Duration(raw: .text(timeout)) else {
                throw CommandFailure("--timeout is \"\(timeout)\"; it takes \(Duration.allowed).", status: 64)
            }
            return duration
        }
    }

    private static func answer(
        _ coding: MethodCoding, _ json: [UInt8], _ options: CallOptions, _ pool: ClientPool
    ) async -> Result<[UInt8], RPCError> {
        do throws(RPCError) {
            let request = try coding.requestToSend(fromJSON: json)
            let response = try await pool.call(coding.descriptor, request: request, options: options)
            return .success(try coding.json(fromResponse: response))
        } catch {
            return .failure(error)
        }
    }

    private static func stream(
        _ coding: MethodCoding, _ lines: RequestLines, _ options: CallOptions, _ pool: ClientPool
    ) async throws -> Result<[UInt8]?, RPCError> {
        do {
            try await StreamedCall(
                coding: coding, channel: pool, options: options, requests: lines, show: StandardOutput.line
            ).run()
            return .success(nil)
        } catch let error as RPCError {
            return .failure(error)
        }
    }

    private static func show(_ answer: Result<[UInt8]?, RPCError>) throws {
        switch answer {
        case .success(let json?): StandardOutput.line(json)
        case .success(nil): break
        case .failure(let error):
            let report = CallReport(error: error)
            report.lines.forEach(StandardError.print)
            throw ExitCode(report.status)
        }
    }
}

extension MethodCoding {
    /// The request; when it is wrong, it has not been sent.
    func requestToSend(fromJSON json: [UInt8]) throws(RPCError) -> [UInt8] {
        do {
            return try requestBytes(fromJSON: json)
        } catch {
            var unsent = error
            unsent.processed = .no
            throw unsent
        }
    }
}
