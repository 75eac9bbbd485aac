/// A user agent in words that people know: `Firefox on Linux`. A guess from what the client says of itself, to tell one's
/// own sessions apart; nothing is decided by it.
enum Device {
    /// In the order of looking: many browsers also name those that they descend from.
    private static let programs = [
        ("Edg/", "Edge"), ("EdgiOS/", "Edge"), ("EdgA/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"), ("SamsungBrowser/", "Samsung Internet"), ("CriOS/", "Chrome"), ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]
    private static let systems = [
        ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("CrOS", "ChromeOS"),
        ("Macintosh", "macOS"), ("Linux", "Linux"),
    ]
    private static let longestProgram = 40

    static func name(of userAgent: String) -> String {
        let program = programs.first { userAgent.contains($0.0) }?.1 ?? product(of: userAgent)
        let system = systems.first { userAgent.contains($0.0) }?.1
        switch (program.isEmpty, system) {
        case (true, nil): return ""
        case (true, let system?): return system
        case (false, nil): return program
        case (false, let system?): return "\(program) on \(system)"
        }
    }

    /// The first product of the list (RFC 9110, section 10.1.5), without its version: `curl` of `curl/8.9.1`.
    private static func product(of userAgent: String) -> String {
        let first = userAgent.split(separator: " ").first ?? ""
        return String((first.split(separator: "/").first ?? "").prefix(longestProgram))
    }
}
