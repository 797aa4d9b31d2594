// The functions of OpenSSL 3 that TLS here needs, found in the running process at first use (Node
// exports its own), or else in the system's libssl. Neither header nor library of OpenSSL is needed to
// build, and where there is none the addon still loads. The types are opaque; signatures and numbers are those of OpenSSL 3.0, which
// its later versions keep. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stmqtt::openssl {

struct SSL;
struct SSL_CTX;
struct SSL_METHOD;
struct BIO;
struct BIO_METHOD;
struct X509;
struct X509_CRL;
struct X509_STORE;
struct X509_STORE_CTX;
struct X509_NAME;
struct EVP_PKEY;
struct EVP_MD;
struct PKCS12;
struct ASN1_TIME;
struct OPENSSL_STACK;
struct ENGINE;

using PasswordCallback = int (*)(char* into, int room, int writing, void* context);
using VerifyCallback = int (*)(int ok, X509_STORE_CTX* context);
using AlpnCallback = int (*)(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_bytes,
                             const unsigned char* offered, unsigned offered_bytes, void* context);
using Callback = void (*)();

// clang-format off
#define STMQTT_OPENSSL_FUNCTIONS(X)                                                               \
  X(unsigned, OPENSSL_version_major, (void))                                                      \
  X(void, CRYPTO_free, (void*, const char*, int))                                                 \
  X(int, RAND_bytes, (unsigned char*, int))                                                       \
  X(const EVP_MD*, EVP_sha256, (void))                                                            \
  X(int, EVP_Digest, (const void*, std::size_t, unsigned char*, unsigned*, const EVP_MD*, ENGINE*)) \
  X(void, EVP_PKEY_free, (EVP_PKEY*))                                                             \
  X(unsigned long, ERR_peek_error, (void))                                                        \
  X(unsigned long, ERR_peek_last_error, (void))                                                   \
  X(const char*, ERR_reason_error_string, (unsigned long))                                        \
  X(void, ERR_clear_error, (void))                                                                \
  X(BIO_METHOD*, BIO_meth_new, (int, const char*))                                                \
  X(int, BIO_meth_set_read, (BIO_METHOD*, int (*)(BIO*, char*, int)))                             \
  X(int, BIO_meth_set_write, (BIO_METHOD*, int (*)(BIO*, const char*, int)))                      \
  X(int, BIO_meth_set_ctrl, (BIO_METHOD*, long (*)(BIO*, int, long, void*)))                      \
  X(BIO*, BIO_new, (const BIO_METHOD*))                                                           \
  X(BIO*, BIO_new_mem_buf, (const void*, int))                                                    \
  X(int, BIO_free, (BIO*))                                                                        \
  X(void, BIO_set_data, (BIO*, void*))                                                            \
  X(void*, BIO_get_data, (BIO*))                                                                  \
  X(void, BIO_set_init, (BIO*, int))                                                              \
  X(void, BIO_set_flags, (BIO*, int))                                                             \
  X(void, BIO_clear_flags, (BIO*, int))                                                           \
  X(X509*, PEM_read_bio_X509, (BIO*, X509**, PasswordCallback, void*))                            \
  X(X509_CRL*, PEM_read_bio_X509_CRL, (BIO*, X509_CRL**, PasswordCallback, void*))                \
  X(EVP_PKEY*, PEM_read_bio_PrivateKey, (BIO*, EVP_PKEY**, PasswordCallback, void*))              \
  X(PKCS12*, d2i_PKCS12_bio, (BIO*, PKCS12**))                                                    \
  X(int, PKCS12_parse, (PKCS12*, const char*, EVP_PKEY**, X509**, OPENSSL_STACK**))               \
  X(void, PKCS12_free, (PKCS12*))                                                                 \
  X(int, OPENSSL_sk_num, (const OPENSSL_STACK*))                                                  \
  X(void*, OPENSSL_sk_value, (const OPENSSL_STACK*, int))                                         \
  X(void, OPENSSL_sk_pop_free, (OPENSSL_STACK*, void (*)(void*)))                                 \
  X(int, i2d_X509, (const X509*, unsigned char**))                                                \
  X(void, X509_free, (X509*))                                                                     \
  X(void, X509_CRL_free, (X509_CRL*))                                                             \
  X(int, X509_check_private_key, (const X509*, const EVP_PKEY*))                                  \
  X(int, X509_cmp_time, (const ASN1_TIME*, void*))                                               \
  X(const ASN1_TIME*, X509_get0_notAfter, (const X509*))                                          \
  X(const ASN1_TIME*, X509_get0_notBefore, (const X509*))                                         \
  X(const ASN1_TIME*, X509_CRL_get0_nextUpdate, (const X509_CRL*))                                \
  X(const char*, X509_verify_cert_error_string, (long))                                           \
  X(int, X509_STORE_add_cert, (X509_STORE*, X509*))                                               \
  X(int, X509_STORE_add_crl, (X509_STORE*, X509_CRL*))                                            \
  X(int, X509_STORE_set_flags, (X509_STORE*, unsigned long))                                      \
  X(int, X509_STORE_CTX_get_error, (const X509_STORE_CTX*))                                       \
  X(int, X509_STORE_CTX_get_error_depth, (const X509_STORE_CTX*))                                 \
  X(void, X509_STORE_CTX_set_error, (X509_STORE_CTX*, int))                                       \
  X(const SSL_METHOD*, TLS_server_method, (void))                                                 \
  X(SSL_CTX*, SSL_CTX_new, (const SSL_METHOD*))                                                   \
  X(void, SSL_CTX_free, (SSL_CTX*))                                                               \
  X(long, SSL_CTX_ctrl, (SSL_CTX*, int, long, void*))                                             \
  X(long, SSL_CTX_callback_ctrl, (SSL_CTX*, int, Callback))                                       \
  X(std::uint64_t, SSL_CTX_set_options, (SSL_CTX*, std::uint64_t))                                \
  X(int, SSL_CTX_set_cipher_list, (SSL_CTX*, const char*))                                        \
  X(int, SSL_CTX_set_ciphersuites, (SSL_CTX*, const char*))                                       \
  X(int, SSL_CTX_use_certificate, (SSL_CTX*, X509*))                                              \
  X(int, SSL_CTX_use_PrivateKey, (SSL_CTX*, EVP_PKEY*))                                           \
  X(X509_STORE*, SSL_CTX_get_cert_store, (const SSL_CTX*))                                        \
  X(int, SSL_CTX_add_client_CA, (SSL_CTX*, X509*))                                                \
  X(void, SSL_CTX_set_verify, (SSL_CTX*, int, VerifyCallback))                                    \
  X(int, SSL_CTX_set_session_id_context, (SSL_CTX*, const unsigned char*, unsigned))              \
  X(void, SSL_CTX_set_alpn_select_cb, (SSL_CTX*, AlpnCallback, void*))                            \
  X(int, SSL_CTX_set_num_tickets, (SSL_CTX*, std::size_t))                                        \
  X(SSL*, SSL_new, (SSL_CTX*))                                                                    \
  X(void, SSL_free, (SSL*))                                                                       \
  X(void, SSL_set_bio, (SSL*, BIO*, BIO*))                                                        \
  X(void, SSL_set_accept_state, (SSL*))                                                           \
  X(SSL_CTX*, SSL_set_SSL_CTX, (SSL*, SSL_CTX*))                                                  \
  X(const char*, SSL_get_servername, (const SSL*, int))                                           \
  X(int, SSL_do_handshake, (SSL*))                                                                \
  X(int, SSL_read_ex, (SSL*, void*, std::size_t, std::size_t*))                                   \
  X(int, SSL_write_ex, (SSL*, const void*, std::size_t, std::size_t*))                            \
  X(int, SSL_shutdown, (SSL*))                                                                    \
  X(int, SSL_get_error, (const SSL*, int))                                                        \
  X(int, SSL_session_reused, (const SSL*))                                                        \
  X(long, SSL_get_verify_result, (const SSL*))                                                    \
  X(X509*, SSL_get1_peer_certificate, (const SSL*))
// clang-format on

struct Functions {
#define STMQTT_OPENSSL_MEMBER(result, name, parameters) result(*name) parameters = nullptr;
  STMQTT_OPENSSL_FUNCTIONS(STMQTT_OPENSSL_MEMBER)
#undef STMQTT_OPENSSL_MEMBER
};

/// Null if neither this process nor the system has OpenSSL 3.
[[nodiscard]] const Functions* functions() noexcept;
/// What the process was searched for in vain; null = it has everything.
[[nodiscard]] const char* missing_function() noexcept;
/// Of the system's library, where that is used; else null.
[[nodiscard]] const char* system_version() noexcept;
/// For tests: the system's library although the process has one. Before anything else here; false =
/// too late, or there is none.
[[nodiscard]] bool want_system() noexcept;

inline constexpr int kBioTypeSourceSink = 0x0400;
inline constexpr int kBioShouldRetryRead = 0x01 | 0x08;
inline constexpr int kBioRetryMask = 0x0F;
inline constexpr int kBioCtrlFlush = 11;

inline constexpr int kCtrlMode = 33;
inline constexpr int kCtrlSessionCacheMode = 44;
inline constexpr int kCtrlServernameCallback = 53;
inline constexpr int kCtrlServernameArgument = 54;
inline constexpr int kCtrlTicketKeys = 59;
inline constexpr int kCtrlAddChainCertificate = 89;  // argument 1: counts a reference of its own
inline constexpr int kCtrlGroupsList = 92;
inline constexpr int kCtrlMinProtocol = 123;
inline constexpr long kTls12 = 0x0303;
inline constexpr long kTls13 = 0x0304;

inline constexpr long kModePartialWrite = 0x01;
inline constexpr long kModeMovingBuffer = 0x02;
inline constexpr long kModeReleaseBuffers = 0x10;
inline constexpr std::uint64_t kOptionNoCompression = std::uint64_t{1} << 17;
inline constexpr std::uint64_t kOptionPrioritizeChacha = std::uint64_t{1} << 21;
inline constexpr std::uint64_t kOptionServerPreference = std::uint64_t{1} << 22;
inline constexpr std::uint64_t kOptionNoRenegotiation = std::uint64_t{1} << 30;

inline constexpr int kVerifyPeer = 1;
inline constexpr int kVerifyFailWithoutCertificate = 2;
inline constexpr unsigned long kStoreCrlCheck = 0x4;
inline constexpr unsigned long kStoreCrlCheckAll = 0x8;
inline constexpr unsigned long kStorePartialChain = 0x80000;
inline constexpr int kVerifyOk = 0;
inline constexpr int kVerifyNoCrl = 3;

inline constexpr int kErrorWantRead = 2;
inline constexpr int kErrorZeroReturn = 6;
inline constexpr int kTlsExtOk = 0;
inline constexpr int kTlsExtFatal = 2;
inline constexpr int kTlsExtNoAck = 3;

/// The number within its library, of a packed error code.
[[nodiscard]] constexpr int reason_of(unsigned long error) noexcept {
  return static_cast<int>(error & 0x7FFFFF);
}
[[nodiscard]] constexpr bool is_of_ssl(unsigned long error) noexcept {
  return (error >> 23 & 0xFF) == 20;
}
// Reasons of the SSL library that have words of their own in the log.
inline constexpr int kReasonUnsupportedProtocol = 258;
inline constexpr int kReasonNoSharedCipher = 193;
inline constexpr int kReasonNoCertificate = 199;
inline constexpr int kReasonVerifyFailed = 134;
inline constexpr int kReasonNoApplicationProtocol = 235;
inline constexpr int kReasonNoSharedGroup = 101;
inline constexpr int kReasonAlertBase = 1000;  // + the alert that the peer sent
inline constexpr int kReasonVersionTooLow = 396;

}  // namespace stmqtt::openssl
