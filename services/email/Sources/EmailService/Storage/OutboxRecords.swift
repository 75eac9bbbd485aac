internal import SQL

/// Where a message stands.
package enum MessageState: String, Sendable, SQLValue {
    case queued
    case delivered
    case failed
    case expired
}

/// A message as it is put into the outbox: content sealed under its own id.
struct NewMessage: Sendable {
    let id: String
    let caller: String
    let idempotencyKey: String
    let template: MailTemplate
    let digest: [UInt8]
    let payload: [UInt8]
    let requestID: String
    let createdAt: Microseconds
    let expiresAt: Microseconds?
}

/// The message that a key already stands for.
struct KnownMessage: Sendable {
    let id: String
    let digest: [UInt8]

    init(_ row: Row) throws {
        id = try row.get("id")
        digest = try row.get("digest")
    }
}

/// One message in the hands of one worker until the lease ends.
struct ClaimedMessage: Sendable {
    let id: String
    let template: MailTemplate
    let payload: [UInt8]
    let requestID: String
    let createdAt: Microseconds
    let expiresAt: Microseconds?
    /// 1 for the first.
    let attempt: Int
    let leaseNumber: Int64

    init(_ row: Row) throws {
        id = try row.get("id")
        template = try row.get("template")
        payload = try row.get("payload")
        requestID = try row.get("request_id")
        createdAt = try row.get("created_at")
        expiresAt = try row.get("expires_at")
        attempt = try row.get("attempts")
        leaseNumber = try row.get("lease_number")
    }
}

/// What callers may know of a message.
struct MessageStatus: Sendable {
    let state: MessageState
    let attempts: Int

    init(_ row: Row) throws {
        state = try row.get("state")
        attempts = try row.get("attempts")
    }
}

/// Why an attempt did not deliver: for operators, without any text from outside.
enum Failure: String, Sendable, SQLValue {
    case encryptionUnavailable = "encryption_unavailable"
    case unreadable
    case rendering
    case sinkUnavailable = "sink_unavailable"
    case sinkRefused = "sink_refused"
}
