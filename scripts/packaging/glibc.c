// What the libraries in the program would take from a newer glibc than 2.34, which Red Hat 9 and
// Amazon Linux 2023 have: libevent, as Debian builds it, two functions of 2.36, and Swift's standard
// library one whose newest version is of 2.35. Nothing outside of the program sees these.

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#pragma GCC visibility push(hidden)

void arc4random_buf(void *bytes, size_t count) {
  unsigned char *next = bytes;
  while (count > 0) {
    ssize_t got = getrandom(next, count, 0);
    if (got > 0) {
      next += got;
      count -= (size_t)got;
    } else if (errno != EINTR) {
      abort();  // a kernel without getrandom(2): no number is better than a bad one
    }
  }
}

uint32_t arc4random(void) {
  uint32_t number;
  arc4random_buf(&number, sizeof number);
  return number;
}

// A double has room for the squares of floats.
float hypotf(float x, float y) {
  if (isinf(x) || isinf(y)) return INFINITY;
  return (float)sqrt((double)x * x + (double)y * y);
}
