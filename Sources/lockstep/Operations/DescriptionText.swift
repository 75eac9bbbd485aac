import Contracts

/// What `describe` prints.
enum DescriptionText {
    static func service(_ service: RuntimeHostedService, hosts: String, _ files: DescriptorFiles) -> [String] {
        var lines = ["\(service.name)  \(service.execution)"]
        lines += files.comment(service: service.name).map { "  \($0)" }
        lines += Table.lines(
            [["hosted by", hosts], ["fingerprint", service.fingerprint], ["file", service.file]], indent: 2)
        for method in service.methods {
            lines.append("")
            lines.append("  \(method.name)  \(method.kind)")
            lines += files.comment(method: method.name, of: service.name).map { "    \($0)" }
        }
        return lines
    }

    static func method(_ found: LiveContract.Method, _ files: DescriptorFiles) -> [String] {
        let method = found.method
        var lines = ["\(found.fullName)  \(method.kind)"]
        lines += files.comment(method: method.name, of: found.service.name).map { "  \($0)" }
        lines += Table.lines(rows(found, files).filter { !$0[1].isEmpty }, indent: 2)
        for (name, limit) in [(method.request, method.requestLimit), (method.response, method.responseLimit)] {
            lines.append("  \(name), at most \(limit) bytes")
            lines += Table.lines(files.fields(of: name), indent: 4)
        }
        for name in files.messages(within: [method.request, method.response]) {
            let fields = files.fields(of: name)
            guard !fields.isEmpty else { continue }
            lines.append("  \(name)")
            lines += Table.lines(fields, indent: 4)
        }
        return lines
    }

    private static func rows(_ found: LiveContract.Method, _ files: DescriptorFiles) -> [[String]] {
        let method = found.method
        return [
            ["asked", found.target.text],
            ["id", "0x" + hex(method.id)],
            ["runs", runs(found, files)],
            ["callers", method.callers.isEmpty ? "nobody" : method.callers.joined(separator: ", ")],
            ["exposure", ([method.exposure] + method.roles).joined(separator: ", ")],
            ["route", method.route],
            ["priority", method.priority],
            ["deadline", "\(method.defaultDeadlineMs) ms, at most \(method.maxDeadlineMs) ms"],
            ["concurrency", method.concurrency == 0 ? "" : "\(method.concurrency) at once"],
            ["rate", rate(method)],
            ["on cancel", method.onCancel],
            ["idempotency", method.idempotency],
        ]
    }

    private static func runs(_ found: LiveContract.Method, _ files: DescriptorFiles) -> String {
        let place = files.isInPlace(method: found.method.name, of: found.service.name) ? ", reads its request in place" : ""
        return switch found.method.cost {
        case "INLINE": "SYNC, INLINE up to \(found.method.inlineLimit) bytes\(place)"
        case "POOL": "SYNC, POOL\(place)"
        default: found.service.execution
        }
    }

    private static func rate(_ method: RuntimeHostedMethod) -> String {
        guard method.hasRate else { return "" }
        return "\(method.rate.limit) in \(method.rate.perSeconds) s for each \(method.rate.countedBy)"
    }

    private static func hex(_ id: UInt32) -> String {
        let digits = String(id, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
