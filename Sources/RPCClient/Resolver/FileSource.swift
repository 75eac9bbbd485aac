import FoundationEssentials
import Glibc
import NIOPosix
import RPCTransport

/// The addresses that a file lists, read again when it changes: one in each line (`#` begins a remark), or a JSON list
/// of texts. Replace it by renaming a new one over it, so that nobody reads half of it.
struct FileSource: AddressSource {
    /// All watched files share it.
    static let threads = NIOThreadPool.running(1)
    /// More is no list of addresses.
    static let longest = 1024 * 1024

    /// What shows that a file is another than before.
    private struct Stamp: Equatable {
        var inode: UInt
        var size: Int
        var seconds: Int
        var nanoseconds: Int
    }

    let path: String
    private var seen: Stamp?

    init(path: String) { self.path = path }

    var description: String { "file://\(path)" }

    mutating func look() throws(ResolverError) -> [HostPort]? {
        let stamp = try stamp()
        guard stamp != seen else { return nil }
        let addresses = try Self.parse(try text(), path: path)
        seen = stamp
        return addresses
    }

    private func stamp() throws(ResolverError) -> Stamp {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw ResolverError("\(path): \(String(cString: strerror(errno)).lowercased())")
        }
        let time = status.st_mtim
        return Stamp(
            inode: UInt(status.st_ino), size: Int(status.st_size), seconds: Int(time.tv_sec),
            nanoseconds: Int(time.tv_nsec))
    }

    private func text() throws(ResolverError) -> String {
        guard let data = try? Data(contentsOf: URL(filePath: path)), data.count <= Self.longest,
            let text = String(validating: data, as: UTF8.self)
        else { throw ResolverError("\(path) cannot be read as a list of addresses") }
        return text
    }

    static func parse(_ text: String, path: String) throws(ResolverError) -> [HostPort] {
        let entries = text.drop(while: \.isWhitespace).first == "[" ? try json(text, path) : lines(text)
        var addresses: [HostPort] = []
        for entry in entries {
            guard let address = HostPort(entry), address.port > 0 else {
                throw ResolverError("\(path): \"\(entry.prefix(80))\" is no address such as 127.0.0.1:7101")
            }
            addresses.append(address)
        }
        guard !addresses.isEmpty else { throw ResolverError("\(path) lists no address") }
        return addresses
    }

    private static func lines(_ text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).map { line in
            String(line.prefix { $0 != "#" }).trimmingSpaces
        }.filter { !$0.isEmpty }
    }

    private static func json(_ text: String, _ path: String) throws(ResolverError) -> [String] {
        do {
            return try JSONDecoder().decode([String].self, from: Data(text.utf8))
        } catch {
            throw ResolverError("\(path) is no JSON list of texts")
        }
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}

extension PeerResolver where Self == PollingResolver {
    /// The addresses that a file lists, looked at every second.
    package static func file(_ path: String, interval: Duration = .seconds(1)) -> PollingResolver {
        PollingResolver(
            FileSource(path: path), on: FileSource.threads,
            schedule: ResolutionSchedule(interval: interval, pause: interval))
    }
}
