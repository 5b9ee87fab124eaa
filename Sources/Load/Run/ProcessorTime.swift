// Owns: how much processor time this process has used. A value; any thread.

internal import Glibc

/// A stopwatch of processor time.
struct ProcessorTime {
  private var startUs = 0.0
  private(set) var us = 0.0

  private static func nowUs() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
  }

  mutating func start() { startUs = ProcessorTime.nowUs() }

  mutating func stop() { us = ProcessorTime.nowUs() - startUs }
}
