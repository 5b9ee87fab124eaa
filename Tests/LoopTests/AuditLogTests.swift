// Owns: the tests of the file of the audit: what becomes of lines that cannot be written whole.

import Foundation
import Glibc
import Testing

@testable import Loop

struct AuditLogTests {
  @Test func `a line that was cut by a full disk does not take the next one with it`() async {
    await #expect(processExitsWith: .success) {
      var template = Array("/tmp/lk-audit-XXXXXX".utf8CString)
      try #require(mkdtemp(&template) != nil)
      let folder = String(
        decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let audit = try AuditLog("\(folder)/audit", format: .logfmt)
      try #require(audit.write(["n": "1"]))
      // A file that may not grow further is as a full disk is.
      signal(SIGXFSZ, SIG_IGN)
      let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
      var limit = rlimit()
      try #require(getrlimit(resource, &limit) == 0)
      let usual = limit.rlim_cur
      let line = try String(contentsOfFile: "\(folder)/audit", encoding: .utf8)
      limit.rlim_cur = rlim_t(line.utf8.count + 10)
      try #require(setrlimit(resource, &limit) == 0)
      try #require(!audit.write(["n": "2"]) && !audit.write(["n": "3"]))
      limit.rlim_cur = usual
      try #require(setrlimit(resource, &limit) == 0)
      try #require(audit.write(["n": "4"]) && audit.write(["n": "5"]))
      let lines = try String(contentsOfFile: "\(folder)/audit", encoding: .utf8)
        .split(separator: "\n", omittingEmptySubsequences: false)
      try #require(lines.count == 5 && lines[1].utf8.count == 10, "\(lines)")
      for (place, end) in [(0, " n=1"), (2, " n=4"), (3, " n=5")] {
        try #require(lines[place].hasPrefix("time=") && lines[place].hasSuffix(end), "\(lines)")
      }
    }
  }

  @Test func `a stalled reader of standard error holds nothing up`() async {
    await #expect(processExitsWith: .success) {
      // Ends the process where a write waits after all.
      alarm(20)
      var ends: [Int32] = [0, 0]
      try #require(pipe(&ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0)
      for end in ends { try #require(fcntl(end, F_SETFL, O_NONBLOCK) == 0) }
      let audit = try AuditLog(AuditLog.standardError, format: .logfmt)
      try #require(audit.isStandardError && audit.write(["n": "1"]))
      let page = [UInt8](repeating: UInt8(ascii: "x"), count: 4_096)
      while write(ends[1], page, page.count) > 0 {}
      while write(ends[1], page, 1) > 0 {}
      try #require(fcntl(ends[1], F_SETFL, 0) == 0)
      try #require(!audit.write(["n": "2"]))
      var read = [UInt8](repeating: 0, count: 1 << 20)
      while Glibc.read(ends[0], &read, read.count) > 0 {}
      try #require(audit.write(["n": "3"]))
      // Without a reader it fails, at once too.
      signal(SIGPIPE, SIG_IGN)
      close(ends[0])
      try #require(!audit.write(["n": "4"]))
    }
  }
}
