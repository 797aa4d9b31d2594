// Thread-local words that cost one instruction in the shipped addon too. A shared library's
// thread_local is otherwise reached through a call (__tls_get_addr); with glibc a few bytes may sit
// in the static block instead, which glibc reserves for libraries loaded late. musl refuses to load
// such a library, so there the call stays. Only for plain words, and no large thread_local beside
// them: every byte of the library's takes from that reserve (512 bytes for all libraries).
// Thread: any.
#pragma once

#include <cstddef>  // defines __GLIBC__ where it is

#if defined(__GLIBC__)
#define STMQTT_THREAD_LOCAL thread_local constinit __attribute__((tls_model("initial-exec")))
#else
#define STMQTT_THREAD_LOCAL thread_local constinit
#endif
