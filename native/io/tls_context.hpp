// What the TLS connections of a listener have in common: certificates and keys, trusted CAs, CRLs,
// versions, ciphers, ALPN, keys of session tickets. Immutable once made, and counted: a listener gets
// another one at a reload, and connections that are there keep theirs.
// Thread: made on JavaScript's; used and released on any.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "io/openssl.hpp"

namespace stmqtt {

enum class TlsVerify : std::uint8_t {
  none,      ///< no certificate is asked for
  optional,  ///< one that is given must be valid
  require,
};

struct TlsIdentity {
  std::vector<std::string> names;  ///< host names (SNI), "*.example.com" too; none = the default one
  std::string certificate;         ///< PEM: the server's, then intermediate ones
  std::string key;                 ///< PEM
  std::string pkcs12;              ///< DER; instead of certificate and key
  std::string passphrase;          ///< of key or pkcs12
  bool has_passphrase = false;
};

struct TlsOptions {
  std::vector<TlsIdentity> identities;
  std::vector<std::string> ca;   ///< PEM, several certificates in one allowed
  std::vector<std::string> crl;  ///< PEM, likewise
  TlsVerify verify = TlsVerify::none;
  bool tls13_only = false;
  std::string ciphers;       ///< of TLS 1.2; empty = ours
  std::string ciphersuites;  ///< of TLS 1.3; empty = ours
  std::vector<std::string> alpn;  ///< by preference; none = the client's list is not looked at
  bool alpn_required = false;     ///< a client that offers others only is refused
};

/// Which item is wrong, and why, without a secret in it.
struct TlsFailure {
  enum class Item : std::uint8_t {
    none,
    openssl,
    certificate,
    key,
    passphrase,
    pkcs12,
    ca,
    crl,
    ciphers,
    ciphersuites,
    alpn,
  };
  Item item = Item::none;
  std::size_t index = 0;  ///< of the identity, CA or CRL input
  std::string text;
};

class TlsContext {
 public:
  /// Null, and `failure` says why.
  [[nodiscard]] static TlsContext* make(const TlsOptions& options, TlsFailure& failure);

  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  /// For a connection whose server name is not known yet.
  [[nodiscard]] openssl::SSL_CTX* ssl_context() const noexcept { return contexts_.front(); }

 private:
  TlsContext() = default;
  ~TlsContext();

  [[nodiscard]] bool fill(const TlsOptions& options, TlsFailure& failure);
  [[nodiscard]] bool add_identity(const TlsOptions& options, std::size_t index,
                                  TlsFailure& failure);
  [[nodiscard]] bool use_pem(openssl::SSL_CTX* context, const TlsIdentity& identity,
                             TlsFailure& failure);
  [[nodiscard]] bool use_pkcs12(openssl::SSL_CTX* context, const TlsIdentity& identity,
                                TlsFailure& failure);
  [[nodiscard]] bool use(openssl::SSL_CTX* context, openssl::X509* certificate,
                         openssl::EVP_PKEY* key, TlsFailure& failure);
  [[nodiscard]] bool trust(openssl::SSL_CTX* context, const TlsOptions& options,
                           TlsFailure& failure);
  [[nodiscard]] bool set_protocol(openssl::SSL_CTX* context, const TlsOptions& options,
                                  TlsFailure& failure);
  [[nodiscard]] openssl::SSL_CTX* by_name(std::string_view name) const noexcept;

  static int on_server_name(openssl::SSL* ssl, int* alert, void* self) noexcept;
  static int on_alpn(openssl::SSL* ssl, const unsigned char** chosen, unsigned char* chosen_bytes,
                     const unsigned char* offered, unsigned offered_bytes, void* self) noexcept;

  std::atomic<std::uint32_t> references_{1};
  std::vector<openssl::SSL_CTX*> contexts_;  ///< the default one first
  std::vector<std::pair<std::string, openssl::SSL_CTX*>> names_;  ///< lower case
  std::string alpn_;  ///< length bytes and names, as on the wire
  bool alpn_required_ = false;
};

}  // namespace stmqtt
