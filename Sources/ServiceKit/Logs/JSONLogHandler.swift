import Glibc
import Logging

/// Writes each event as one line of JSON: time, level, service, message, then the fields in order of name.
///
/// Fields are written when they are `LogValue`s. Anything else (text that somebody put together) is replaced: what it
/// holds, nobody can tell.
struct JSONLogHandler: LogHandler {
    let service: String
    let output: any LogOutput
    let clock: any WallClock
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(service: String, level: Logger.Level, output: any LogOutput, clock: any WallClock) {
        self.service = service
        self.logLevel = level
        self.output = output
        self.clock = clock
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = JSONLine()
        line.add("time", RFC3339.text(microseconds: clock.microseconds))
        line.add("level", event.level.rawValue)
        line.add("service", service)
        line.add("message", event.message.description)
        for (name, value) in fields(of: event) where !Self.reserved.contains(name) {
            line.add(name, value)
        }
        if let error = event.error { line.add(LogField.error(error).name, LogField.error(error).value) }
        output.write(line.finished())
        if event.level >= .critical { output.flush() }
    }

    private static let reserved: Set = ["time", "level", "service", "message"]

    private func fields(of event: LogEvent) -> [(String, LogValue)] {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let given = event.metadata { all.merge(given) { $1 } }
        return all.map { ($0, Self.typed($1)) }.sorted { $0.0 < $1.0 }
    }

    private static func typed(_ value: Logger.MetadataValue) -> LogValue {
        if case .stringConvertible(let value) = value, let typed = value as? LogValue { return typed }
        return LogValue(content: .text(LogValue.untyped))
    }
}

/// Instants as RFC 3339 writes them, in UTC with milliseconds.
enum RFC3339 {
    static func text(microseconds: Int64) -> String {
        let milliseconds = microseconds / 1000
        var seconds = time_t(milliseconds / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let date = "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(Int(parts.tm_mon) + 1, 2))-\(pad(Int(parts.tm_mday), 2))"
        let time = "\(pad(Int(parts.tm_hour), 2)):\(pad(Int(parts.tm_min), 2)):\(pad(Int(parts.tm_sec), 2))"
        return "\(date)T\(time).\(pad(Int(milliseconds % 1000), 3))Z"
    }

    private static func pad(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
