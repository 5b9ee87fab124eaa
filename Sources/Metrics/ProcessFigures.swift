// Owns: the kernel's figures of this process. Any thread.

internal import Glibc
internal import Loop

package enum ProcessFigures {
  /// User and system time.
  package static func processorSeconds() -> Double { Double(ProcessorClock.nowNs()) / 1e9 }

  /// The resident memory in bytes, or nil where the kernel does not say.
  package static func residentBytes() -> Int? {
    guard let file = fopen("/proc/self/statm", "re") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, 128, file) != nil else { return nil }
    let text = String(
      decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let fields = text.split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// Descriptors in use, or nil where the kernel does not say.
  package static func openDescriptors() -> Int? {
    guard let folder = opendir("/proc/self/fd") else { return nil }
    defer { closedir(folder) }
    var count = 0
    while readdir(folder) != nil { count += 1 }
    // Without `.` and `..`, and the folder itself.
    return count - 3
  }

  /// How many descriptors it may have.
  package static func descriptorsMax() -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
    return Int(clamping: limit.rlim_cur)
  }
}
