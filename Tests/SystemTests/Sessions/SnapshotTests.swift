// Owns: the tests of GET with more messages than one reply of Redis may have, and of TAKE of more
// documents than one call reads.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--request-timeout", "20s", "--max-record", "4MiB"]])) struct Snapshots {
    /// A session with so many messages of 100 KiB.
    private func filled(_ count: Int) throws -> (LineClient, String) {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device) {\"a\":1,\"b\":2}"), "OK")
      let text = String(repeating: "x", count: 100 << 10)
      for n in 0..<count {
        expect(try client.request("SAY \(device) {\"n\":\(n),\"text\":\"\(text)\"}"), "OK")
      }
      return (client, device)
    }

    private func numbers(_ reply: Reply) throws -> [Int] {
      guard case .array(let recent)? = try reply.json()["recent"] else {
        throw Failure("no messages: \(reply.raw.prefix(200))")
      }
      return recent.compactMap { $0["message"]?["n"]?.int }
    }

    @Test func `all messages that are asked for are shown, with the record of that moment`() throws
    {
      let (client, device) = try filled(30)
      for (last, count) in [(1, 1), (9, 9), (10, 10), (11, 11), (25, 25), (1_000, 30)] {
        let reply = try client.request("GET \(device) fields=b last=\(last)")
        #expect(try numbers(reply) == Array((30 - count)..<30), "last=\(last)")
        #expect(try reply.int("messages") == 30 && reply.raw.contains("\"fields\":{\"b\":2}"))
      }
      for n in 30..<45 {
        expect(
          try client.request(
            "SAY \(device) {\"n\":\(n),\"t\":\"\(String(repeating: "y", count: 100 << 10))\"}"),
          "OK")
      }
      let large = try client.request("GET \(device) last=45")
      expect(large, "ERR", "too_large")
      #expect(try numbers(client.request("GET \(device) last=30")) == Array(15..<45))
    }

    @Test func `what is shown was so at one moment, or the reply is overloaded`() throws {
      let (client, device) = try filled(30)
      let lab = try Lab.current
      let isDone = Shared(false)
      // The field and the messages are changed in one step: they belong together.
      let writer = Background {
        let client = try lab.connect()
        var n = 30
        while !isDone.value {
          let text = String(repeating: "z", count: 100 << 10)
          expect(
            try client.request(
              "APPLY \(device) {\"say\":{\"n\":\(n),\"text\":\"\(text)\"},\"set\":{\"n\":\(n)}}"),
            "OK")
          n += 1
        }
      }
      defer {
        isDone.value = true
        _ = try? writer.join(within: .seconds(20))
      }
      for _ in 0..<12 {
        let reply = try client.request("GET \(device) last=25", within: .seconds(20))
        if reply.word == "ERR" {
          expect(reply, "ERR", "overloaded")
          continue
        }
        let found = try numbers(reply)
        let last = try #require(found.last)
        #expect(found == Array((last - 24)...last))
        #expect(last == 29 || reply.raw.contains("\"n\":\(last)}"))
      }
      isDone.value = true
      try writer.join(within: .seconds(20))
      #expect(try numbers(client.request("GET \(device) last=25")).count == 25)
    }

    @Test func `many documents are those of one moment, however often they are changed`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let device = Lab.device()
      let keys = (0..<450).map { "k\($0)" }
      let put = { @Sendable (n: Int) in
        "APPLY \(device) {\"put\":{\(keys.map { "\"\($0)\":[\(n)]" }.joined(separator: ","))}}"
      }
      expect(try client.request("OPEN \(device)"), "OK")
      expect(try client.request(put(0)), "OK")
      let asked = keys.reversed() + ["none"]
      let take = "TAKE \(device) \(asked.joined(separator: " "))"
      let quiet = try client.request(take).json()["documents"]?.items ?? []
      #expect(quiet.map { $0["key"]?.string } == keys.reversed() + [nil])
      let isDone = Shared(false)
      let writer = Background {
        let client = try lab.connect()
        var n = 1
        while !isDone.value {
          expect(try client.request(put(n)), "OK")
          n += 1
        }
      }
      defer {
        isDone.value = true
        _ = try? writer.join(within: .seconds(20))
      }
      for _ in 0..<20 {
        let reply = try client.request(take)
        expect(reply, "OK")
        let numbers = try reply.json()["documents"]?.items.dropLast().map { document in
          document["value"]?.items.first?.int
        }
        #expect(numbers?.count == 450 && Set(numbers ?? []).count == 1, "\(reply.raw.prefix(100))")
      }
    }
  }
}
