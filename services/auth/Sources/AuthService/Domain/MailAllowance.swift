/// How many mails of one kind one user got in the window, and how many of them one network asked for.
struct MailCount: Sendable {
    let all: Int
    let own: Int
}

extension AuthPolicy {
    /// Whether one more mail may go out: nobody is flooded, and no stranger can use up what the owner of the address
    /// waits for.
    ///
    /// | mails in the last hour, for anybody | for this network | sent |
    /// |---|---|---|
    /// | fewer than `mailsPerHour` | fewer than `mailsPerNetwork` | yes |
    /// | fewer than `mailsPerHour` x `strangers` | none | yes: the first of a network |
    /// | otherwise | | no |
    func allowsMail(after sent: MailCount) -> Bool {
        if sent.own == 0 { return sent.all < mailsPerHour * Self.strangers }
        return sent.all < mailsPerHour && sent.own < Self.mailsPerNetwork
    }

    /// Mails of one kind to one user that one network gets in the window.
    static let mailsPerNetwork = 3
    /// How many times `mailsPerHour` a user gets at most, when that many networks ask.
    static let strangers = 10
}
