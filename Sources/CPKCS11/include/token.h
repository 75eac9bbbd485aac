#ifndef LOCKSTEP_TOKEN_H
#define LOCKSTEP_TOKEN_H

#include <stddef.h>

/// A PKCS #11 token and an AES key on it.
struct lockstep_token {
    /// The module's path.
    const char *module;
    /// CKA_LABEL of the key, and the token's label.
    const char *token;
    const char *key;
    const unsigned char *pin;
    size_t pin_count;
};

/// What became of a call. Above: PKCS #11's own code (CKR_...).
enum {
    LOCKSTEP_TOKEN_OK = 0,
    LOCKSTEP_TOKEN_NO_MODULE,
    LOCKSTEP_TOKEN_NO_FUNCTIONS,
    LOCKSTEP_TOKEN_NOT_INITIALIZED,
    LOCKSTEP_TOKEN_NO_TOKEN,
    LOCKSTEP_TOKEN_NO_SESSION,
    LOCKSTEP_TOKEN_PIN_REFUSED,
    LOCKSTEP_TOKEN_NO_KEY,
    LOCKSTEP_TOKEN_MANY_KEYS,
    LOCKSTEP_TOKEN_NOT_ENCRYPTED,
    LOCKSTEP_TOKEN_NOT_DECRYPTED,
    LOCKSTEP_TOKEN_NO_KEY_MADE,
};

/// AES-GCM on the token, with a nonce of 12 bytes and a tag of 16.
///
/// - Parameters:
///   - is_sealing: Whether `in` is plaintext; else it is ciphertext and tag.
///   - out_count: The room in `out`, then what was written.
///   - code: The CKR_ of the function that failed, or 0.
int lockstep_token_crypt(
    const struct lockstep_token *token, int is_sealing, const unsigned char *nonce, const unsigned char *aad,
    size_t aad_count, const unsigned char *in, size_t in_count, unsigned char *out, size_t *out_count, unsigned long *code);

/// Makes an AES-256 key on the token that never leaves it; where there is one of that label, nothing.
int lockstep_token_make_key(const struct lockstep_token *token, unsigned long *code);

/// Whether a code of C_Login is about the PIN, which then is not tried again: tokens lock themselves. All others (a device that
/// is away for a moment) pass.
int lockstep_token_refuses_pin(unsigned long code);

#endif
