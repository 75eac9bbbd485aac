package import Logging

extension Logger {
    /// Writes one line. The message is fixed text, what varies is in fields: so nothing can be interpolated into it.
    package func event(
        _ level: Logger.Level, _ message: StaticString, _ fields: LogField..., file: String = #fileID,
        function: String = #function, line: UInt = #line
    ) {
        event(level, message, fields, file: file, function: function, line: line)
    }

    package func event(
        _ level: Logger.Level, _ message: StaticString, _ fields: [LogField], file: String = #fileID,
        function: String = #function, line: UInt = #line
    ) {
        guard level >= logLevel else { return }
        let metadata = Logger.Metadata(fields.map { ($0.name, .stringConvertible($0.value)) }) { $1 }
        log(
            level: level, "\(message)", metadata: metadata, source: nil, file: file, function: function, line: line)
    }

    /// A logger whose lines all have these fields.
    package func with(_ fields: LogField...) -> Logger {
        var logger = self
        for field in fields { logger[metadataKey: field.name] = .stringConvertible(field.value) }
        return logger
    }

    /// A logger that writes JSON lines.
    package init(
        service: String, level: Logger.Level, output: any LogOutput, clock: any WallClock = SystemWallClock()
    ) {
        self.init(label: service) { _ in
            JSONLogHandler(service: service, level: level, output: output, clock: clock)
        }
    }
}
