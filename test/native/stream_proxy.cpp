// stream/proxy_header.hpp and base/ip_address.hpp: whom a header names, however its bytes arrive.
#include <string>
#include <vector>

#include "runner.hpp"
#include "stream/proxy_header.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::stream;
using enum ProxyHeader::Status;
using Source = ProxyHeader::Source;

ProxyHeader parse(std::string_view text, ProxyVersions versions = ProxyVersions::any) {
  return parse_proxy_header(as_bytes(text), versions);
}

/// Every prefix is incomplete, and says that more are needed than there are, but not too many; the
/// whole, and the whole with something behind it, are the same.
void check_prefixes(const std::string& header) {
  for (std::size_t there = 0; there < header.size(); ++there) {
    const test::Context context("there", there);
    const ProxyHeader found = parse(std::string_view(header).substr(0, there));
    CHECK(found.status == incomplete);
    CHECK(found.bytes > there);
    CHECK(found.bytes <= header.size());
  }
  for (const std::string& behind : {std::string(), std::string("\x10\x20PROXY"), header}) {
    const ProxyHeader found = parse(header + behind);
    CHECK(found.status == done);
    CHECK_EQ(found.bytes, header.size());
  }
}

std::string v2(unsigned command, unsigned family, std::string_view block) {
  std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
  header += static_cast<char>(0x20 | command);
  header += static_cast<char>(family);
  header += static_cast<char>(block.size() >> 8);
  header += static_cast<char>(block.size());
  return header.append(block);
}

const std::string kInet("\xC0\x00\x02\x01\xC6\x33\x64\x07\xDC\x04\x07\x5B", 12);

STMQTT_TEST("stream proxy: version 1 names IPv4, IPv6 and the proxy itself") {
  const std::string line = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n";
  check_prefixes(line);
  const ProxyHeader v4 = parse(line);
  CHECK(v4.source == Source::ip);
  CHECK(v4.address == parse_ip_address("192.0.2.1"));
  CHECK_EQ(v4.port, 56324);
  const std::string line6 = "PROXY TCP6 2001:db8::1 2001:db8::2 4711 8883\r\n";
  check_prefixes(line6);
  CHECK(parse(line6).address == parse_ip_address("2001:db8:0::0:1"));
  CHECK_EQ(parse(line6).port, 4711);
  for (const std::string unknown : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN ff:ff whatever 1\r\n"}) {
    check_prefixes(unknown);
    CHECK(parse(unknown).source == Source::proxy);
  }
  std::string longest = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
  CHECK_EQ(longest.size(), kMaxProxyV1Bytes);
  check_prefixes(longest);
  longest.insert(20, "f");
  CHECK(parse(longest).status == invalid);
}

STMQTT_TEST("stream proxy: version 1 that is not as specified is invalid, as early as can be told") {
  for (const char* bad : {"PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883 \r\n",
                          "PROXY TCP4  192.0.2.1 198.51.100.7 56324 1883\r\n",
                          "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
                          "PROXY TCP4 192.0.2.1 198.51.100.7 65536 1883\r\n",
                          "PROXY TCP4 192.0.2.1 198.51.100.7 056 1883\r\n",
                          "PROXY TCP4 192.0.2.1 198.51.100.7 -1 1883\r\n",
                          "PROXY TCP4 192.0.2.01 198.51.100.7 1 1883\r\n",
                          "PROXY TCP4 192.0.2.256 198.51.100.7 1 1883\r\n",
                          "PROXY TCP4 2001:db8::1 2001:db8::2 1 1883\r\n",
                          "PROXY TCP6 192.0.2.1 198.51.100.7 1 1883\r\n",
                          "PROXY TCP6 2001:db8::1 2001:db8:: 1 \r\n",
                          "PROXY UDP4 192.0.2.1 198.51.100.7 1 1883\r\n",
                          "PROXY \r\n", "PROXY  \r\n", "PROXY TCP4\rX", "PROXY TCP4\n",
                          "proxy TCP4 192.0.2.1 198.51.100.7 1 1883\r\n", "GET / HTTP/1.1\r\n",
                          "\x10\x0C", "P\r\n", "\r\n\r\nX"}) {
    const test::Context context("header", bad);
    CHECK(parse(bad).status == invalid);
  }
  CHECK(parse(std::string("PROXY TCP4\0 ", 12)).status == invalid);
}

STMQTT_TEST("stream proxy: version 2 names IPv4, IPv6, a Unix socket and the proxy itself") {
  check_prefixes(v2(1, 0x11, kInet));
  const ProxyHeader v4 = parse(v2(1, 0x11, kInet));
  CHECK(v4.source == Source::ip);
  CHECK(v4.address == parse_ip_address("192.0.2.1"));
  CHECK_EQ(v4.port, 56324);
  std::string inet6(36, '\0');
  inet6.replace(0, 4, "\x20\x01\x0D\xB8");
  inet6[15] = 1;
  inet6[32] = 0x12;
  inet6[33] = 0x67;
  check_prefixes(v2(1, 0x21, inet6));
  CHECK(parse(v2(1, 0x21, inet6)).address == parse_ip_address("2001:db8::1"));
  CHECK_EQ(parse(v2(1, 0x21, inet6)).port, 4711);
  check_prefixes(v2(1, 0x31, std::string(216, 'x')));
  CHECK(parse(v2(1, 0x31, std::string(216, 'x'))).source == Source::unix_socket);
  check_prefixes(v2(1, 0x00, "anything"));
  CHECK(parse(v2(1, 0x00, "anything")).source == Source::proxy);
  // LOCAL: the family and what follows are of no meaning.
  for (const unsigned family : {0x00U, 0x11U, 0x31U, 0xFFU}) {
    check_prefixes(v2(0, family, "abc"));
    CHECK(parse(v2(0, family, "abc")).source == Source::proxy);
  }
  // ::ffff:192.0.2.1 is 192.0.2.1.
  std::string mapped(36, '\0');
  mapped.replace(10, 6, std::string("\xFF\xFF\xC0\x00\x02\x01", 6));
  CHECK(parse(v2(1, 0x21, mapped)).address == parse_ip_address("192.0.2.1"));
}

STMQTT_TEST("stream proxy: version 2 skips TLVs whose lengths add up") {
  const std::string tlvs("\x01\x00\x02h2\x20\x00\x00\x04\x00\x01x", 12);
  check_prefixes(v2(1, 0x11, kInet + tlvs));
  CHECK_EQ(parse(v2(1, 0x11, kInet + tlvs)).port, 56324);
  for (std::size_t cut = 1; cut < tlvs.size(); ++cut) {
    if (cut == 5 || cut == 8) continue;  // between two
    CHECK(parse(v2(1, 0x11, kInet + tlvs.substr(0, cut))).status == invalid);
  }
}

STMQTT_TEST("stream proxy: version 2 that is not as specified is invalid, as early as can be told") {
  const std::string good = v2(1, 0x11, kInet);
  const auto with = [&](std::size_t at, char byte) {
    std::string bad = good;
    bad[at] = byte;
    return bad;
  };
  CHECK(parse(with(12, 0x11)).status == invalid);
  CHECK(parse(with(12, 0x22)).status == invalid);
  CHECK(parse(with(13, 0x41)).status == invalid);
  CHECK(parse(with(13, 0x13)).status == invalid);
  CHECK(parse(with(13, 0x12)).status == invalid);
  CHECK(parse(with(15, 11)).status == invalid);   // shorter than the addresses
  CHECK(parse(with(14, 0x10)).status == invalid); // longer than is taken, before its bytes are there
  CHECK(parse(with(12, 0x11).substr(0, 13)).status == invalid);
  CHECK(parse(v2(1, 0x11, kInet + std::string(kMaxProxyV2Bytes - 28, '\0').replace(1, 2, "\x0F\xE1")))
            .status == done);
}

STMQTT_TEST("stream proxy: only the versions that are wanted") {
  const std::string line = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n";
  const std::string binary = v2(1, 0x11, kInet);
  CHECK(parse(line, ProxyVersions::v1).status == done);
  CHECK(parse(line, ProxyVersions::v2).status == invalid);
  CHECK(parse(binary, ProxyVersions::v2).status == done);
  CHECK(parse(binary, ProxyVersions::v1).status == invalid);
}

STMQTT_TEST("base ip: addresses as text, and what is none") {
  for (const auto& [text, same] : std::vector<std::pair<const char*, const char*>>{
           {"::1", "0:0:0:0:0:0:0:1"},
           {"::", "0:0::0"},
           {"2001:DB8::A", "2001:db8:0:0:0:0:0:a"},
           {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
           {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
           {"::ffff:192.0.2.1", "192.0.2.1"},
           {"::ffff:c000:201", "192.0.2.1"},
           {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
           {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"}}) {
    const test::Context context("text", text);
    CHECK(parse_ip_address(text).known());
    CHECK(parse_ip_address(text) == parse_ip_address(same));
  }
  for (const char* bad : {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1.2.3.4 ", " 1.2.3.4",
                          "256.0.0.1", "01.2.3.4", "1.2.3.1234", ":", ":::", "1:", ":1", "1:2",
                          "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::",
                          "::1:2:3:4:5:6:7:8", "g::1", "1.2.3.4::", "::1.2.3", "::1.2.3.4:5",
                          "1:2:3:4:5:6:7:1.2.3.4", "[::1]", "fe80::1%eth0"}) {
    const test::Context context("text", bad);
    CHECK(!parse_ip_address(bad).known());
  }
}

STMQTT_TEST("base ip: networks hold what is in them") {
  const auto holds = [](const char* network, const char* address) {
    CHECK(parse_ip_network(network).address.known());
    return parse_ip_network(network).contains(parse_ip_address(address));
  };
  CHECK(holds("10.0.0.0/8", "10.255.0.1"));
  CHECK(!holds("10.0.0.0/8", "11.0.0.0"));
  CHECK(holds("192.0.2.128/25", "192.0.2.129"));
  CHECK(!holds("192.0.2.128/25", "192.0.2.127"));
  CHECK(holds("192.0.2.1", "192.0.2.1"));
  CHECK(!holds("192.0.2.1", "192.0.2.2"));
  CHECK(holds("0.0.0.0/0", "255.1.2.3"));
  CHECK(!holds("0.0.0.0/0", "::1"));
  CHECK(holds("::/0", "2001:db8::1"));
  CHECK(!holds("::/0", "1.2.3.4"));
  CHECK(holds("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK(!holds("2001:db8::/33", "2001:db8:8000::1"));
  CHECK(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
  CHECK(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
  CHECK(parse_ip_network("10.1.2.3/9") == parse_ip_network("10.0.0.0/9"));
  CHECK(parse_ip_network("2001:db8::1/64") == parse_ip_network("2001:db8::/64"));
  for (const char* bad : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08",
                          "/8", "::/129", "10.0.0.0/8/8", "host/8"}) {
    const test::Context context("network", bad);
    CHECK(!parse_ip_network(bad).address.known());
  }
}

}  // namespace
