// TlsContext: certificates and keys of PEM and PKCS#12, CAs and CRLs. Each failure names its item.
// Thread: JavaScript's.
#include <algorithm>
#include <cstring>
#include <memory>

#include "io/tls_context.hpp"
#include "io/tls_text.hpp"

namespace stmqtt {

using namespace openssl;
using Item = TlsFailure::Item;

namespace {

struct Free {
  void operator()(BIO* bio) const { functions()->BIO_free(bio); }
  void operator()(X509* certificate) const { functions()->X509_free(certificate); }
  void operator()(X509_CRL* crl) const { functions()->X509_CRL_free(crl); }
  void operator()(EVP_PKEY* key) const { functions()->EVP_PKEY_free(key); }
  void operator()(PKCS12* pkcs12) const { functions()->PKCS12_free(pkcs12); }
  void operator()(OPENSSL_STACK* stack) const {
    functions()->OPENSSL_sk_pop_free(stack, [](void* certificate) {
      functions()->X509_free(static_cast<X509*>(certificate));
    });
  }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> reader(const std::string& text) {
  return Owned<BIO>(functions()->BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

struct Passphrase {
  const TlsIdentity& identity;
  bool asked = false;
};

int give_passphrase(char* into, int room, int, void* context) noexcept {
  auto& passphrase = *static_cast<Passphrase*>(context);
  passphrase.asked = true;
  const std::string& text = passphrase.identity.passphrase;
  if (!passphrase.identity.has_passphrase || static_cast<int>(text.size()) > room) return -1;
  std::memcpy(into, text.data(), text.size());
  return static_cast<int>(text.size());
}

/// Only PEM blocks are read: an empty file and one of another format have none.
bool has_block(const std::string& text, const char* of) {
  return text.find(std::string("-----BEGIN ") + of) != std::string::npos;
}

std::string no_block(const char* what) {
  return std::string("has no ") + what + " in PEM form (\"-----BEGIN " + what + "-----\")";
}

/// "CERTIFICATE 2 (line 31)", of blocks counted from 1.
std::string block_name(const std::string& text, const char* what, unsigned number) {
  const std::string begin = std::string("-----BEGIN ") + what;
  std::size_t at = text.find(begin);
  for (unsigned i = 1; i < number && at != std::string::npos; i++) at = text.find(begin, at + 1);
  std::string name = std::string(what) + " " + std::to_string(number);
  if (at == std::string::npos) return name;
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(at);
  return name + " (line " + std::to_string(std::count(text.begin(), end, '\n') + 1) + ")";
}

/// visit(certificate) for each; false: there is none, or one cannot be read.
template <class T, class Read, class Visit>
bool read_all(const std::string& text, const char* what, Read read, std::string& why,
              Visit&& visit) {
  const Owned<BIO> bio = reader(text);
  unsigned count = 0;
  while (true) {
    Owned<T> item(read(bio.get(), nullptr, nullptr, nullptr));
    if (item == nullptr) {
      // The end of the text is an error to OpenSSL: "no start line".
      const bool at_end = count > 0 && reason_of(functions()->ERR_peek_last_error()) == 108;
      if (at_end) {
        functions()->ERR_clear_error();
        return true;
      }
      why = has_block(text, what)
                ? block_name(text, what, count + 1) + " cannot be read: " + openssl_error()
                : no_block(what);
      functions()->ERR_clear_error();
      return false;
    }
    count++;
    if (!visit(item.get())) {
      why = block_name(text, what, count) + ": " + (why.empty() ? openssl_error() : why);
      return false;
    }
  }
}

}  // namespace

bool TlsContext::use_pem(SSL_CTX* context, const TlsIdentity& identity, TlsFailure& failure) {
  const Functions& f = *functions();
  Owned<EVP_PKEY> key;
  {
    Passphrase passphrase{identity};
    key.reset(f.PEM_read_bio_PrivateKey(reader(identity.key).get(), nullptr, give_passphrase,
                                        &passphrase));
    if (key == nullptr) {
      if (passphrase.asked) {
        failure = {Item::passphrase, 0,
                   identity.has_passphrase ? "does not open the key"
                                           : "is missing, and the key is encrypted"};
      } else {
        failure = {Item::key, 0,
                   identity.key.find("PRIVATE KEY-----") == std::string::npos
                       ? no_block("PRIVATE KEY")
                       : "cannot be read: " + openssl_error()};
      }
      f.ERR_clear_error();
      return false;
    }
  }
  bool first = true;
  bool is_own = false;
  std::string why;
  const bool read = read_all<X509>(
      identity.certificate, "CERTIFICATE", f.PEM_read_bio_X509, why, [&](X509* certificate) {
        if (!first) {
          return f.SSL_CTX_ctrl(context, kCtrlAddChainCertificate, 1, certificate) == 1;
        }
        first = false;
        is_own = true;
        return use(context, certificate, key.get(), failure);
      });
  if (read) return true;
  if (!is_own || failure.item == Item::none) failure = {Item::certificate, 0, why};
  return false;
}

bool TlsContext::use_pkcs12(SSL_CTX* context, const TlsIdentity& identity, TlsFailure& failure) {
  const Functions& f = *functions();
  const Owned<PKCS12> pkcs12(f.d2i_PKCS12_bio(reader(identity.pkcs12).get(), nullptr));
  if (pkcs12 == nullptr) {
    failure = {Item::pkcs12, 0, "is no PKCS#12 file: " + openssl_error()};
    return false;
  }
  EVP_PKEY* key_found = nullptr;
  X509* certificate_found = nullptr;
  OPENSSL_STACK* chain_found = nullptr;
  const int parsed = f.PKCS12_parse(pkcs12.get(), identity.passphrase.c_str(), &key_found,
                                    &certificate_found, &chain_found);
  const Owned<EVP_PKEY> key(key_found);
  const Owned<X509> certificate(certificate_found);
  const Owned<OPENSSL_STACK> chain(chain_found);
  if (parsed != 1) {
    const std::string why = openssl_error();
    if (why == "mac verify failure") {
      failure = {Item::passphrase, 0,
                 identity.has_passphrase ? "does not open the PKCS#12 file"
                                         : "is missing, and the PKCS#12 file is encrypted"};
    } else {
      failure = {Item::pkcs12, 0, "cannot be opened: " + why};
    }
    return false;
  }
  if (certificate == nullptr || key == nullptr) {
    failure = {Item::pkcs12, 0, certificate == nullptr ? "has no certificate" : "has no private key"};
    return false;
  }
  if (!use(context, certificate.get(), key.get(), failure)) {
    failure.item = Item::pkcs12;
    return false;
  }
  const int count = chain == nullptr ? 0 : f.OPENSSL_sk_num(chain.get());
  for (int i = 0; i < count; i++) {
    f.SSL_CTX_ctrl(context, kCtrlAddChainCertificate, 1, f.OPENSSL_sk_value(chain.get(), i));
  }
  return true;
}

bool TlsContext::use(SSL_CTX* context, X509* certificate, EVP_PKEY* key, TlsFailure& failure) {
  const Functions& f = *functions();
  if (f.X509_cmp_time(f.X509_get0_notAfter(certificate), nullptr) < 0) {
    failure = {Item::certificate, 0, "has expired"};
  } else if (f.X509_cmp_time(f.X509_get0_notBefore(certificate), nullptr) > 0) {
    failure = {Item::certificate, 0, "is not valid yet: does this machine's clock go wrong?"};
  } else if (f.X509_check_private_key(certificate, key) != 1) {
    failure = {Item::key, 0, "does not belong to the certificate"};
  } else if (f.SSL_CTX_use_certificate(context, certificate) != 1) {
    failure = {Item::certificate, 0, "cannot be used: " + openssl_error()};
  } else if (f.SSL_CTX_use_PrivateKey(context, key) != 1) {
    failure = {Item::key, 0, "cannot be used: " + openssl_error()};
  } else {
    return true;
  }
  f.ERR_clear_error();
  return false;
}

bool TlsContext::trust(SSL_CTX* context, const TlsOptions& options, TlsFailure& failure) {
  const Functions& f = *functions();
  X509_STORE* store = f.SSL_CTX_get_cert_store(context);
  // Whatever is in the file is trusted, be it the CA above or one in between.
  f.X509_STORE_set_flags(store, kStorePartialChain);
  for (std::size_t index = 0; index < options.ca.size(); index++) {
    std::string why;
    const bool read = read_all<X509>(
        options.ca[index], "CERTIFICATE", f.PEM_read_bio_X509, why, [&](X509* certificate) {
          return f.X509_STORE_add_cert(store, certificate) == 1 &&
                 f.SSL_CTX_add_client_CA(context, certificate) == 1;
        });
    if (read) continue;
    failure = {Item::ca, index, why};
    return false;
  }
  for (std::size_t index = 0; index < options.crl.size(); index++) {
    std::string why;
    const bool read = read_all<X509_CRL>(
        options.crl[index], "X509 CRL", f.PEM_read_bio_X509_CRL, why, [&](X509_CRL* crl) {
          const ASN1_TIME* next = f.X509_CRL_get0_nextUpdate(crl);
          if (next != nullptr && f.X509_cmp_time(next, nullptr) < 0) {
            why = "has expired, and no client would be let in; get the issuer's current one";
            return false;
          }
          return f.X509_STORE_add_crl(store, crl) == 1;
        });
    if (read) continue;
    failure = {Item::crl, index, why};
    return false;
  }
  if (!options.crl.empty()) f.X509_STORE_set_flags(store, kStoreCrlCheck | kStoreCrlCheckAll);
  return true;
}

}  // namespace stmqtt
