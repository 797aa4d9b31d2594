// Certificates and keys for the io_tls.cpp tests, valid for a hundred years and trusted by
// nobody else: a CA, a server (localhost) and a client (O = acme, CN = device-1). Thread: any (constants).
#pragma once

namespace stmqtt::test {

inline constexpr const char* kCa =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBnjCCAUOgAwIBAgIUdAGriZb8ugx9CaQsKPiu+oLS+KQwCgYIKoZIzj0EAwIw\n"
    "GzEZMBcGA1UEAwwQc3QtbXF0dGQgdGVzdCBDQTAgFw0yNjExMjIxNzQzNDBaGA8y\n"
    "MTI2MTAyOTE3NDM0MFowGzEZMBcGA1UEAwwQc3QtbXF0dGQgdGVzdCBDQTBZMBMG\n"
    "ByqGSM49AgEGCCqGSM49AwEHA0IABA6qo2Vrh1VEymb4uBCV0r5wed5BM1rKe2cz\n"
    "gbrgySVsWsiTKCCHqRGouSniS4DZrSmmdOu0ufKaXStq6JflCHujYzBhMB0GA1Ud\n"
    "DgQWBBSbIefe+NmMBkJwBqU4uAuzqb6VOzAfBgNVHSMEGDAWgBSbIefe+NmMBkJw\n"
    "BqU4uAuzqb6VOzAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAKBggq\n"
    "hkjOPQQDAgNJADBGAiEAi+YXCPZoOFC5eCMca5kam84X8LNTgLGAp6h+cMsKijoC\n"
    "IQD5L1obnc+N5dEOYyOHEBjf3LMCIsw+6Yza4PufviU8IQ==\n"
    "-----END CERTIFICATE-----\n";

inline constexpr const char* kServerCertificate =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBfjCCASSgAwIBAgIBAjAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBzdC1tcXR0\n"
    "ZCB0ZXN0IENBMCAXDTI2MTEyMjE3NDM0MVoYDzIxMjYxMDI5MTc0MzQxWjAUMRIw\n"
    "EAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT9oolc\n"
    "GpK5aB7BuHLylOLuWhsFe+5vwlpSVY5XRnolh0nQvNe/hFpkZuIE0lKtbRbfpy0M\n"
    "u6LorrFuJQjq9+5Xo14wXDAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwHQYD\n"
    "VR0OBBYEFMufpCGKe/08/0qYt+YMkE5vm65PMB8GA1UdIwQYMBaAFJsh59742YwG\n"
    "QnAGpTi4C7OpvpU7MAoGCCqGSM49BAMCA0gAMEUCIQDqU29FxalATp2tbEdic+aR\n"
    "xIXCbrNJAEmF2ZAQm0zESwIgRRGZ44CwZY10kfBrdStkB4uR41rY78F6QPL78NCJ\n"
    "9J0=\n"
    "-----END CERTIFICATE-----\n";

inline constexpr const char* kServerKey =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgnGQ3+HN4MMbDav59\n"
    "TzEJSD8U84AMhWzO+MMnQ3GJO4+hRANCAAT9oolcGpK5aB7BuHLylOLuWhsFe+5v\n"
    "wlpSVY5XRnolh0nQvNe/hFpkZuIE0lKtbRbfpy0Mu6LorrFuJQjq9+5X\n"
    "-----END PRIVATE KEY-----\n";

inline constexpr const char* kClientCertificate =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBJjCBzQIBAzAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBzdC1tcXR0ZCB0ZXN0\n"
    "IENBMCAXDTI2MTEyMjE3NDM0MVoYDzIxMjYxMDI5MTc0MzQxWjAiMQ0wCwYDVQQK\n"
    "DARhY21lMREwDwYDVQQDDAhkZXZpY2UtMTBZMBMGByqGSM49AgEGCCqGSM49AwEH\n"
    "A0IABGzM4B5S0OnV4g5SHCvHLTnsI+H3SphQ6ZN6sFaZO4N5u3mh3pcgxHCgF9k4\n"
    "LmSws3Wl1ENDOpuRjPXNG8JWtikwCgYIKoZIzj0EAwIDSAAwRQIgPqDRa7C73iE2\n"
    "Yf775uAyq28jGS3VnlSNXgMxBn98Z7ACIQCg9D9rD7W5MpyaD5hSGD9LomXgXOmR\n"
    "GPDFbnteY+kONA==\n"
    "-----END CERTIFICATE-----\n";

inline constexpr const char* kClientKey =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXXVjjj1oSubkKrVW\n"
    "n0wJ1ARf9fiezp9jffxHDvGZ6i+hRANCAARszOAeUtDp1eIOUhwrxy057CPh90qY\n"
    "UOmTerBWmTuDebt5od6XIMRwoBfZOC5ksLN1pdRDQzqbkYz1zRvCVrYp\n"
    "-----END PRIVATE KEY-----\n";

}  // namespace stmqtt::test
