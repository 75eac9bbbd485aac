#ifndef LOCKSTEP_COPENSSL_SHIM_H
#define LOCKSTEP_COPENSSL_SHIM_H

#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* What follows exists because Swift does not see macros with arguments, nor string macros used as char *. */

/* Sets the authentication tag that EVP_DecryptFinal_ex checks. */
static inline int lockstep_gcm_set_tag(EVP_CIPHER_CTX *context, const void *tag, int count) {
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, count, (void *)tag);
}

/* Reads the authentication tag after EVP_EncryptFinal_ex. */
static inline int lockstep_gcm_get_tag(EVP_CIPHER_CTX *context, void *tag, int count) {
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, count, tag);
}

/* One HMAC-SHA-256 with an already fetched EVP_MAC. Returns 1 on success. */
static inline int lockstep_hmac_sha256(
    EVP_MAC *mac, const void *key, size_t key_count, const void *data, size_t count, unsigned char *out
) {
    static const unsigned char empty_key = 0;
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    if (context == NULL) return 0;
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    size_t written = 0;
    int ok = EVP_MAC_init(context, key_count == 0 ? &empty_key : (const unsigned char *)key, key_count, parameters)
        && (count == 0 || EVP_MAC_update(context, (const unsigned char *)data, count))
        && EVP_MAC_final(context, out, &written, 32) && written == 32;
    EVP_MAC_CTX_free(context);
    return ok;
}

/* HKDF (RFC 5869, extract then expand) over SHA-256 with an already fetched EVP_KDF. Returns 1 on success. */
static inline int lockstep_hkdf_sha256(
    EVP_KDF *kdf, const void *secret, size_t secret_count, const void *salt, size_t salt_count, const void *info,
    size_t info_count, unsigned char *out, size_t count
) {
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    if (context == NULL) return 0;
    char digest[] = "SHA256";
    OSSL_PARAM parameters[5];
    int n = 0;
    parameters[n++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    parameters[n++] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_count);
    if (salt_count > 0)
        parameters[n++] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, salt_count);
    if (info_count > 0)
        parameters[n++] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_count);
    parameters[n++] = OSSL_PARAM_construct_end();
    int ok = EVP_KDF_derive(context, out, count, parameters) > 0;
    EVP_KDF_CTX_free(context);
    return ok;
}

/* A provider's version, such as 3.0.19; NULL when it does not say. */
static inline const char *lockstep_provider_version(const OSSL_PROVIDER *provider) {
    char *text = NULL;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_ptr(OSSL_PROV_PARAM_VERSION, &text, 0),
        OSSL_PARAM_construct_end(),
    };
    return OSSL_PROVIDER_get_params(provider, parameters) == 1 ? text : NULL;
}

/* The provider of the generator that keys and nonces come from; NULL when there is none. */
static inline const OSSL_PROVIDER *lockstep_random_provider(void) {
    EVP_RAND_CTX *context = RAND_get0_private(NULL);
    return context == NULL ? NULL : EVP_RAND_get0_provider(EVP_RAND_CTX_get0_rand(context));
}

/* Whether an error is the system's, whose reason is an errno. */
static inline int lockstep_error_is_of_system(unsigned long code) { return ERR_SYSTEM_ERROR(code); }

/* A private key from PEM text without a pass phrase; NULL when it is not one. */
static inline EVP_PKEY *lockstep_private_key_from_pem(const void *text, int count) {
    static char no_passphrase[] = "";
    BIO *bio = BIO_new_mem_buf(text, count);
    if (bio == NULL) return NULL;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_passphrase);
    BIO_free(bio);
    return key;
}

/* A new key of P-256. */
static inline EVP_PKEY *lockstep_p256_generate(void) { return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"); }

/* A new RSA key. */
static inline EVP_PKEY *lockstep_rsa_generate(size_t bits) { return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits); }

/* Whether a key is an elliptic one of P-256. */
static inline int lockstep_is_p256(const EVP_PKEY *key) {
    char group[32];
    size_t count = 0;
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof group, &count) == 1
        && OPENSSL_strcasecmp(group, "prime256v1") == 0;
}

/* The 65 bytes of an elliptic key's uncompressed point. */
static inline int lockstep_p256_point(const EVP_PKEY *key, unsigned char *out) {
    size_t count = 0;
    return EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, out, 65, &count) == 1 && count == 65 && out[0] == 4;
}

/* The public key of an uncompressed point; NULL when that is not on P-256. */
static inline EVP_PKEY *lockstep_p256_public(const unsigned char *point) {
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (context == NULL) return NULL;
    char group[] = "P-256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, 65),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    int ok = EVP_PKEY_fromdata_init(context) == 1
        && EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) == 1;
    EVP_PKEY_CTX_free(context);
    if (ok) {
        context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
        ok = context != NULL && EVP_PKEY_public_check(context) == 1;
        EVP_PKEY_CTX_free(context);
    }
    if (ok) return key;
    EVP_PKEY_free(key);
    return NULL;
}

/* ECDSA with SHA-256, as r and s of 32 bytes each (RFC 7518 section 3.4). */
static inline int lockstep_es256_sign(EVP_PKEY *key, const void *data, size_t count, unsigned char *out) {
    unsigned char der[128];
    size_t der_count = sizeof der;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int ok = context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1
        && EVP_DigestSign(context, der, &der_count, (const unsigned char *)data, count) == 1;
    EVP_MD_CTX_free(context);
    if (!ok) return 0;
    const unsigned char *p = der;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &p, (long)der_count);
    if (signature == NULL) return 0;
    ok = BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, 32) == 32
        && BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + 32, 32) == 32;
    ECDSA_SIG_free(signature);
    return ok;
}

/* The opposite. libcrypto refuses r and s of 0 and of the group's order and beyond. */
static inline int lockstep_es256_verify(EVP_PKEY *key, const unsigned char *raw, const void *data, size_t count) {
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, 32, NULL), *s = BN_bin2bn(raw + 32, 32, NULL);
    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(signature);
        return 0;
    }
    unsigned char *der = NULL;
    int der_count = i2d_ECDSA_SIG(signature, &der);
    ECDSA_SIG_free(signature);
    if (der_count <= 0) return 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int ok = context != NULL && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1
        && EVP_DigestVerify(context, der, (size_t)der_count, (const unsigned char *)data, count) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    return ok;
}

/* A private key from PKCS #8 in DER without a pass phrase, which takes up all bytes; NULL when it is not one. */
static inline EVP_PKEY *lockstep_private_key_from_pkcs8(const unsigned char *bytes, size_t count) {
    const unsigned char *p = bytes;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)count);
    if (info == NULL) return NULL;
    EVP_PKEY *key = p == bytes + count ? EVP_PKCS82PKEY(info) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

/* The opposite: the length, or 0 when it fails or there is not room enough. */
static inline size_t lockstep_private_key_to_pkcs8(const EVP_PKEY *key, unsigned char *out, size_t capacity) {
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    if (info == NULL) return 0;
    unsigned char *der = NULL;
    int count = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    PKCS8_PRIV_KEY_INFO_free(info);
    if (count <= 0) return 0;
    int fits = (size_t)count <= capacity;
    if (fits) memcpy(out, der, (size_t)count);
    OPENSSL_clear_free(der, (size_t)count);
    return fits ? (size_t)count : 0;
}

/* SubjectPublicKeyInfo in PEM: the length, or 0 when it fails or there is not room enough. */
static inline size_t lockstep_public_key_to_pem(EVP_PKEY *key, char *out, size_t capacity) {
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL) return 0;
    int count = PEM_write_bio_PUBKEY(bio, key) == 1 ? BIO_read(bio, out, (int)capacity) : 0;
    if (BIO_pending(bio) > 0) count = 0;
    BIO_free(bio);
    return count > 0 ? (size_t)count : 0;
}

/* RSA-OAEP with SHA-256 and MGF1 with SHA-256 (RFC 8017 section 7.1.2). *count: room before, length after. */
static inline int lockstep_rsa_oaep_decrypt(
    EVP_PKEY *key, const unsigned char *in, size_t in_count, unsigned char *out, size_t *count
) {
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    int ok = context != NULL && EVP_PKEY_decrypt_init(context) == 1
        && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1
        && EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) == 1
        && EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1
        && EVP_PKEY_decrypt(context, out, count, in, in_count) == 1;
    EVP_PKEY_CTX_free(context);
    return ok;
}

/* AES-256 key unwrap with padding (RFC 5649). `out` has room for in_count bytes; the length, or 0 when it fails. */
static inline size_t lockstep_aes256_kwp_unwrap(
    const unsigned char *key, const unsigned char *in, size_t in_count, unsigned char *out
) {
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-WRAP-PAD", NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int count = 0;
    if (cipher != NULL && context != NULL) {
        EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
        if (EVP_DecryptInit_ex(context, cipher, NULL, key, NULL) != 1
            || EVP_DecryptUpdate(context, out, &count, in, (int)in_count) != 1)
            count = 0;
    }
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    return count > 0 ? (size_t)count : 0;
}

#endif
