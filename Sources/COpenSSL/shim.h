#ifndef LOCKSTEP_COPENSSL_SHIM_H
#define LOCKSTEP_COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

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

/* A private key from PEM text without a pass phrase; NULL when it is not one. */
static inline EVP_PKEY *lockstep_private_key_from_pem(const void *text, int count) {
    static char no_passphrase[] = "";
    BIO *bio = BIO_new_mem_buf(text, count);
    if (bio == NULL) return NULL;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_passphrase);
    BIO_free(bio);
    return key;
}

#endif
