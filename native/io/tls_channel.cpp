// See tls_channel.hpp. Thread: the connection's.
#include "io/tls_channel.hpp"

#include <algorithm>
#include <cstring>

namespace stmqtt {

using namespace openssl;

namespace {

constexpr std::size_t kMaxRecordBytes = 16384;
// A peer that makes us answer (key updates, refused renegotiations) and does not read.
constexpr std::size_t kMaxAnswerBytes = std::size_t{256} << 10;
// OpenSSL reads a record in two pieces. Of one recv, so many may be without plaintext: records that
// change keys cost a hundred times what their bytes cost, and nobody needs more than one now and then.
constexpr unsigned kReadsPerRecord = 2;
constexpr unsigned kMaxFruitlessReads = 32 * kReadsPerRecord;
constexpr std::uint8_t kHandshakeRecord = 0x16;  // RFC 8446, 5.1
constexpr std::uint8_t kMqttConnect = 0x10;

}  // namespace

TlsChannel* TlsChannel::make(TlsContext& context) noexcept { return pool_new<TlsChannel>(context); }

TlsChannel::TlsChannel(TlsContext& context) noexcept : context_(&context) {
  context.retain();
}

TlsChannel::~TlsChannel() {
  if (ssl_ != nullptr) functions()->SSL_free(ssl_);
  context_->release();
}

void TlsChannel::destroy() noexcept { pool_delete(this); }

// ---- what OpenSSL reads and writes ----

int TlsChannel::read_raw(BIO* bio, char* into, int room) noexcept {
  const Functions& f = *functions();
  auto& channel = *static_cast<TlsChannel*>(f.BIO_get_data(bio));
  f.BIO_clear_flags(bio, kBioRetryMask);
  if (channel.raw_.empty()) {
    f.BIO_set_flags(bio, kBioShouldRetryRead);
    return -1;
  }
  if (channel.was_open() && ++channel.fruitless_reads_ > kMaxFruitlessReads) return 0;
  const std::size_t bytes = std::min(channel.raw_.size(), static_cast<std::size_t>(room));
  std::memcpy(into, channel.raw_.data(), bytes);
  channel.raw_ = channel.raw_.subspan(bytes);
  return static_cast<int>(bytes);
}

int TlsChannel::write_raw(BIO* bio, const char* from, int bytes) noexcept {
  auto& channel = *static_cast<TlsChannel*>(functions()->BIO_get_data(bio));
  channel.out.append({reinterpret_cast<const std::uint8_t*>(from), static_cast<std::size_t>(bytes)});
  return bytes;
}

long TlsChannel::control(BIO*, int command, long, void*) noexcept {
  return command == kBioCtrlFlush ? 1 : 0;
}

BIO_METHOD* TlsChannel::bio_method() noexcept {
  static BIO_METHOD* const method = [] {
    const Functions& f = *functions();
    BIO_METHOD* made = f.BIO_meth_new(kBioTypeSourceSink, "st-mqttd");
    if (made == nullptr) return made;
    f.BIO_meth_set_read(made, read_raw);
    f.BIO_meth_set_write(made, write_raw);
    f.BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return method;
}

// ---- in ----

bool TlsChannel::begin(std::uint8_t first) noexcept {
  if (first != kHandshakeRecord) {
    const bool http = first >= 'A' && first <= 'Z';
    fail(TlsFailureCause::not_tls,
         first == kMqttConnect ? "the client speaks MQTT without TLS, and this is a TLS port: give "
                                 "it the mqtts:// address, or use a port without TLS"
         : http ? "the client speaks HTTP without TLS, and this is a TLS port: give it the wss:// "
                  "address"
                : "the client's first byte is not that of a TLS handshake");
    return false;
  }
  const Functions& f = *functions();
  ssl_ = f.SSL_new(context_->ssl_context());
  BIO* bio = ssl_ == nullptr || bio_method() == nullptr ? nullptr : f.BIO_new(bio_method());
  if (bio == nullptr) {
    fail(TlsFailureCause::protocol, "OpenSSL has no memory for another connection");
    return false;
  }
  f.BIO_set_data(bio, this);
  f.BIO_set_init(bio, 1);
  f.SSL_set_bio(ssl_, bio, bio);
  f.SSL_set_accept_state(ssl_);
  stage_ = Stage::handshake;
  return true;
}

ChannelOutput TlsChannel::receive(const ChannelInput& input) noexcept {
  using State = ChannelOutput::State;
  if (ssl_ == nullptr && !begin(input.bytes[0])) return {{}, State::failed};
  const Functions& f = *functions();
  raw_ = input.bytes;
  fruitless_reads_ = 0;
  f.ERR_clear_error();
  std::uint8_t* to = input.room;
  int result = 1;
  if (stage_ == Stage::handshake) {
    result = f.SSL_do_handshake(ssl_);
    if (result == 1) opened();
  }
  while (result == 1) {
    std::size_t got = 0;
    result = f.SSL_read_ex(ssl_, to, kMaxRecordBytes, &got);
    to += got;
    if (result == 1) fruitless_reads_ -= std::min(fruitless_reads_, kReadsPerRecord);
  }
  const int error = f.SSL_get_error(ssl_, result);
  raw_ = {};
  const std::span<std::uint8_t> bytes(input.room, to);
  if (fruitless_reads_ > kMaxFruitlessReads) {
    fail(TlsFailureCause::protocol, "the client changes keys without need, and sends nothing");
    f.ERR_clear_error();
    return {bytes, State::failed};
  }
  if (error == kErrorWantRead) {
    if (out.bytes() <= kMaxAnswerBytes) return {bytes};
    fail(TlsFailureCause::protocol, "the client asks for answers in TLS and does not read them");
    out.clear();
    return {bytes, State::failed};
  }
  if (error == kErrorZeroReturn) return {bytes, State::ended};
  explain_failure();
  return {bytes, State::failed};
}

// ---- out ----

void TlsChannel::send(OutboundQueue& from, std::size_t max_bytes) noexcept {
  const Functions& f = *functions();
  f.ERR_clear_error();
  std::uint8_t joined[kMaxRecordBytes];
  for (std::size_t taken = 0; taken < max_bytes && !from.empty();) {
    // Full records where there is enough: packets lie in several blocks, and large payloads apart.
    constexpr std::size_t kMaxSlices = 16;
    Slice slices[kMaxSlices];
    const std::size_t count = from.gather(slices, kMaxSlices);
    const std::uint8_t* data = slices[0].data;
    std::size_t bytes = std::min(slices[0].bytes, kMaxRecordBytes);
    if (bytes < kMaxRecordBytes && count > 1) {
      std::size_t filled = 0;
      for (std::size_t i = 0; i < count && filled < kMaxRecordBytes; i++) {
        const std::size_t n = std::min(slices[i].bytes, kMaxRecordBytes - filled);
        std::memcpy(joined + filled, slices[i].data, n);
        filled += n;
      }
      data = joined;
      bytes = filled;
    }
    std::size_t written = 0;
    if (f.SSL_write_ex(ssl_, data, bytes, &written) != 1) {
      explain_failure();
      return;
    }
    from.consume(written);
    taken += written;
  }
}

void TlsChannel::finish() noexcept {
  if (stage_ != Stage::open) return;
  stage_ = Stage::over;
  functions()->ERR_clear_error();
  functions()->SSL_shutdown(ssl_);
}

// ---- what is known of the peer, and of failures ----

bool TlsChannel::resumed() const noexcept {
  return ssl_ != nullptr && functions()->SSL_session_reused(ssl_) == 1;
}

Bytes TlsChannel::certificate() noexcept {
  if (certificate_.size() > 0) return {certificate_.begin(), certificate_.size()};
  const Functions& f = *functions();
  if (!was_open() || f.SSL_get_verify_result(ssl_) != kVerifyOk) return {};
  X509* certificate = f.SSL_get1_peer_certificate(ssl_);
  if (certificate == nullptr) return {};
  unsigned char* der = nullptr;
  const int bytes = f.i2d_X509(certificate, &der);
  f.X509_free(certificate);
  for (int i = 0; i < bytes; i++) certificate_.push_back(der[i]);
  if (der != nullptr) f.CRYPTO_free(der, "", 0);
  return {certificate_.begin(), certificate_.size()};
}

void TlsChannel::explain_failure() noexcept {
  const Functions& f = *functions();
  const unsigned long error = f.ERR_peek_error();
  const int reason = is_of_ssl(error) ? reason_of(error) : 0;
  const char* words = error == 0 ? nullptr : f.ERR_reason_error_string(error);
  const std::string_view what = words == nullptr ? "OpenSSL does not say why" : words;
  const auto joined = [this](TlsFailureCause cause, std::string_view head, std::string_view tail) {
    fail(cause, head);
    for (const char c : tail) text_.push_back(c);
  };
  switch (reason) {
    case kReasonNoCertificate:
      fail(TlsFailureCause::certificate, "the client sent no certificate, and this listener requires one");
      break;
    case kReasonVerifyFailed:
      joined(TlsFailureCause::certificate, "the client's certificate is refused: ",
             f.X509_verify_cert_error_string(f.SSL_get_verify_result(ssl_)));
      break;
    case kReasonUnsupportedProtocol:
    case kReasonVersionTooLow:
      fail(TlsFailureCause::version, "the client offers no TLS version that this listener allows");
      break;
    case kReasonNoSharedCipher:
      fail(TlsFailureCause::version, "the client offers no cipher that this listener allows and its key fits");
      break;
    case kReasonNoSharedGroup:
      fail(TlsFailureCause::version, "the client offers no key exchange group that this listener has");
      break;
    case kReasonNoApplicationProtocol:
      fail(TlsFailureCause::version, "the client offers no protocol (ALPN) that this listener has");
      break;
    default:
      if (reason > kReasonAlertBase) {
        joined(TlsFailureCause::refused, was_open() ? "the client sent an alert: "
                                                   : "the client ended the handshake: ", what);
      } else {
        joined(TlsFailureCause::protocol, was_open() ? "what the client sent is not valid TLS: "
                                                    : "the handshake failed: ", what);
      }
  }
  f.ERR_clear_error();
}

}  // namespace stmqtt
