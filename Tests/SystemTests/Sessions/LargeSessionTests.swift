// Owns: the tests of sessions that are too large for one reply of Redis: they are shown and copied
// whole, in parts that others' calls come between.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--request-timeout", "20s", "--max-line", "4MiB"]])) struct LargeSessions {
    private static let value = String(repeating: "é", count: 100_000)

    /// A session with 1.2 MB of fields, 0.4 MB of messages in two chats, and 0.4 MB of documents.
    private func makeLarge(_ client: LineClient) throws -> String {
      let device = Lab.device()
      expect(try client.request("OPEN \(device) name=n {\"small\":[1.50]}"), "OK")
      for n in 0..<6 {
        expect(try client.request("SET \(device) {\"f\(n)\":\"\(n)\(Self.value)\"}"), "OK")
      }
      for chat in 0..<2 {
        if chat > 0 { expect(try client.request("CHAT \(device) name=second"), "OK") }
        for n in 0..<1 {
          expect(try client.request("SAY \(device) {\"n\":\(n),\"t\":\"\(Self.value)\"}"), "OK")
        }
        expect(try client.request("SAY \(device) [{\"n\":1.0},{\"n\":2}]"), "OK")
      }
      for n in 0..<2 {
        expect(try client.request("PUT \(device) k\(n) \"\(n)\(Self.value)\""), "OK")
      }
      expect(try client.request("PUT \(device) last {}"), "OK")
      return device
    }

    private func fieldCount(_ reply: Reply) throws -> Int? {
      try reply.json()["fields"]?.names.count
    }

    @Test func `a large record is shown whole, by whatever verb`() throws {
      let client = try Lab.current.connect()
      let device = try makeLarge(client)
      let shown = try client.request("GET \(device)")
      let fields = try #require(try shown.json()["fields"])
      #expect(fields.names.count == 7)
      for n in 0..<6 { #expect(fields["f\(n)"]?.string == "\(n)\(Self.value)") }
      #expect(shown.raw.contains("\"small\":[1.50]"))
      #expect(try shown.int("messages") == 6)
      // Some of the fields, and none.
      let some = try client.request("GET \(device) fields=f0,f1,f2,f3,f4,small last=1")
      #expect(try fieldCount(some) == 6)
      #expect(some.raw.contains("\"recent\":[{\"seq\":3,"))
      #expect(try fieldCount(client.request("GET \(device) fields=none")) == 0)
      // Fields and messages that are both too many for one reply.
      for n in 0..<5 {
        expect(try client.request("SAY \(device) {\"n\":\(n),\"t\":\"\(Self.value)\"}"), "OK")
      }
      let both = try client.request("GET \(device) last=50")
      #expect(try fieldCount(both) == 7)
      #expect(try both.json()["recent"]?.items.count == 8)
      // Once and again, with the same idempotency key.
      for verb in ["PAUSE \(device) req=p", "PAUSE \(device) req=p", "RESUME \(device)"] {
        let reply = try client.request(verb)
        #expect(try fieldCount(reply) == 7, "\(verb)")
      }
      let recovered = try client.request("RECOVER \(device)")
      #expect(try recovered.string("how") == "latest")
      #expect(try fieldCount(recovered) == 7)
      // A turn has all fields too, and a retry of it.
      for _ in 0..<2 {
        let turn = try client.request("TURN \(device) req=t {\"n\":11}")
        #expect(try fieldCount(turn) == 7)
        #expect(try turn.json()["messages"]?.items.last?["message"]?["n"]?.int == 11)
      }
      // The replies to what is pipelined behind come in order.
      try client.sendLine("GET \(device)\nPING\nGET \(device) fields=none")
      #expect(try fieldCount(client.reply()) == 7)
      #expect(try client.reply().raw == "OK")
      #expect(try fieldCount(client.reply()) == 0)
      // In a list it is a page of its own.
      expect(try client.request("OPEN \(device) {\"new\":1}"), "OK")
      for list in ["LIST \(device) count=yes", "LIST \(device)"] {
        let first = try client.request(list)
        #expect(try first.json()["sessions"]?.items.count == 1)
        let cursor = try first.string("cursor")
        let second = try client.request("\(list) cursor=\(cursor)")
        #expect(try second.json()["sessions"]?.items.first?["fields"]?.names.count == 7)
        let last = try client.request("\(list) cursor=\(second.string("cursor"))")
        #expect(try last.json()["sessions"]?.items.count == 0)
      }
    }

    @Test func `a large session goes out and comes back byte for byte`() throws {
      let client = try Lab.current.connect()
      let device = try makeLarge(client)
      // More documents than there are members of anything else.
      for page in 0..<3 {
        let puts = (0..<800).map { "\"d\(page)-\($0)\":[]" }.joined(separator: ",")
        expect(try client.request("APPLY \(device) {\"put\":{\(puts)}}"), "OK")
      }
      let before = try client.request("EXPORT \(device)")
      expect(before, "OK")
      #expect(before.raw.utf8.count > 1_900_000)
      let record = try client.request("GET \(device)")
      expect(try client.request("DELETE \(device)"), "OK")
      #expect(try client.request("IMPORT \(before.raw.dropFirst(3))").raw == record.raw)
      #expect(try client.request("EXPORT \(device)").raw == before.raw)
      let other = Lab.device()
      expect(try client.request("COPY \(device) \(other)"), "OK")
      let copy = try client.request("EXPORT \(other)")
      #expect(copy.raw.utf8.count > 1_900_000)
      #expect(copy.raw.components(separatedBy: "\"key\":\"").count == 2_404)
      // A document keeps its deadline, which is in the index again.
      expect(try client.request("PUT \(device) last ttl=1h {}"), "OK")
      let timed = try client.request("EXPORT \(device)")
      let again = try client.request("IMPORT replace=yes \(timed.raw.dropFirst(3))")
      #expect(try client.request("EXPORT \(device)").raw == timed.raw)
      let id = try again.string("session")
      let redis = try RedisClient(path: Lab.current.redis.path)
      let docs = try redis.command("KEYS", "lk:*:session:\(device)/\(id)/ttl").items.first?.string
      let base = try #require(docs?.components(separatedBy: ":session:").first)
      #expect(try redis.command("ZSCORE", "\(base):due", "d:\(device)/\(id)").string != nil)
      // One that is refused changes nothing, and no part of it stays.
      expect(try client.request("IMPORT \(before.raw.dropFirst(3))"), "ERR", "illegal_state")
      #expect(try client.request("EXPORT \(device)").raw == timed.raw)
      try eventually("no part of an import in Redis") {
        try redis.command("KEYS", "lk:*:import:*").items.isEmpty
      }
    }

    @Test func `documents and a profile are read whole, in parts`() throws {
      let client = try Lab.current.connect()
      let (device, user) = (Lab.device(), Lab.device("user"))
      expect(try client.request("OPEN \(device)"), "OK")
      for n in 0..<8 {
        expect(try client.request("PUT \(device) k\(n) \"\(n)\(Self.value)\""), "OK")
        expect(try client.request("PROFILE user=\(user) {\"f\(n)\":\"\(n)\(Self.value)\"}"), "OK")
      }
      expect(try client.request("PUT \(device) small {\"a\":[1.50]}"), "OK")
      let keys = ["none"] + (0..<8).map { "k\($0)" } + ["small", "gone", "k3"]
      let taken = try client.request("TAKE \(device) \(keys.joined(separator: " "))")
      let documents = try taken.json()["documents"]?.items ?? []
      #expect(documents.count == 12)
      for (key, document) in zip(keys, documents) {
        let number = key.hasPrefix("k") ? String(key.dropFirst()) : nil
        #expect(document["value"]?.string == number.map { $0 + Self.value }, "\(key)")
        #expect(document["key"]?.string == (["none", "gone"].contains(key) ? nil : key))
      }
      #expect(taken.raw.contains("\"value\":{\"a\":[1.50]}"))
      let profile = try client.request("PROFILE user=\(user)")
      #expect(try profile.int("rev") == 8)
      let fields = try profile.json()["fields"]
      #expect(fields?.names.count == 8)
      for n in 0..<8 { #expect(fields?["f\(n)"]?.string == "\(n)\(Self.value)") }
    }

    @Test func `of reads that a caller sends together one is under way`() throws {
      let lab = try Lab(workers: [["--request-timeout", "20s"]])
      defer { lab.stop() }
      let (client, device) = (try lab.connect(), Lab.device())
      for lines in ["EVENTS \(device)", "REPORT agent=a", "PROFILE user=ada", "EXPORT \(device)"] {
        try lab.redis.freeze()
        defer { lab.redis.thaw() }
        try client.send(Array(String(repeating: lines + "\n", count: 5).utf8))
        let inFlight: Double = try eventually("a read that is under way") {
          let count: Double = try lab.worker.metric("latchkey_requests_in_flight")
          return count > 0 ? count : nil
        }
        #expect(inFlight == 1, "\(lines)")
        lab.redis.thaw()
        let replies = try client.replies(5)
        #expect(replies.allSatisfy { $0.isOK || $0.raw == "NONE" }, "\(lines): \(replies)")
      }
    }

    @Test func `a caller that asks for much delays no other`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let device = try makeLarge(client)
      let calm = CalmCaller { try lab.connect() }
      try calm.awaitServed(1)
      let requests =
        ["EXPORT \(device)", "GET \(device)", "LIST \(device)", "GET \(device) last=50"]
        + ["PAUSE \(device)", "RESUME \(device) req=r", "RECOVER \(device)", "EXPORT \(device)"]
        + ["HISTORY \(device) role=none limit=1000", "EVENTS \(device) limit=1000", "STATS"]
        + ["EVENTS * group=\(device) types=turn.abandoned", "COPY \(device) \(device)-copy"]
        + ["TAKE \(device) k0 k1", "SAY \(device) id=n {\"n\":7}", "LOCKS agent=none"]
      for request in requests { try client.sendLine(request) }
      // More than are served between two of them.
      try calm.awaitServed(20)
      for (request, reply) in zip(requests, try client.replies(16, within: .seconds(20))) {
        #expect(reply.isOK, "\(request): \(reply.raw.prefix(200))")
      }
      try calm.stop()
    }
  }
}
