#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

// What OpenSSL has as macros, which Swift's importer does not show; static, as a system library has
// no sources.

// A write may take a part of the bytes, and go on from a copy of the rest; a connection without
// traffic keeps no buffers. The peer's end without its notice is the end of the stream: the line
// protocol tells a whole line from a cut one by itself.
static inline void tls_set_modes(SSL_CTX *context) {
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);
}

static inline int tls_require_version_1_2(SSL_CTX *context) {
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}

static inline int tls_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
  return SSL_CTX_add0_chain_cert(context, certificate);
}

static inline int tls_set_server_name(SSL *session, const char *name) {
  return SSL_set_tlsext_host_name(session, name);
}

enum { tls_ticket_keys_bytes = 80 };

static inline int tls_set_ticket_keys(SSL_CTX *context, unsigned char *keys) {
  return SSL_CTX_set_tlsext_ticket_keys(context, keys, tls_ticket_keys_bytes);
}

// Bytes that come before those of the socket; at their end it asks to be tried again.
static inline BIO *tls_bytes_before(const void *bytes, int count) {
  BIO *made = BIO_new(BIO_s_mem());
  if (made == NULL) return NULL;
  if (BIO_write(made, bytes, count) != count) {
    BIO_free(made);
    return NULL;
  }
  BIO_set_mem_eof_return(made, -1);
  return made;
}

static inline int tls_bytes_left(BIO *source) { return (int)BIO_pending(source); }

// The first of the bytes, which stays there; 0 if there is none.
static inline int tls_first_byte(BIO *source, unsigned char *first) {
  char *bytes = NULL;
  if (BIO_get_mem_data(source, &bytes) < 1) return 0;
  *first = (unsigned char)bytes[0];
  return 1;
}

static inline int tls_reason(unsigned long code) { return ERR_GET_REASON(code); }

// Which of the keys it is by which tokens are signed; 0 if it is another one.
enum { key_other = 0, key_rsa = 1, key_p256 = 2, key_ed25519 = 3 };

static inline int key_kind(const EVP_PKEY *key) {
  char name[32] = "";
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: return key_rsa;
    case EVP_PKEY_ED25519: return key_ed25519;
    case EVP_PKEY_EC:
      if (EVP_PKEY_get_group_name(key, name, sizeof(name), NULL) != 1) return key_other;
      return strcmp(name, SN_X9_62_prime256v1) == 0 ? key_p256 : key_other;
    default: return key_other;
  }
}

static inline int key_bits(const EVP_PKEY *key) { return EVP_PKEY_get_bits(key); }
