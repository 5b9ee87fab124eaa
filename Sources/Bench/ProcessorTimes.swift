// Owns: the processor time of processes, from the kernel. A value.

import Glibc

/// Processor time of this process and of those that are observed.
struct ProcessorTimes {
  var ownUs = 0.0
  var observed: [(name: String, us: Double)] = []

  /// The time used up to now, that of processes of one name together; a process that is gone has
  /// used nothing.
  static func now(of processes: [BenchOptions.Observed]) -> ProcessorTimes {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    var times = ProcessorTimes(ownUs: Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3)
    for process in processes {
      let us = us(of: process.pid)
      if let at = times.observed.firstIndex(where: { $0.name == process.name }) {
        times.observed[at].us += us
      } else {
        times.observed.append((process.name, us))
      }
    }
    return times
  }

  func minus(_ earlier: ProcessorTimes) -> ProcessorTimes {
    ProcessorTimes(
      ownUs: ownUs - earlier.ownUs,
      observed: zip(observed, earlier.observed).map { ($0.name, $0.us - $1.us) })
  }

  /// The anonymous memory of a process in KiB, from /proc/PID/smaps_rollup; 0 if it is gone.
  static func memoryKiB(of pid: Int) -> Double {
    guard let file = fopen("/proc/\(pid)/smaps_rollup", "re") else { return 0 }
    defer { fclose(file) }
    var room = [CChar](repeating: 0, count: 256)
    while fgets(&room, 256, file) != nil {
      let line = String(
        decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      let words = line.split(separator: " ")
      if words.count > 1, words[0] == "Anonymous:" { return Double(words[1]) ?? 0 }
    }
    return 0
  }

  /// User and system time of all threads, from /proc/PID/stat: fields 14 and 15, in ticks.
  ///
  /// The second field is a name in parentheses, which may hold spaces.
  private static func us(of pid: Int) -> Double {
    let descriptor = open("/proc/\(pid)/stat", O_RDONLY)
    guard descriptor >= 0 else { return 0 }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 1_024)
    let count = max(0, read(descriptor, &bytes, bytes.count))
    let text = String(decoding: bytes[..<count], as: UTF8.self)
    guard let name = text.lastIndex(of: ")") else { return 0 }
    let fields = text[name...].split(separator: " ")
    guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
      return 0
    }
    return (user + system) * 1e6 / Double(sysconf(Int32(_SC_CLK_TCK)))
  }
}
