// Owns: the tests of how many refused requests have a line in the audit.

import Testing

@testable import Server

struct AuditTests {
  /// How many of so many refused requests have a line.
  private func listed(_ audit: inout Audit, isOfPrincipal: Bool, nowMs: Int64) -> Int {
    var count = 0
    for _ in 0..<1_000 where audit.admits(isOfPrincipal: isOfPrincipal, nowMs: nowMs).isListed {
      count += 1
    }
    return count
  }

  @Test func `callers without a principal leave principals their lines`() {
    var audit = Audit()
    for second in Int64(0)..<3 {
      let nowMs = 5_000 + second * 1_000
      #expect(listed(&audit, isOfPrincipal: false, nowMs: nowMs) == Audit.refusedMax)
      #expect(listed(&audit, isOfPrincipal: true, nowMs: nowMs) == Audit.refusedMax)
      #expect(listed(&audit, isOfPrincipal: false, nowMs: nowMs + 999) == 0)
    }
    #expect(audit.takeUnlisted() == 3 * (3_000 - 2 * Audit.refusedMax))
    #expect(audit.takeUnlisted() == 0)
  }

  @Test func `the first one without a line begins the wait for their count`() {
    var audit = Audit()
    let isFirst = (0...Audit.refusedMax + 1).map { _ in
      audit.admits(isOfPrincipal: true, nowMs: 0).isFirstUnlisted
    }
    #expect(isFirst.firstIndex(of: true) == Audit.refusedMax)
    #expect(isFirst.count { $0 } == 1)
    #expect(audit.takeUnlisted() == 2)
    let next = audit.admits(isOfPrincipal: true, nowMs: 0)
    #expect(!next.isListed && next.isFirstUnlisted)
  }
}
