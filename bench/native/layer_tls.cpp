// TLS for the generator: each connection makes a full handshake and trusts whatever it is shown.
// Thread: the generator's only one.
#include <dlfcn.h>

#include <string>

#include "connections.hpp"
#include "layer.hpp"

namespace stmqtt::bench {

namespace {

constexpr int kVerifyNone = 0;
constexpr int kWantRead = 2;
constexpr int kPendingCommand = 10;  // BIO_CTRL_PENDING

/// The functions of OpenSSL 3 that a client needs, found at run time: no headers to build, and no
/// row without TLS needs the library.
struct Openssl {
  void* (*client_method)() = nullptr;
  void* (*context_new)(const void*) = nullptr;
  void (*context_verify)(void*, int, void*) = nullptr;
  void* (*ssl_new)(void*) = nullptr;
  void (*ssl_free)(void*) = nullptr;
  void (*set_bio)(void*, void*, void*) = nullptr;
  void (*set_connect_state)(void*) = nullptr;
  int (*handshake)(void*) = nullptr;
  int (*read)(void*, void*, std::size_t, std::size_t*) = nullptr;
  int (*write)(void*, const void*, std::size_t, std::size_t*) = nullptr;
  int (*error)(const void*, int) = nullptr;
  void* (*bio_new)(const void*) = nullptr;
  const void* (*memory_bio)() = nullptr;
  int (*bio_write)(void*, const void*, int) = nullptr;
  int (*bio_read)(void*, void*, int) = nullptr;
  long (*bio_control)(void*, int, long, void*) = nullptr;
  void* context = nullptr;

  Openssl() {
    void* const crypto = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_GLOBAL);
    void* const ssl = dlopen("libssl.so.3", RTLD_NOW);
    if (crypto == nullptr || ssl == nullptr) fail("loading libssl.so.3: apt-get install libssl3");
    find(ssl, "TLS_client_method", client_method);
    find(ssl, "SSL_CTX_new", context_new);
    find(ssl, "SSL_CTX_set_verify", context_verify);
    find(ssl, "SSL_new", ssl_new);
    find(ssl, "SSL_free", ssl_free);
    find(ssl, "SSL_set_bio", set_bio);
    find(ssl, "SSL_set_connect_state", set_connect_state);
    find(ssl, "SSL_do_handshake", handshake);
    find(ssl, "SSL_read_ex", read);
    find(ssl, "SSL_write_ex", write);
    find(ssl, "SSL_get_error", error);
    find(crypto, "BIO_new", bio_new);
    find(crypto, "BIO_s_mem", memory_bio);
    find(crypto, "BIO_write", bio_write);
    find(crypto, "BIO_read", bio_read);
    find(crypto, "BIO_ctrl", bio_control);
    context = context_new(client_method());
    if (context == nullptr) fail("making a TLS context");
    context_verify(context, kVerifyNone, nullptr);
  }

 private:
  template <class F>
  static void find(void* library, const char* name, F& function) {
    function = reinterpret_cast<F>(dlsym(library, name));
    if (function == nullptr) fail(std::string("looking for ") + name + " in OpenSSL 3");
  }
};

const Openssl& openssl() {
  static const Openssl functions;
  return functions;
}

class TlsLayer final : public Layer {
 public:
  TlsLayer() : ssl_(openssl().ssl_new(openssl().context)) {
    const Openssl& o = openssl();
    in_ = o.bio_new(o.memory_bio());
    out_ = o.bio_new(o.memory_bio());
    o.set_bio(ssl_, in_, out_);
    o.set_connect_state(ssl_);
  }
  ~TlsLayer() override { openssl().ssl_free(ssl_); }

  void open(Bytes& wire) override { step(wire); }

  void receive(std::span<const std::uint8_t> bytes, Bytes& packets, Bytes& wire) override {
    const Openssl& o = openssl();
    if (o.bio_write(in_, bytes.data(), static_cast<int>(bytes.size())) != static_cast<int>(bytes.size())) {
      fail("buffering TLS records");
    }
    if (!is_open_) step(wire);
    if (!is_open_) return;
    for (;;) {
      const std::size_t at = packets.size();
      packets.resize(at + kRecordBytes);
      std::size_t got = 0;
      const int result = o.read(ssl_, packets.data() + at, kRecordBytes, &got);
      packets.resize(at + (result == 1 ? got : 0));
      if (result != 1) {
        if (o.error(ssl_, result) != kWantRead) fail("reading TLS records");
        break;
      }
    }
    drain(wire);
  }

  void send(Bytes& packets, Bytes& wire) override {
    if (!is_open_ || packets.empty()) return;
    std::size_t written = 0;
    if (openssl().write(ssl_, packets.data(), packets.size(), &written) != 1 ||
        written != packets.size()) {
      fail("writing TLS records");
    }
    packets.clear();
    drain(wire);
  }

 private:
  static constexpr std::size_t kRecordBytes = 16384;

  void step(Bytes& wire) {
    const int result = openssl().handshake(ssl_);
    if (result == 1) {
      is_open_ = true;
    } else if (openssl().error(ssl_, result) != kWantRead) {
      fail("shaking hands by TLS");
    }
    drain(wire);
  }

  void drain(Bytes& wire) {
    const Openssl& o = openssl();
    const long pending = o.bio_control(out_, kPendingCommand, 0, nullptr);
    if (pending <= 0) return;
    const std::size_t at = wire.size();
    wire.resize(at + static_cast<std::size_t>(pending));
    if (o.bio_read(out_, wire.data() + at, static_cast<int>(pending)) != pending) {
      fail("taking TLS records");
    }
  }

  void* ssl_;
  void* in_;   // owned by ssl_
  void* out_;  // likewise
};

}  // namespace

std::unique_ptr<Layer> make_tls_layer() { return std::make_unique<TlsLayer>(); }

}  // namespace stmqtt::bench
