"""What others' libraries make of our hashes and tokens, and what they make for us to read.

    exchange.py bcrypt < {"hash": [PASSWORD ...], "check": [{"password": P, "hash": H} ...]}
    exchange.py jwt < {"claims": {...}, "type": TYP, "jwks": {...} or null, "tokens": [...]}

The answer is JSON on standard output. PyPI's bcrypt, PyJWT and joserfc share no code with this project.
"""
import json
import sys


def exchange_bcrypt(asked):
    import bcrypt

    def prefixes(made):
        # $2b$ is what the library writes; the others name the same function.
        return [made, b"$2a$" + made[4:], b"$2y$" + made[4:]]

    return {
        "hashes": [
            {"password": password, "hash": text.decode()}
            for password in asked["hash"]
            for text in prefixes(bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)))
        ],
        "checks": [bcrypt.checkpw(item["password"].encode(), item["hash"].encode()) for item in asked["check"]],
    }


def exchange_jwt(asked):
    import jwt
    from joserfc import jwk, jws
    from joserfc import jwt as jose
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    made, keys = [], []
    for algorithm, private in [("EdDSA", ed25519.Ed25519PrivateKey.generate()), ("ES256", ec.generate_private_key(ec.SECP256R1()))]:
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        key = jwk.import_key(pem, "OKP" if algorithm == "EdDSA" else "EC", {"kid": algorithm, "alg": algorithm, "use": "sig"})
        keys.append(key.as_dict(private=False))
        header = {"alg": algorithm, "kid": algorithm, "typ": asked["type"]}
        made.append({"by": "PyJWT", "token": jwt.encode(asked["claims"], private, algorithm, headers=header)})
        made.append({"by": "joserfc", "token": jose.encode(header, asked["claims"], key, algorithms=[algorithm])})
    read = []
    if asked["tokens"]:
        others = {key["kid"]: key for key in asked["jwks"]["keys"]}
        for token in asked["tokens"]:
            kid = jwt.get_unverified_header(token)["kid"]
            key = others[kid]
            algorithm = key["alg"]
            options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
            claims = jwt.decode(token, jwt.PyJWK(key), algorithms=[algorithm], options=options)
            again = jose.decode(token, jwk.import_key(key), algorithms=[algorithm]).claims
            assert claims == again, (claims, again)
            # One changed bit of the signature, and both refuse.
            head, payload, signature = token.split(".")
            broken = ".".join([head, payload, ("A" if signature[5] != "A" else "B").join([signature[:5], signature[6:]])])
            refusals = 0
            for refuse in (
                lambda: jwt.decode(broken, jwt.PyJWK(key), algorithms=[algorithm], options=options),
                lambda: jose.decode(broken, jwk.import_key(key), algorithms=[algorithm]),
            ):
                try:
                    refuse()
                except Exception:
                    refusals += 1
            read.append({"claims": claims, "refusals": refusals})
    return {"jwks": {"keys": keys}, "made": made, "read": read}


if __name__ == "__main__":
    functions = {"bcrypt": exchange_bcrypt, "jwt": exchange_jwt}
    json.dump(functions[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
