// Calls of the GNU C library that Swift's Glibc module does not show.
#include <pthread.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int accept4(int descriptor, struct sockaddr *address, socklen_t *size, int flags);
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int first);
int pthread_setname_np(pthread_t thread, const char *name);

// A filter for a listening TCP socket that drops each request for a connection (SYN without ACK)
// and passes all else. A function here, since Swift's importer has no BPF_STMT; static, as a system
// library has no sources.
#include <linux/filter.h>

// How many bytes have come on a TCP connection, read or not: `tcpi_bytes_received`, which the GNU C
// library's own struct lacks. Negative where the kernel does not say.
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

static inline int64_t tcp_bytes_received(int descriptor) {
  enum { tcp_info_option = 11, offset = 128 };
  unsigned char info[256];
  socklen_t size = sizeof info;
  int64_t count;
  if (getsockopt(descriptor, IPPROTO_TCP, tcp_info_option, info, &size) != 0) return -1;
  if (size < offset + sizeof count) return -1;
  memcpy(&count, info + offset, sizeof count);
  return count;
}

static inline int drop_connection_requests(int descriptor) {
  struct sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),  // the flags of the TCP header
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  };
  struct sock_fprog filter = {.len = sizeof steps / sizeof *steps, .filter = steps};
  return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}
