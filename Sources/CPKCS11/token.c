// The part of PKCS #11 2.40 (OASIS) that opens and makes one AES key: the interface is C structures and a list of
// functions, which no Swift import has. A module is loaded for each call and let go after it.
#include "token.h"

#include <dlfcn.h>
#include <string.h>

typedef unsigned long ulong;
typedef struct { unsigned char major, minor; } version;
typedef struct { ulong type; void *value; ulong count; } attribute;
typedef struct { ulong type; void *parameter; ulong count; } mechanism;
typedef struct { unsigned char *iv; ulong iv_count, iv_bits; unsigned char *aad; ulong aad_count, tag_bits; } gcm_params;
typedef struct {
    unsigned char label[32], manufacturer[32], model[16], serial[16];
    ulong flags, max_sessions, sessions, max_rw_sessions, rw_sessions, max_pin, min_pin;
    ulong total_public, free_public, total_private, free_private;
    version hardware, firmware;
    unsigned char time[16];
} token_info;
typedef struct { void *create, *destroy, *lock, *unlock; ulong flags; void *reserved; } init_args;

typedef ulong (*function)();

// The order of CK_FUNCTION_LIST.
enum {
    INITIALIZE, FINALIZE, GET_INFO, GET_FUNCTION_LIST, GET_SLOT_LIST, GET_SLOT_INFO, GET_TOKEN_INFO, GET_MECHANISM_LIST,
    GET_MECHANISM_INFO, INIT_TOKEN, INIT_PIN, SET_PIN, OPEN_SESSION, CLOSE_SESSION, CLOSE_ALL_SESSIONS, GET_SESSION_INFO,
    GET_OPERATION_STATE, SET_OPERATION_STATE, LOGIN, LOGOUT, CREATE_OBJECT, COPY_OBJECT, DESTROY_OBJECT, GET_OBJECT_SIZE,
    GET_ATTRIBUTE_VALUE, SET_ATTRIBUTE_VALUE, FIND_OBJECTS_INIT, FIND_OBJECTS, FIND_OBJECTS_FINAL, ENCRYPT_INIT, ENCRYPT,
    ENCRYPT_UPDATE, ENCRYPT_FINAL, DECRYPT_INIT, DECRYPT, DECRYPT_UPDATE, DECRYPT_FINAL, DIGEST_INIT, DIGEST, DIGEST_UPDATE,
    DIGEST_KEY, DIGEST_FINAL, SIGN_INIT, SIGN, SIGN_UPDATE, SIGN_FINAL, SIGN_RECOVER_INIT, SIGN_RECOVER, VERIFY_INIT, VERIFY,
    VERIFY_UPDATE, VERIFY_FINAL, VERIFY_RECOVER_INIT, VERIFY_RECOVER, DIGEST_ENCRYPT_UPDATE, DECRYPT_DIGEST_UPDATE,
    SIGN_ENCRYPT_UPDATE, DECRYPT_VERIFY_UPDATE, GENERATE_KEY,
};

typedef struct { version version; function at[GENERATE_KEY + 1]; } function_list;

enum {
    CKR_USER_ALREADY_LOGGED_IN = 0x100, CKR_ALREADY_INITIALIZED = 0x191, CKF_RW_SESSION = 2, CKF_SERIAL_SESSION = 4,
    CKF_OS_LOCKING_OK = 2, CKU_USER = 1, CKO_SECRET_KEY = 4, CKK_AES = 0x1f, CKM_AES_KEY_GEN = 0x1080, CKM_AES_GCM = 0x1087,
    CKA_CLASS = 0, CKA_TOKEN = 1, CKA_PRIVATE = 2, CKA_LABEL = 3, CKA_KEY_TYPE = 0x100, CKA_SENSITIVE = 0x103,
    CKA_ENCRYPT = 0x104, CKA_DECRYPT = 0x105, CKA_VALUE_LEN = 0x161, CKA_EXTRACTABLE = 0x162,
};

typedef struct {
    void *module;
    function_list *list;
    int is_initialized, is_open, is_logged_in;
    ulong session;
} connection;

#define CALL(c, name, ...) ((c)->list->at[name](__VA_ARGS__))

static int has_label(const token_info *info, const char *label) {
    size_t count = strlen(label);
    if (count > sizeof info->label || memcmp(info->label, label, count) != 0) return 0;
    for (size_t i = count; i < sizeof info->label; i++)
        if (info->label[i] != ' ') return 0;
    return 1;
}

static int find_slot(connection *c, const char *label, ulong *slot, ulong *code) {
    ulong slots[256], count = sizeof slots / sizeof *slots;
    unsigned char present = 1;
    *code = CALL(c, GET_SLOT_LIST, present, slots, &count);
    if (*code != 0) return LOCKSTEP_TOKEN_NO_TOKEN;
    for (ulong i = 0; i < count; i++) {
        token_info info;
        memset(&info, 0, sizeof info);
        if (CALL(c, GET_TOKEN_INFO, slots[i], &info) == 0 && has_label(&info, label)) {
            *slot = slots[i];
            return LOCKSTEP_TOKEN_OK;
        }
    }
    return LOCKSTEP_TOKEN_NO_TOKEN;
}

int lockstep_token_refuses_pin(unsigned long code) {
    // CKR_PIN_INCORRECT, _INVALID, _LEN_RANGE, _EXPIRED, _LOCKED; CKR_USER_PIN_NOT_INITIALIZED.
    return (code >= 0xa0 && code <= 0xa4) || code == 0x102;
}

static int open_token(connection *c, const struct lockstep_token *token, ulong flags, ulong *code) {
    ulong slot = 0;
    *code = 0;
    memset(c, 0, sizeof *c);
    c->module = dlopen(token->module, RTLD_NOW | RTLD_LOCAL);
    if (!c->module) return LOCKSTEP_TOKEN_NO_MODULE;
    ulong (*get)(function_list **) = (ulong (*)(function_list **))dlsym(c->module, "C_GetFunctionList");
    if (!get || (*code = get(&c->list)) != 0 || !c->list) return LOCKSTEP_TOKEN_NO_FUNCTIONS;
    init_args args = {.flags = CKF_OS_LOCKING_OK};
    *code = CALL(c, INITIALIZE, &args);
    if (*code != 0 && *code != CKR_ALREADY_INITIALIZED) return LOCKSTEP_TOKEN_NOT_INITIALIZED;
    c->is_initialized = *code == 0;
    int failure = find_slot(c, token->token, &slot, code);
    if (failure) return failure;
    *code = CALL(c, OPEN_SESSION, slot, flags | CKF_SERIAL_SESSION, (void *)0, (void *)0, &c->session);
    if (*code != 0) return LOCKSTEP_TOKEN_NO_SESSION;
    c->is_open = 1;
    *code = CALL(c, LOGIN, c->session, (ulong)CKU_USER, (unsigned char *)token->pin, (ulong)token->pin_count);
    if (*code != 0 && *code != CKR_USER_ALREADY_LOGGED_IN)
        return lockstep_token_refuses_pin(*code) ? LOCKSTEP_TOKEN_PIN_REFUSED : LOCKSTEP_TOKEN_NO_SESSION;
    c->is_logged_in = *code == 0;
    *code = 0;
    return LOCKSTEP_TOKEN_OK;
}

static void close_token(connection *c) {
    if (c->is_logged_in) CALL(c, LOGOUT, c->session);
    if (c->is_open) CALL(c, CLOSE_SESSION, c->session);
    if (c->is_initialized) CALL(c, FINALIZE, (void *)0);
    if (c->module) dlclose(c->module);
}

static int find_key(connection *c, const char *label, ulong *key, ulong *code) {
    ulong class = CKO_SECRET_KEY, type = CKK_AES, found[2], count = 0;
    attribute wanted[] = {
        {CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}, {CKA_LABEL, (void *)label, strlen(label)},
    };
    *code = CALL(c, FIND_OBJECTS_INIT, c->session, wanted, (ulong)3);
    if (*code != 0) return LOCKSTEP_TOKEN_NO_KEY;
    *code = CALL(c, FIND_OBJECTS, c->session, found, (ulong)2, &count);
    CALL(c, FIND_OBJECTS_FINAL, c->session);
    if (*code != 0 || count == 0) return LOCKSTEP_TOKEN_NO_KEY;
    if (count > 1) return LOCKSTEP_TOKEN_MANY_KEYS;
    *key = found[0];
    return LOCKSTEP_TOKEN_OK;
}

int lockstep_token_crypt(
    const struct lockstep_token *token, int is_sealing, const unsigned char *nonce, const unsigned char *aad,
    size_t aad_count, const unsigned char *in, size_t in_count, unsigned char *out, size_t *out_count, unsigned long *code) {
    connection c;
    ulong key = 0, count = *out_count;
    int result = open_token(&c, token, 0, code);
    if (!result) result = find_key(&c, token->key, &key, code);
    if (!result) {
        gcm_params params = {(unsigned char *)nonce, 12, 96, (unsigned char *)aad, aad_count, 128};
        mechanism gcm = {CKM_AES_GCM, &params, sizeof params};
        *code = CALL(&c, is_sealing ? ENCRYPT_INIT : DECRYPT_INIT, c.session, &gcm, key);
        if (*code == 0)
            *code = CALL(&c, is_sealing ? ENCRYPT : DECRYPT, c.session, (unsigned char *)in, (ulong)in_count, out, &count);
        if (*code != 0) result = is_sealing ? LOCKSTEP_TOKEN_NOT_ENCRYPTED : LOCKSTEP_TOKEN_NOT_DECRYPTED;
        else *out_count = count;
    }
    close_token(&c);
    return result;
}

int lockstep_token_make_key(const struct lockstep_token *token, unsigned long *code) {
    connection c;
    ulong key = 0;
    int result = open_token(&c, token, CKF_RW_SESSION, code);
    if (!result) result = find_key(&c, token->key, &key, code);
    if (result == LOCKSTEP_TOKEN_NO_KEY && *code == 0) {
        unsigned char yes = 1, no = 0;
        ulong count = 32;
        mechanism generate = {CKM_AES_KEY_GEN, (void *)0, 0};
        attribute made[] = {
            {CKA_TOKEN, &yes, 1}, {CKA_PRIVATE, &yes, 1}, {CKA_SENSITIVE, &yes, 1}, {CKA_EXTRACTABLE, &no, 1},
            {CKA_ENCRYPT, &yes, 1}, {CKA_DECRYPT, &yes, 1}, {CKA_VALUE_LEN, &count, sizeof count},
            {CKA_LABEL, (void *)token->key, strlen(token->key)},
        };
        *code = CALL(&c, GENERATE_KEY, c.session, &generate, made, (ulong)8, &key);
        result = *code == 0 ? LOCKSTEP_TOKEN_OK : LOCKSTEP_TOKEN_NO_KEY_MADE;
    }
    close_token(&c);
    return result;
}
