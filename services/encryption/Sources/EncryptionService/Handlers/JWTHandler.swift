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
        var claims = TokenAuthority.Request(
            subject: request.subject, audience: request.audience,
            session: request.sessionID.isEmpty ? nil : request.sessionID, roles: request.roles,
            lifetime: request.lifetimeS)
        claims.methods = request.amr
        claims.level = request.acr.isEmpty ? nil : request.acr
        claims.authenticatedAt = request.authTime == 0 ? nil : request.authTime
        claims.client = request.clientID.isEmpty ? nil : request.clientID
        claims.scope = request.scope.isEmpty ? nil : request.scope
        let signed = try authority.sign(claims, key: request.keyName, caller: context.peer)
        authority.keeper.tell(
            .sign, request.keyName, version: signed.version, actor: context.peer.service, requestID: context.requestID)
        return .with {
            $0.token = signed.token
            $0.expiresAt = Google_Protobuf_Timestamp(seconds: signed.expiresAt)
        }
    }

    package func verify(
        _ request: EncryptionVerifyTokenRequest, _ context: CallContext
    ) throws -> EncryptionVerifyTokenResponse {
        let claims = try authority.verify(
            request.token, audience: request.audience, caller: context.peer, requestID: context.requestID)
        return .with {
            $0.subject = claims.subject
            $0.sessionID = claims.session ?? ""
            $0.roles = claims.roles
            $0.expiresAt = Google_Protobuf_Timestamp(seconds: claims.expiresAt)
            $0.amr = claims.methods
            $0.acr = claims.level ?? ""
            $0.authTime = claims.authenticatedAt ?? 0
            $0.clientID = claims.client ?? ""
            $0.scope = claims.scope ?? ""
            $0.issuedAt = Google_Protobuf_Timestamp(seconds: claims.issuedAt)
            $0.issuer = claims.issuer
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
