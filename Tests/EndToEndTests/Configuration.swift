import Foundation

extension RunningSystem {
    /// A config file that moves every port, keeps traces, and switches the rate limits off, as a load test would.
    static func configuration(_ ports: [String: Int], metrics: [String: Int]) throws -> String {
        var file: [String: [String: Any]] = [
            "gateway": ["rate_limits": "off"], "peers": [:], "log": ["spans": true],
            "tls": ["reload": "200ms"],
        ]
        for (service, port) in ports {
            if service == operations {
                file["gateway", default: [:]]["operations"] = "127.0.0.1:\(port)"
                continue
            }
            file[service, default: [:]]["listen"] = "127.0.0.1:\(port)"
            if service != "gateway" { file["peers", default: [:]][service] = "127.0.0.1:\(port)" }
        }
        for (service, port) in metrics { file[service, default: [:]]["metrics"] = "127.0.0.1:\(port)" }
        return String(decoding: try JSONSerialization.data(withJSONObject: file), as: UTF8.self)
    }
}
