// Owns: how much processor time this process has used. A value; any thread.

internal import Loop

/// A stopwatch of processor time.
struct ProcessorTime {
  private var startUs = 0.0
  private(set) var us = 0.0

  private static func nowUs() -> Double { Double(ProcessorClock.nowNs()) / 1e3 }

  mutating func start() { startUs = ProcessorTime.nowUs() }

  mutating func stop() { us = ProcessorTime.nowUs() - startUs }
}
