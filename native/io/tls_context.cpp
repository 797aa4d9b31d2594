// See tls_context.hpp; its certificates, keys and CAs: tls_context_items.cpp.
// Thread: JavaScript's; the callbacks on I/O threads.
#include "io/tls_context.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "io/tls_text.hpp"

namespace stmqtt {

using openssl::functions;
using openssl::SSL;
using openssl::SSL_CTX;
using openssl::X509_STORE_CTX;

namespace {

// Forward secrecy and authenticated encryption only; AES-128 first, because it costs least.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kCiphersuites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256:P-384:P-521";

// The whole chain is checked against CRLs, but an issuer without one is fatal for the client's own
// certificate only: CRLs of the CAs above it are rarely at hand.
int on_verify(int ok, X509_STORE_CTX* context) noexcept {
#ifdef STMQTT_MUTANT_ANY_CERTIFICATE
  functions()->X509_STORE_CTX_set_error(context, openssl::kVerifyOk);
  return 1;
#endif
  if (ok == 1 || functions()->X509_STORE_CTX_get_error(context) != openssl::kVerifyNoCrl ||
      functions()->X509_STORE_CTX_get_error_depth(context) == 0) {
    return ok;
  }
  functions()->X509_STORE_CTX_set_error(context, openssl::kVerifyOk);
  return 1;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// The first name of a list that stands for no cipher: OpenSSL passes over it where it knows another.
/// What begins with ! - + @ takes away, or orders, and may be about ciphers that are no more; so may
/// the old words for weak ones.
template <typename Accepts>
std::string unknown_name(std::string_view list, Accepts accepts) {
  constexpr std::string_view kSeparators = ":;, ";
  while (!list.empty()) {
    const std::size_t end = std::min(list.find_first_of(kSeparators), list.size());
    const std::string name(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (name.empty() || std::strchr("!-+@", name[0]) != nullptr) continue;
    if (name == "MEDIUM" || name == "LOW" || name == "EXP" || name == "EXPORT") continue;
    if (!accepts(name.c_str())) return name;
  }
  return {};
}

std::string not_known(const std::string& name) {
  return "has \"" + name + "\", which OpenSSL does not know";
}

/// 32 bytes from a secret of this process and what a resumed session must agree about: whoever was
/// trusted under other CAs or CRLs shakes hands anew after a reload.
void derive(const TlsOptions& options, std::string_view label, unsigned char (&into)[32]) {
  static unsigned char secret[32];
  static const bool made = functions()->RAND_bytes(secret, sizeof secret) == 1;
  std::string input(reinterpret_cast<const char*>(secret), made ? sizeof secret : 0);
  const auto add = [&input](std::string_view text) {
    const std::uint64_t bytes = text.size();
    input.append(reinterpret_cast<const char*>(&bytes), sizeof bytes).append(text);
  };
  add(label);
  add(std::to_string(static_cast<int>(options.verify)));
  for (const std::string& text : options.ca) add(text);
  add("crl");
  for (const std::string& text : options.crl) add(text);
  unsigned bytes = 0;
  functions()->EVP_Digest(input.data(), input.size(), into, &bytes, functions()->EVP_sha256(),
                          nullptr);
}

}  // namespace

TlsContext* TlsContext::make(const TlsOptions& options, TlsFailure& failure) {
  if (functions() == nullptr) {
    failure = {TlsFailure::Item::openssl, 0,
               std::string("neither this runtime nor the system has OpenSSL 3: no ") +
                   openssl::missing_function()};
    return nullptr;
  }
  auto* context = new TlsContext;
  if (context->fill(options, failure)) return context;
  functions()->ERR_clear_error();
  context->release();
  return nullptr;
}

TlsContext::~TlsContext() {
  for (SSL_CTX* context : contexts_) functions()->SSL_CTX_free(context);
}

bool TlsContext::fill(const TlsOptions& options, TlsFailure& failure) {
  using Item = TlsFailure::Item;
  functions()->ERR_clear_error();
  if (options.identities.empty()) {
    failure = {Item::certificate, 0, "there is none"};
    return false;
  }
  alpn_required_ = options.alpn_required;
  for (const std::string& name : options.alpn) {
    if (name.empty() || name.size() > 255) {
      failure = {Item::alpn, 0, "a name must have 1 to 255 bytes"};
      return false;
    }
    alpn_ += static_cast<char>(name.size());
    alpn_ += name;
  }
  for (std::size_t index = 0; index < options.identities.size(); index++) {
    if (!add_identity(options, index, failure)) return false;
  }
  const auto nameless =
      std::find_if(options.identities.begin(), options.identities.end(),
                   [](const TlsIdentity& identity) { return identity.names.empty(); });
  if (nameless != options.identities.end()) {
    const auto at = nameless - options.identities.begin();
    std::swap(contexts_[0], contexts_[static_cast<std::size_t>(at)]);
  }
  return true;
}

bool TlsContext::add_identity(const TlsOptions& options, std::size_t index, TlsFailure& failure) {
  const TlsIdentity& identity = options.identities[index];
  SSL_CTX* context = functions()->SSL_CTX_new(functions()->TLS_server_method());
  if (context == nullptr) {
    failure = {TlsFailure::Item::openssl, 0, openssl_error()};
    return false;
  }
  contexts_.push_back(context);
  for (const std::string& name : identity.names) names_.emplace_back(lower(name), context);
  // Ciphers first: how strong a key must be is part of their list (@SECLEVEL).
  if (!set_protocol(context, options, failure)) return false;
  const bool used = identity.pkcs12.empty() ? use_pem(context, identity, failure)
                                            : use_pkcs12(context, identity, failure);
  if (!used) {
    failure.index = index;
    return false;
  }
  return trust(context, options, failure);
}

bool TlsContext::set_protocol(SSL_CTX* context, const TlsOptions& options, TlsFailure& failure) {
  using namespace openssl;
  using Item = TlsFailure::Item;
  const Functions& f = *functions();
  f.SSL_CTX_ctrl(context, kCtrlMinProtocol, options.tls13_only ? kTls13 : kTls12, nullptr);
  f.SSL_CTX_set_options(context, kOptionNoCompression | kOptionNoRenegotiation |
                                     kOptionServerPreference | kOptionPrioritizeChacha);
  f.SSL_CTX_ctrl(context, kCtrlMode, kModePartialWrite | kModeMovingBuffer | kModeReleaseBuffers,
                 nullptr);
  const std::string cipher = unknown_name(options.ciphers, [&](const char* name) {
    return f.SSL_CTX_set_cipher_list(context, name) == 1;
  });
  if (!cipher.empty()) {
    failure = {Item::ciphers, 0, not_known(cipher)};
    return false;
  }
  const std::string suite = unknown_name(options.ciphersuites, [&](const char* name) {
    return f.SSL_CTX_set_ciphersuites(context, name) == 1;
  });
  if (!suite.empty()) {
    failure = {Item::ciphersuites, 0, not_known(suite)};
    return false;
  }
  const char* ciphers = options.ciphers.empty() ? kCiphers : options.ciphers.c_str();
  if (f.SSL_CTX_set_cipher_list(context, ciphers) != 1) {
    failure = {Item::ciphers, 0, "cannot be used: " + openssl_error()};
    return false;
  }
  const char* suites = options.ciphersuites.empty() ? kCiphersuites : options.ciphersuites.c_str();
  if (f.SSL_CTX_set_ciphersuites(context, suites) != 1) {
    failure = {Item::ciphersuites, 0, "cannot be used: " + openssl_error()};
    return false;
  }
  f.SSL_CTX_ctrl(context, kCtrlGroupsList, 0, const_cast<char*>(kGroups));

  // Resumption by tickets alone: the client keeps the session, we keep nothing.
  f.SSL_CTX_ctrl(context, kCtrlSessionCacheMode, 0, nullptr);
  f.SSL_CTX_set_num_tickets(context, 1);
  unsigned char keys[80];  // name, then one key to sign and one to encrypt
  unsigned char derived[32];
  derive(options, "name", derived);
  std::memcpy(keys, derived, 16);
  f.SSL_CTX_set_session_id_context(context, derived, sizeof derived);
  derive(options, "sign", derived);
  std::memcpy(keys + 16, derived, 32);
  derive(options, "encrypt", derived);
  std::memcpy(keys + 48, derived, 32);
  f.SSL_CTX_ctrl(context, kCtrlTicketKeys, sizeof keys, keys);

  if (!alpn_.empty()) f.SSL_CTX_set_alpn_select_cb(context, on_alpn, this);
  f.SSL_CTX_callback_ctrl(context, kCtrlServernameCallback,
                          reinterpret_cast<Callback>(&TlsContext::on_server_name));
  f.SSL_CTX_ctrl(context, kCtrlServernameArgument, 0, this);
  switch (options.verify) {
    case TlsVerify::none:
      break;
    case TlsVerify::optional:
      f.SSL_CTX_set_verify(context, kVerifyPeer, on_verify);
      break;
    case TlsVerify::require:
      f.SSL_CTX_set_verify(context, kVerifyPeer | kVerifyFailWithoutCertificate, on_verify);
      break;
  }
  return true;
}

// ---- at a handshake ----

SSL_CTX* TlsContext::by_name(std::string_view name) const noexcept {
  const auto same = [](std::string_view pattern, std::string_view text) {
    return pattern.size() == text.size() &&
           std::equal(pattern.begin(), pattern.end(), text.begin(), [](char a, char b) {
             return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
           });
  };
  for (const auto& [pattern, context] : names_) {
    if (same(pattern, name)) return context;
  }
  // "*.example.com" stands for one label (RFC 6125, 6.4.3).
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || dot == 0) return nullptr;
  for (const auto& [pattern, context] : names_) {
    if (pattern.starts_with("*.") && same(std::string_view(pattern).substr(1), name.substr(dot))) {
      return context;
    }
  }
  return nullptr;
}

int TlsContext::on_server_name(SSL* ssl, int*, void* self) noexcept {
  const char* name = functions()->SSL_get_servername(ssl, 0);
  if (name == nullptr) return openssl::kTlsExtNoAck;
  SSL_CTX* context = static_cast<const TlsContext*>(self)->by_name(name);
  // A name that nobody configured gets the default certificate: the client judges it.
  if (context != nullptr) functions()->SSL_set_SSL_CTX(ssl, context);
  return openssl::kTlsExtOk;
}

int TlsContext::on_alpn(SSL*, const unsigned char** chosen, unsigned char* chosen_bytes,
                        const unsigned char* offered, unsigned offered_bytes,
                        void* self) noexcept {
  const TlsContext& context = *static_cast<const TlsContext*>(self);
  const std::string& ours = context.alpn_;
  for (std::size_t at = 0; at < ours.size(); at += 1 + static_cast<unsigned char>(ours[at])) {
    const std::size_t bytes = 1 + static_cast<std::size_t>(static_cast<unsigned char>(ours[at]));
    for (std::size_t i = 0; i < offered_bytes; i += 1 + std::size_t{offered[i]}) {
      if (i + bytes > offered_bytes || std::memcmp(offered + i, ours.data() + at, bytes) != 0) {
        continue;
      }
      *chosen = offered + i + 1;
      *chosen_bytes = offered[i];
      return openssl::kTlsExtOk;
    }
  }
  // A client that names protocols wants one of them (RFC 7301, 3.2), says the standard; many that
  // speak MQTT name others, and are content without.
  return context.alpn_required_ ? openssl::kTlsExtFatal : openssl::kTlsExtNoAck;
}

}  // namespace stmqtt
