// What the io_tls*.cpp tests share: a server with TLS channels, and OpenSSL's own client on a blocking
// socket. Where the machine has no libssl.so.3 the tests only say so: Node, in which the broker runs,
// always has it. Thread: the server's handler on its I/O thread; the client is the test's.
#pragma once

#include <dlfcn.h>

#include <cstdio>

#include "io/tls_channel.hpp"
#include "io_fixture.hpp"
#include "tls_certificates.hpp"

namespace stmqtt::test {

using namespace stmqtt::openssl;

struct Library {
  void* handle = ::dlopen("libssl.so.3", RTLD_NOW | RTLD_GLOBAL);
  bool there = handle != nullptr && functions() != nullptr;
  template <class F>
  F find(const char* name) const {
    return reinterpret_cast<F>(::dlsym(handle, name));
  }
  // What only clients call.
  SSL_CTX* (*context_new)(const SSL_METHOD*) = find<decltype(context_new)>("SSL_CTX_new");
  const SSL_METHOD* (*client_method)() = find<decltype(client_method)>("TLS_client_method");
  int (*set_fd)(SSL*, int) = find<decltype(set_fd)>("SSL_set_fd");
  int (*connect)(SSL*) = find<decltype(connect)>("SSL_connect");
  int (*read)(SSL*, void*, int) = find<decltype(read)>("SSL_read");
  int (*write)(SSL*, const void*, int) = find<decltype(write)>("SSL_write");
  const char* (*version)(const SSL*) = find<decltype(version)>("SSL_get_version");
  void* (*get1_session)(SSL*) = find<decltype(get1_session)>("SSL_get1_session");
  int (*set_session)(SSL*, void*) = find<decltype(set_session)>("SSL_set_session");
  void (*session_free)(void*) = find<decltype(session_free)>("SSL_SESSION_free");
  int (*key_update)(SSL*, int) = find<decltype(key_update)>("SSL_key_update");
};

inline const Library& library() {
  static const Library the_library;
  return the_library;
}

inline bool skipped() {
  if (library().there) return false;
  std::printf("note  no libssl.so.3 here: TLS is tested in Node only\n");
  return true;
}

inline TlsOptions server_options() {
  TlsOptions options;
  options.identities.push_back({{}, kServerCertificate, kServerKey, "", "", false});
  return options;
}

struct Server : IoFixture {
  TlsContext* context = nullptr;
  std::atomic<int> opened{0};
  std::atomic<int> resumed{0};
  std::mutex mutex;
  std::vector<std::pair<TlsFailureCause, std::string>> failures;  // guarded by mutex
  std::uint64_t open_by_ms = 0;
  std::size_t certificate_bytes = 0;

  explicit Server(const TlsOptions& options = server_options(), unsigned index = 0)
      : IoFixture({}, index) {
    TlsFailure failure;
    context = TlsContext::make(options, failure);
    CHECK_EQ(failure.text, "");
    REQUIRE(context != nullptr);
    handler.accepted = [this](int fd, ListenerId id, const PeerAddress& peer) {
      DetachedConnection from(fd, 1, id, peer);
      from.channel = TlsChannel::make(*context);
      if (open_by_ms > 0) from.open_by_ms = io.turn_ms() + open_by_ms;
      static_cast<void>(io.adopt(std::move(from), &handler));
    };
    handler.open = [this](Connection& connection) {
      SecureChannel* tls = SecureChannel::find(connection.channel());
      certificate_bytes = tls->certificate().size();
      tls->drop_certificate();
      if (tls->resumed()) resumed++;
      opened++;
    };
    handler.ended = [this](Connection& connection, EndReason reason) {
      const SecureChannel* tls = SecureChannel::find(connection.channel());
      if (tls != nullptr && (!tls->was_open() || reason.kind == EndKind::channel_failed)) {
        const std::lock_guard lock(mutex);
        failures.emplace_back(tls->cause(), reason.text);
      }
      io.release(connection);
    };
  }
  ~Server() {
    stop();
    context->release();
  }
  [[nodiscard]] bool failed(TlsFailureCause cause, std::string_view words) {
    return eventually([&] {
      const std::lock_guard lock(mutex);
      return !failures.empty() && failures.back().first == cause &&
             failures.back().second.find(words) != std::string::npos;
    });
  }
};

/// OpenSSL's client on a blocking socket.
class TlsClient {
 public:
  struct With {
    long max_version = 0;
    bool certificate = false;
    void* session = nullptr;
  };
  TlsClient(std::uint16_t port, const With& with, int receive_buffer_bytes = 0)
      : socket_(port, receive_buffer_bytes) {
    const Functions& f = *functions();
    context_ = library().context_new(library().client_method());
    if (with.max_version != 0) f.SSL_CTX_ctrl(context_, 124, with.max_version, nullptr);
    if (with.certificate) {
      const auto block = [&](const char* text, auto read, auto use, auto release) {
        BIO* bio = f.BIO_new_mem_buf(text, -1);
        auto* item = read(bio, nullptr, nullptr, nullptr);
        CHECK_EQ(use(context_, item), 1);
        release(item);
        f.BIO_free(bio);
      };
      block(kClientCertificate, f.PEM_read_bio_X509, f.SSL_CTX_use_certificate, f.X509_free);
      block(kClientKey, f.PEM_read_bio_PrivateKey, f.SSL_CTX_use_PrivateKey, f.EVP_PKEY_free);
    }
    ssl_ = f.SSL_new(context_);
    library().set_fd(ssl_, socket_.fd());
    if (with.session != nullptr) CHECK_EQ(library().set_session(ssl_, with.session), 1);
    connected_ = library().connect(ssl_) == 1;
    f.ERR_clear_error();
  }
  explicit TlsClient(std::uint16_t port) : TlsClient(port, With{}) {}
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;
  ~TlsClient() {
    functions()->SSL_free(ssl_);
    functions()->SSL_CTX_free(context_);
    functions()->ERR_clear_error();
  }
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] SSL* ssl() const { return ssl_; }
  [[nodiscard]] Client& socket() { return socket_; }
  bool send(std::string_view bytes) {
    return bytes.empty() ||
           library().write(ssl_, bytes.data(), static_cast<int>(bytes.size())) ==
               static_cast<int>(bytes.size());
  }
  std::string read(std::size_t count) {
    std::string bytes(count, '\0');
    std::size_t have = 0;
    while (have < count) {
      const int got = library().read(ssl_, bytes.data() + have, static_cast<int>(count - have));
      if (got <= 0) {
        end_ = functions()->SSL_get_error(ssl_, got);
        break;
      }
      have += static_cast<std::size_t>(got);
    }
    functions()->ERR_clear_error();
    bytes.resize(have);
    return bytes;
  }
  /// close_notify, not only the end of the stream.
  [[nodiscard]] bool at_proper_end() { return read(1).empty() && end_ == kErrorZeroReturn; }

 private:
  Client socket_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool connected_ = false;
  int end_ = 0;
};

}  // namespace stmqtt::test
