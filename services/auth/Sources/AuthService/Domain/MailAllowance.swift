/// How many mails of one kind one user got in the window, and for whom.
struct MailCount: Sendable {
    let all: Int
    /// Those that the client's site asked for.
    let site: Int
    /// Those that the client's network asked for.
    let own: Int
    /// Somebody has signed in to the account from the client's network lately.
    let isFamiliar: Bool
}

extension AuthPolicy {
    /// Whether one more mail may go out: nobody is flooded, and no stranger can use up what the owner of the address
    /// waits for.
    ///
    /// | the client's network | mails in the last hour, for anybody | for its site | for its network | sent |
    /// |---|---|---|---|---|
    /// | familiar | any | any | fewer than `mailsPerFamiliarNetwork` | yes: a budget of its own |
    /// | another | fewer than `mailsPerHour` | any | fewer than `mailsPerNetwork` | yes |
    /// | another | fewer than `mailsPerHour` x `strangers` | none | none | yes: the first of a site |
    /// | otherwise | | | | no |
    func allowsMail(after sent: MailCount) -> Bool {
        if sent.isFamiliar { return sent.own < Self.mailsPerFamiliarNetwork }
        if sent.site == 0 { return sent.all < mailsPerHour * Self.strangers }
        return sent.all < mailsPerHour && sent.own < Self.mailsPerNetwork
    }

    /// Mails of one kind to one user that one network gets in the window.
    static let mailsPerNetwork = 3
    /// The same for a network from which somebody has signed in to the account.
    static let mailsPerFamiliarNetwork = 5
    /// How many times `mailsPerHour` a user gets at most, when that many sites ask.
    static let strangers = 10
}
