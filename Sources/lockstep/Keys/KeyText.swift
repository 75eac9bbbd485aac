import Contracts
import Foundation
import SwiftProtobuf

/// Keys for people.
enum KeyText {
    static func list(_ keys: [EncryptionDescribeKeyResponse]) -> [String] {
        guard !keys.isEmpty else { return ["No keys that you may know of."] }
        let rows = keys.map { key in
            [key.keyName, usage(key), "\(key.primaryVersion)", state(key), rotation(key), options(key)]
        }
        return Table.lines([["KEY", "USAGE", "VERSION", "STATE", "ROTATES", ""]] + rows)
    }

    static func description(_ key: EncryptionDescribeKeyResponse) -> [String] {
        var rows = [
            ["usage", usage(key)], ["state", state(key)], ["rotates", rotation(key)], ["primary version", "\(key.primaryVersion)"],
        ]
        if key.pendingVersion > 0 { rows.append(["next version", "\(key.pendingVersion), published ahead of its use"]) }
        if key.minDecryptionVersion > 1 { rows.append(["opens from", "version \(key.minDecryptionVersion)"]) }
        if key.minEncryptionVersion > 0 { rows.append(["seals from", "version \(key.minEncryptionVersion)"]) }
        if !options(key).isEmpty { rows.append(["is", options(key)]) }
        let versions = key.versions.map { version in
            ["version \(version.version)", "made \(time(version.createdAt))", version.uses > 0 ? "\(version.uses) messages" : ""]
        }
        return [key.keyName] + Table.lines(rows, indent: 2) + Table.lines(versions, indent: 2)
    }

    private static func usage(_ key: EncryptionDescribeKeyResponse) -> String {
        let usage =
            switch key.usage {
            case .aead: "AEAD"
            case .mac: "MAC"
            case .sign: "SIGN"
            case .unspecified, .UNRECOGNIZED: "-"
            }
        return switch key.algorithm {
        case .eddsa: usage + " EdDSA"
        case .es256: usage + " ES256"
        case .unspecified, .UNRECOGNIZED: usage
        }
    }

    private static func state(_ key: EncryptionDescribeKeyResponse) -> String {
        let state =
            switch key.state {
            case .enabled: "enabled"
            case .disabled: "disabled"
            case .pendingDestruction: "destroyed at \(time(key.destroyAt))"
            case .pendingCreation: "being made"
            case .unspecified, .UNRECOGNIZED: "unknown"
            }
        return key.pendingChange.isEmpty || key.state == .pendingCreation ? state : "\(state), \(key.pendingChange) asked for"
    }

    private static func rotation(_ key: EncryptionDescribeKeyResponse) -> String {
        var parts: [String] = []
        if key.rotateAfterS > 0 { parts.append("every " + Duration.seconds(Int64(clamping: key.rotateAfterS)).configText) }
        if key.rotateAfterUses > 0 { parts.append("after \(key.rotateAfterUses) messages") }
        return parts.isEmpty ? "by hand" : parts.joined(separator: " or ")
    }

    private static func options(_ key: EncryptionDescribeKeyResponse) -> String {
        [(key.exportable, "exportable"), (key.derived, "derived"), (key.imported, "imported")].filter(\.0).map(\.1)
            .joined(separator: ", ")
    }

    static func time(_ time: Google_Protobuf_Timestamp) -> String {
        Date(timeIntervalSince1970: Double(time.seconds)).ISO8601Format()
    }
}
