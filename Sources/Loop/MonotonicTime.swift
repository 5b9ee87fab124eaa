// Owns: the system's clocks: the one that never jumps, used for every deadline inside the worker,
// the wall's, and the processor's. Any thread.

internal import Glibc

/// The monotonic clock of this machine.
package enum MonotonicTime {
  /// Nanoseconds since an arbitrary moment; never goes back.
  package static func nowNs() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Milliseconds since the same moment.
  package static func nowMs() -> Int64 { nowNs() / 1_000_000 }
}

/// The processor time that this process has used.
package enum ProcessorClock {
  /// User and system time of all its threads, in ns.
  package static func nowNs() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

/// The wall clock, only for what people and logs read.
package enum WallTime {
  /// Milliseconds since 1970, UTC.
  package static func nowMs() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// The time as HTTP writes it: `Sat, 21 Nov 2026 02:44:52 GMT`.
  package static func httpText(ms: Int64) -> String {
    var seconds = time_t(ms / 1_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    var text = [CChar](repeating: 0, count: 32)
    let count = strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
    return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The time as `2026-11-21T02:44:52.123Z`.
  package static func text(ms: Int64) -> String {
    var seconds = time_t(ms / 1_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    var text = [CChar](repeating: 0, count: 32)
    let count = strftime(&text, text.count, "%Y-%m-%dT%H:%M:%S", &parts)
    let millis = String(1_000 + ms % 1_000).dropFirst()
    let stamp = String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return "\(stamp).\(millis)Z"
  }
}
