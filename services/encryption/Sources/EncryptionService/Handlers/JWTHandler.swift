package import Contracts
import JOSE
import LibCrypto
package import RPCCore
import SwiftProtobuf

/// `JWTService`: access tokens and the keys that verify them.
package struct JWTHandler: JWTServiceHandler {
    private let authority: TokenAuthority

    package init(authority: TokenAuthority) { self.authority = authority }

    package func sign(_ request: EncryptionSignRequest, _ context: CallContext) throws -> EncryptionSignResponse {
        let claims = TokenAuthority.Request(
            subject: request.subject, audience: request.audience,
            session: request.sessionID.isEmpty ? nil : request.sessionID, roles: request.roles,
            lifetime: request.lifetimeS)
        let signed = try authority.sign(claims, key: request.keyName, caller: context.peer)
        return .with {
            $0.token = signed.token
            $0.expiresAt = Google_Protobuf_Timestamp(seconds: signed.expiresAt)
        }
    }

    package func verify(
        _ request: EncryptionVerifyTokenRequest, _ context: CallContext
    ) throws -> EncryptionVerifyTokenResponse {
        let claims = try authority.verify(request.token, audience: request.audience, caller: context.peer)
        return .with {
            $0.subject = claims.subject
            $0.sessionID = claims.session ?? ""
            $0.roles = claims.roles
            $0.expiresAt = Google_Protobuf_Timestamp(seconds: claims.expiresAt)
        }
    }

    package func jwks(_ request: EncryptionJWKSRequest, _ context: CallContext) throws -> EncryptionJWKSResponse {
        let set = try authority.publicKeys(caller: context.peer)
        return .with { $0.keys = set.keys.map(EncryptionJSONWebKey.init) }
    }
}

extension EncryptionJSONWebKey {
    fileprivate init(_ key: JWK) {
        self.init()
        let members = key.members
        (kty, crv, x, alg) = (members.kty, members.crv, members.x, members.alg)
        if let y = members.y { self.y = y }
        kid = key.kid
        use = "sig"
    }
}
