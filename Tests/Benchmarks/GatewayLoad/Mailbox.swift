import Foundation

/// The folder where the system's mail arrives.
actor Mailbox {
    /// How long a message may take.
    static let patience = Duration.seconds(60)

    private let folder: String
    private var tokens: [String: String] = [:]
    private var seen: Set<String> = []

    init(folder: String) { self.folder = folder }

    struct NoMail: Error, CustomStringConvertible {
        let address: String
        let folder: String
        var description: String { "No message for \(address) in \(folder) within \(Mailbox.patience)." }
    }

    /// The token in the message to `address`.
    func token(for address: String) async throws -> String {
        let end = ContinuousClock.now + Self.patience
        while ContinuousClock.now < end {
            if let token = tokens[address] { return token }
            look()
            try await Task.sleep(for: .milliseconds(50))
        }
        throw NoMail(address: address, folder: folder)
    }

    private func look() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names where name.hasSuffix(".eml") && seen.insert(name).inserted {
            guard let data = FileManager.default.contents(atPath: "\(folder)/\(name)") else { continue }
            note(String(decoding: data, as: UTF8.self))
        }
    }

    /// Takes recipient and token from a message. Lines that quoted-printable broke are put together first.
    private func note(_ message: String) {
        let lines = message.replacing("\r\n", with: "\n").replacing("=\n", with: "").split(separator: "\n")
        guard let to = lines.first(where: { $0.hasPrefix("To:") }),
            let token = lines.first(where: { $0.hasPrefix("Token:") })
        else { return }
        let address = to.dropFirst(3).filter { !" <>".contains($0) }
        tokens[address] = token.dropFirst("Token:".count).trimmingCharacters(in: .whitespaces)
    }
}
