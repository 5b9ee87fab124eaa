// Owns: the tests of the list of all held locks.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab()) struct LockLists {
    /// All pages, with so many locks each.
    private func all(_ client: LineClient, _ rest: String, limit: Int) throws -> [(String, String)]
    {
      var (found, cursor, pages) = ([(String, String)](), "", 0)
      repeat {
        let page = try client.request("LOCKS limit=\(limit)\(rest)\(cursor)", within: .seconds(20))
        guard case .array(let locks)? = try page.json()["locks"] else { throw Failure("\(page)") }
        #expect(locks.count <= limit)
        for lock in locks {
          found.append((lock["device"]?.string ?? "", lock["agent"]?.string ?? ""))
          #expect((lock["ttl_ms"]?.int ?? 0) > 0 && (lock["acquired_at"]?.int ?? 0) > 0)
        }
        cursor = page.cursor.map { " cursor=\($0)" } ?? ""
        pages += 1
      } while !cursor.isEmpty && pages < 200
      return found
    }

    @Test func `each held lock is listed once, over all partitions`() throws {
      let client = try Lab.current.connect()
      let prefix = Lab.device()
      let held = (0..<60).map { "\(prefix).\($0)" }
      for (n, device) in held.enumerated() {
        expect(try client.request("LOCK \(device) \(n % 3 == 0 ? "a" : "b") ttl=1h"), "OK")
      }
      for device in held.prefix(5) {
        expect(
          try client.request(
            "UNLOCK \(device) \(device == held[0] || device == held[3] ? "a" : "b")"), "OK")
      }
      expect(try client.request("LOCK \(prefix).short a ttl=10ms"), "OK")
      try eventually("it is over", within: .seconds(5)) {
        try client.request("HOLDER \(prefix).short").word == "NONE"
      }
      for limit in [7, 1_000] {
        let found = try all(client, "", limit: limit).filter { $0.0.hasPrefix(prefix) }
        #expect(found.map(\.0).sorted() == held.dropFirst(5).sorted(), "limit=\(limit)")
        let ofA = try all(client, " agent=a", limit: limit).filter { $0.0.hasPrefix(prefix) }
        #expect(ofA.count == found.count { $0.1 == "a" } && ofA.allSatisfy { $0.1 == "a" })
      }
      #expect(
        try client.request("LOCKS agent=\(prefix)").raw == "OK {\"locks\":[],\"cursor\":null}")
      for cursor in ["xyz", "0a3.", "100", "0a3.a/b"] {
        expectBadRequest(try client.request("LOCKS cursor=\(cursor)"), naming: "cursor")
      }
    }
  }
}
