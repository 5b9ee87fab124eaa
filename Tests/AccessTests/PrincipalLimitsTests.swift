// Owns: the tests of what one principal may ask of a worker.

import Foundation
import Testing

@testable import Access
@testable import Settings

struct PrincipalLimitsTests {
  private static let second: Int64 = 1_000_000_000

  private func limits(_ kind: PrincipalLimits.Kind, _ most: Int) -> PrincipalLimits {
    var limits = PrincipalLimits()
    limits[kind] = most
    return limits
  }

  @Test func `a tenth of a second's requests may come at once, the others at the rate`() {
    let (use, limits) = (PrincipalUse(name: "p"), limits(.rate, 100))
    var now = 5 * Self.second
    func admitted(_ tries: Int) -> Int {
      (0..<tries).count { _ in use.admitRequest(nowNs: now, limits) }
    }
    #expect(admitted(50) == 10)
    #expect(use.limited(.rate) == 40)
    now += Self.second / 100
    #expect(admitted(5) == 1)
    now += Self.second
    #expect(admitted(50) == 10)
    var sum = 0
    for _ in 0..<1_000 {
      now += Self.second / 1_000
      sum += admitted(3)
    }
    #expect(99...101 ~= sum)
  }

  @Test func `connections and waiters are counted, and those refused too`() {
    let use = PrincipalUse(name: "p")
    let two = limits(.connections, 2)
    #expect(use.admitConnection(two))
    #expect(use.admitConnection(two))
    #expect(!use.admitConnection(two))
    use.releaseConnection()
    #expect(use.admitConnection(two))
    #expect(use.limited(.connections) == 1)
    let one = limits(.waiters, 1)
    #expect(use.admitsWaiter(one))
    use.addWaiter()
    #expect(!use.admitsWaiter(one))
    use.releaseWaiter()
    #expect(use.admitsWaiter(one))
    #expect(use.limited(.waiters) == 1)
  }

  @Test func `events and written bytes have rates, of which a second's may come at once`() {
    let use = PrincipalUse(name: "p")
    var now = 5 * Self.second
    let events = limits(.events, 4)
    #expect((0..<5).count { _ in use.admitEvents(1, nowNs: now, events) } == 4)
    now += Self.second / 4
    #expect((0..<5).count { _ in use.admitEvents(1, nowNs: now, events) } == 1)
    #expect(use.limited(.events) == 5)
    now += Self.second
    #expect(use.admitEvents(2, nowNs: now, events))
    #expect((0..<5).count { _ in use.admitEvents(1, nowNs: now, events) } == 2)
    let bytes = limits(.written, 1_000)
    #expect(use.admitWritten(600, nowNs: now, bytes))
    // The last one may be as large as any, and is paid for by those behind it.
    #expect(use.admitWritten(5_000, nowNs: now, bytes))
    #expect(!use.admitWritten(1, nowNs: now, bytes))
    now += 4 * Self.second + Self.second / 2
    #expect(!use.admitWritten(1, nowNs: now, bytes))
    now += Self.second / 2
    #expect(use.admitWritten(1, nowNs: now, bytes))
    #expect(use.limited(.written) == 2)
  }

  @Test func `operations-md names each limit, in the table of the file and in that of metrics`()
    throws
  {
    let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs/operations.md")
    let page = try String(contentsOf: path, encoding: .utf8)
    let names = PrincipalLimits.Kind.allCases.map(\.rawValue)
    let rows = page.matches(of: /\n\| `([a-z]+)=` \| how many/).map { String($0.1) }
    #expect(rows == names)
    let metric = try #require(
      page.firstMatch(of: /\n\| `latchkey_principal_limited_total` .* by `limit`: (.*?) \|/)
    ).1
    #expect(metric.matches(of: /`([a-z]+)`/).map { String($0.1) } == names)
  }

  @Test func `principals of the file have marks of six letters and digits`() throws {
    let names = ["scheduler", "billing", String(repeating: "x", count: 64)]
    let marks = try names.map { name in
      let line = try NewPrincipal(name: name, secret: nil, grants: []).line
      return try #require(try PrincipalFile.parse(line)[name]).mark
    }
    #expect(Set(marks).count == names.count)
    #expect(
      marks.allSatisfy {
        $0.utf8.count == 6 && $0.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
      })
  }

  @Test func `the file says the limits`() throws {
    let new = try NewPrincipal(
      name: "p", secret: nil,
      grants: [
        "rights=read", "rate=5", "connections=6", "waiters=7", "events=8", "written=9", "locks=10",
        "sessions=11",
      ])
    let principal = try #require(try PrincipalFile.parse(new.line)["p"])
    #expect(PrincipalLimits.Kind.allCases.map { principal.limits[$0] } == Array(5...11))
    let plain = try NewPrincipal(name: "q", secret: nil, grants: [])
    let other = try #require(try PrincipalFile.parse(plain.line)["q"])
    #expect(other.limits == PrincipalLimits())
    for wrong in [
      "rate=0", "rate=-1", "rate=", "waiters=1000000001", "connections=1 connections=2",
    ] {
      #expect(throws: PrincipalFileError.self) {
        try PrincipalFile.parse("\(plain.line) \(wrong)")
      }
    }
  }

  @Test func `users of tokens have limits of their own, and are shown as one`() {
    let uses = PrincipalUses()
    var limits = PrincipalLimits()
    limits[.connections] = 1
    for name in ["jwt:ada", "jwt:bob"] {
      let use = uses.of(name, isOfToken: true)
      #expect(use.admitConnection(limits) && !use.admitConnection(limits))
    }
    _ = uses.of("p")
    #expect(uses.all.map(\.name) == ["p", "jwt:*"])
    #expect(uses.all.map { $0.limited(.connections) } == [0, 2])
  }

  @Test func `what a principal uses outlives it`() {
    let uses = PrincipalUses()
    let use = uses.of("p")
    #expect(uses.of("p") === use)
    _ = uses.of("a")
    #expect(uses.all.map(\.name) == ["a", "p"])
    // Of many, those that have no connection are forgotten.
    #expect(use.admitConnection(PrincipalLimits()))
    for number in 0..<PrincipalUses.keptMax { _ = uses.of("n\(number)") }
    #expect(uses.of("p") === use && uses.all.count < 4)
  }
}
