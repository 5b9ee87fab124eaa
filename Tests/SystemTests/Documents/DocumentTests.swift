// Owns: the tests of documents: values of a session under the caller's own keys.

import Foundation
import Testing
import struct TestSupport.Seeded

extension SystemSuites {
  @Suite(.lab(workers: [["--max-documents", "40"]])) struct Documents {
    private func opened(_ rest: String = "") throws -> (LineClient, String) {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)\(rest)"), "OK")
      return (client, device)
    }

    /// The keys of a reply, null for a document that is not there.
    private func keys(_ reply: Reply) throws -> [String?] {
      guard case .array(let documents)? = try reply.json()["documents"] else {
        throw Failure("no documents: \(reply)")
      }
      return documents.map { $0["key"]?.string }
    }

    @Test(arguments: [
      "{\"b\":1.50, \"a\":[ ]}", "[1e400,{}]", "\"\"", "\"AQID/+8=\"",
      "\"\\ud800 \\u00e9 \\\" é\"",
    ])
    func `a value comes back byte for byte`(value: String) throws {
      let (client, device) = try opened()
      let put = try client.request("PUT \(device) k ttl=1h \(value)")
      #expect(try put.json()["created"] == .bool(true))
      let taken = try client.request("TAKE \(device) k")
      #expect(taken.raw.hasSuffix("\"value\":\(value)}]}"), "\(taken)")
      #expect(
        taken.raw.hasPrefix("OK {\"documents\":[{\"key\":\"k\",\"rev\":\(try put.int("rev")),"))
      let session = try client.request("GET \(device)").string("session")
      expect(try client.request("PUT \(device)/\(session) \"a key\" \(value)"), "OK")
      #expect(try client.request("TAKE \(device) \"a key\"").raw.contains(value))
    }

    @Test func `what is no value, or no key, is refused`() throws {
      let (client, device) = try opened()
      for rest in [
        "k", "k 1", "k null", "k {", "k \"a\" \"b\"", "k ttl=1h", "k \"a\" ttl=1h", "k x=1 {}",
      ]
        + ["\"\" {}", "k ttl=0 {}", "k if=there {}", "\(String(repeating: "k", count: 513)) {}"]
      {
        expectBadRequest(try client.request("PUT \(device) \(rest)"))
      }
      expectBadRequest(try client.request("PUT \(device)/current/1 k {}"), naming: "chat")
      expectBadRequest(try client.request("SAY \(device) token=1 \"text\""))
      expectBadRequest(try client.request("DROP \(device)"), naming: "prefix")
      expectBadRequest(try client.request("DROP \(device) a prefix=a"), naming: "prefix")
      expect(try client.request("PUT \(Lab.device()) k {}"), "NONE")
      expect(try client.request("TAKE \(Lab.device()) k"), "NONE")
      expect(try client.request("KEYS \(Lab.device())"), "NONE")
      #expect(try client.request("KEYS \(device)").raw == "OK {\"documents\":[],\"cursor\":null}")
    }

    @Test func `any text is a key, and keys have the order of their bytes`() throws {
      let (client, device) = try opened()
      let names = [
        "a", "a\\u0000", "a\\u0000b", "a\\u0001", "a\\u0002", "a b", "aa", "é", "\\uD83D\\uDE00",
        "b=c",
        "Z", "{", "\\u007f", "\\\"",
      ]
      for name in names.shuffled() {
        expect(try client.request("PUT \(device) \"\(name)\" \"\(name)\""), "OK")
      }
      let shown = try keys(client.request("KEYS \(device)")).compactMap(\.self)
      #expect(shown.count == names.count)
      #expect(shown == shown.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
      for name in names {
        #expect(
          try client.request("TAKE \(device) \"\(name)\"").raw.contains("\"value\":\"\(name)\""))
        #expect(try client.request("DROP \(device) \"\(name)\"").raw == "OK {\"removed\":1}")
      }
      #expect(try keys(client.request("KEYS \(device)")) == [])
    }

    @Test func `a write is conditional on the revision, or on whether there is a document`() throws
    {
      let (client, device) = try opened()
      let put = "PUT \(device) k "
      expect(try client.request(put + "if=present {}"), "NONE")
      expect(try client.request(put + "rev=1 {}"), "NONE")
      let first = try client.request(put + "if=absent {}").int("rev")
      #expect(try client.request(put + "if=absent {}").raw == "STALE {\"rev\":\(first)}")
      #expect(try client.request(put + "rev=0 {}").raw == "STALE {\"rev\":\(first)}")
      let second = try client.request(put + "if=present rev=\(first) {}")
      #expect(try second.json()["created"] == .bool(false))
      #expect(try second.int("rev") > first)
      #expect(
        try client.request(put + "rev=\(first) {}").raw
          == "STALE {\"rev\":\(try second.int("rev"))}")
      #expect(
        try client.request(put + "rev=99999 {}").raw == "STALE {\"rev\":\(try second.int("rev"))}")
      // A revision never comes again, also after the document was removed.
      expect(try client.request("DROP \(device) k"), "OK")
      expect(try client.request(put + "{}"), "OK")
      expect(try client.request(put + "rev=\(first) {}"), "STALE")
      expect(try client.request(put + "rev=\(try second.int("rev")) {}"), "STALE")
      let lab = try Lab.current
      let now =
        try client.request("TAKE \(device) k").raw
        .firstMatch(of: /"rev":([0-9]+)/).map { String($0.1) } ?? ""
      let replies = try inParallel(4) { index in
        try lab.connect().request("PUT \(device) k rev=\(now) [\(index)]")
      }
      #expect(replies.count { $0.isOK } == 1)
    }

    @Test func `several documents are taken at once, and null stands for one that is not there`()
      throws
    {
      let (client, device) = try opened()
      for name in ["a", "b"] { expect(try client.request("PUT \(device) \(name) [1]"), "OK") }
      let taken = try client.request("TAKE \(device) b x a b")
      #expect(try keys(taken) == ["b", nil, "a", "b"])
      #expect(try client.request("DROP \(device) a x a").raw == "OK {\"removed\":1}")
      #expect(try client.request("DROP \(device) a").raw == "OK {\"removed\":0}")
    }

    @Test func `a page has a range of keys, from either end`() throws {
      let (client, device) = try opened()
      let names = (0..<25).map { "k\($0 / 5)/\($0 % 5)" }
      for name in names {
        expect(try client.request("PUT \(device) \(name) {\"k\":\"\(name)\"}"), "OK")
      }
      let list = "KEYS \(device)"
      #expect(try keys(client.request(list + " prefix=k1/")) == Array(names[5..<10]))
      #expect(try keys(client.request(list + " from=k1/3 to=k2/1")) == Array(names[8..<11]))
      #expect(try keys(client.request(list + " prefix=k1/ from=k1/4")) == ["k1/4"])
      #expect(try keys(client.request(list + " from=k3 to=k2")) == [])
      let newest = try client.request(list + " newest=yes limit=1 values=yes")
      #expect(newest.raw.contains("\"value\":{\"k\":\"k4/4\"}"), "\(newest)")
      #expect(!(try client.request(list + " limit=1").raw.contains("value")))
      for rest in ["", " newest=yes", " prefix=k2", " newest=yes prefix=k2", " values=yes"] {
        let wanted = rest.contains("prefix") ? Array(names[10..<15]) : names
        var (found, cursor) = ([String?](), "")
        repeat {
          let page = try client.request(list + rest + " limit=4" + cursor)
          found += try keys(page)
          cursor = try page.json()["cursor"]?.string.map { " cursor=\"\($0)\"" } ?? ""
        } while !cursor.isEmpty && found.count < 40
        #expect(found == (rest.contains("newest") ? wanted.reversed() : wanted), "\(rest)")
      }
      #expect(try client.request("DROP \(device) prefix=k1").raw == "OK {\"removed\":5}")
      #expect(try keys(client.request(list)) == Array(names[..<5] + names[10...]))
    }

    @Test func `a document with a length of life is gone when that is over`() throws {
      let (client, device) = try opened()
      expect(try client.request("PUT \(device) a ttl=300ms {}"), "OK")
      expect(try client.request("PUT \(device) b ttl=1h {}"), "OK")
      // Written anew without one, it stays.
      expect(try client.request("PUT \(device) c ttl=300ms {}"), "OK")
      expect(try client.request("PUT \(device) c {}"), "OK")
      try eventually("it is gone", within: .seconds(10)) {
        try keys(client.request("TAKE \(device) a")) == [nil]
      }
      #expect(try keys(client.request("KEYS \(device)")) == ["b", "c"])
      #expect(try keys(client.request("KEYS \(device) newest=yes limit=1")) == ["c"])
      expect(try client.request("PUT \(device) a if=present {}"), "NONE")
      let redis = try RedisClient(path: Lab.current.redis.path)
      func left() throws -> Int {
        guard case .array(let found) = try redis.command("KEYS", "*\(device)*/docs"),
          let key = found.first?.string,
          case .integer(let count) = try redis.command("ZCARD", key)
        else { throw Failure("no documents in Redis") }
        return Int(count)
      }
      try eventually("its entry is gone", within: .seconds(20)) { try left() == 2 }
      expect(try client.request("PUT \(device) a if=absent {}"), "OK")
    }

    @Test func `a session has so many documents, of which expired ones do not count`() throws {
      let (client, device) = try opened()
      for n in 0..<39 { expect(try client.request("PUT \(device) k\(n) {}"), "OK") }
      expect(try client.request("PUT \(device) short ttl=50ms {}"), "OK")
      let full = try client.request("PUT \(device) more {}")
      if !full.isOK { expect(full, "ERR", "quota") }
      #expect(full.isOK || full.text.contains("40 of 40"), "\(full)")
      try eventually("there is room", within: .seconds(5)) {
        try client.request("PUT \(device) more {}").isOK
      }
      expect(try client.request("PUT \(device) one {}"), "ERR", "quota")
      expect(try client.request("PUT \(device) k1 [1]"), "OK")
    }

    @Test func `documents go with their session, and are left alone by others`() throws {
      let (client, device) = try opened(" keep=1h")
      let long = String(repeating: "v", count: 5_000)
      expect(try client.request("PUT \(device) long ttl=1h \"\(long)\""), "OK")
      expect(try client.request("PUT \(device) short {}"), "OK")
      let redis = try RedisClient(path: Lab.current.redis.path)
      func keys() throws -> [String] {
        guard case .array(let found) = try redis.command("KEYS", "*session:\(device)/*") else {
          return []
        }
        return found.compactMap(\.string)
      }
      #expect(try keys().count == 4)
      expect(try client.request("CLOSE \(device)"), "OK")
      for key in try keys() {
        guard case .integer(let ms) = try redis.command("PTTL", key) else { throw Failure(key) }
        #expect(ms > 3_500_000 && ms <= 3_600_000, "\(key) stays for \(ms) ms")
      }
      // An ended session is read, and not written.
      #expect(try client.request("TAKE \(device) long").raw.contains(long))
      expect(try client.request("PUT \(device) k {}"), "ERR", "illegal_state")
      expect(try client.request("DROP \(device) long"), "ERR", "illegal_state")
      expect(try client.request("DELETE \(device)"), "OK")
      #expect(try keys() == [])
    }

    @Test func `an export has the documents, and an import brings them back`() throws {
      let (client, device) = try opened()
      let long = String(repeating: "v", count: 5_000)
      expect(try client.request("PUT \(device) \"a \\u0000\" {\"x\": 1.0}"), "OK")
      expect(try client.request("PUT \(device) long ttl=1h \"\(long)\""), "OK")
      let before = try client.request("KEYS \(device) values=yes").raw
      let exported = try client.request("EXPORT \(device)").raw.dropFirst(3)
      expect(try client.request("PUT \(device) other {}"), "OK")
      expect(try client.request("IMPORT replace=yes \(exported)"), "OK")
      #expect(try client.request("KEYS \(device) values=yes").raw == before)
      #expect(try client.request("EXPORT \(device)").raw.dropFirst(3) == exported)
      expect(try client.request("DELETE \(device)"), "OK")
      expect(try client.request("IMPORT \(exported)"), "OK")
      #expect(try client.request("KEYS \(device) values=yes").raw == before)
      let bad = exported.replacing("\"key\":\"long\"", with: "\"key\":\"a \\u0000\"")
      expectBadRequest(try client.request("IMPORT replace=yes \(bad)"), naming: "twice")
    }

    @Test func `a fenced session takes no document without its lock's token`() throws {
      let (client, device) = try opened(" fenced=yes")
      expect(try client.request("PUT \(device) k {}"), "STALE")
      let token = try client.request("LOCK \(device) a").int("token")
      let put = "PUT \(device) k token=\(token) req=p {\"n\":1}"
      let first = try client.request(put)
      expect(first, "OK")
      #expect(try client.request(put).raw == first.raw)
      expect(
        try client.request("PUT \(device) k token=\(token) req=p {\"n\":2}"), "ERR", "conflict")
      expect(try client.request("DROP \(device) prefix=k"), "STALE")
      #expect(try client.request("DROP \(device) prefix=k token=\(token)").int("removed") == 1)
    }

    @Test func `a document whose key is corrupt in Redis hides no other`() throws {
      let (client, device) = try opened()
      for name in ["a", "b", "c"] { expect(try client.request("PUT \(device) \(name) [1]"), "OK") }
      let redis = try RedisClient(path: Lab.current.redis.path)
      guard case .array(let found) = try redis.command("KEYS", "*\(device)*/docs"),
        let key = found.first?.string
      else { throw Failure("no documents") }
      try redis.command("ZADD", key, "0", "b1 no document")
      let page = try client.request("KEYS \(device) values=yes")
      #expect(try keys(page).count == 4)
      #expect(page.raw.contains("\"damaged\":["), "\(page)")
      expect(try client.request("DELETE \(device)"), "OK")
    }

    @Test func `a removal by prefix goes on over many steps`() throws {
      let lab = try Lab(workers: [["--max-documents", "5000"]])
      defer { lab.stop() }
      let client = try lab.connect()
      expect(try client.request("OPEN d"), "OK")
      for n in 0..<2_500 { try client.sendLine("PUT d p\(n) {}") }
      for _ in 0..<2_500 { expect(try client.reply(within: .seconds(20)), "OK") }
      expect(try client.request("PUT d q {}"), "OK")
      let long = String(repeating: "v", count: 2_000)
      expect(try client.request("PUT d p+ ttl=1h \"\(long)\""), "OK")
      #expect(try client.request("DROP d prefix=p req=r").raw == "OK {\"removed\":2501}")
      #expect(try client.request("DROP d prefix=p req=r").raw == "OK {\"removed\":2501}")
      #expect(try keys(client.request("KEYS d")) == ["q"])
      let parts = try ["values", "ttl"].flatMap {
        try lab.redis.command("KEYS", "lk:*:session:d/*/\($0)").items
      }
      #expect(parts.isEmpty, "its long value and its deadline are gone too")
    }

    @Test func `the largest value has room, and one byte more has not`() throws {
      let lab = try Lab(workers: [["--max-value", "2MiB"]])
      defer { lab.stop() }
      let client = try lab.connect()
      expect(try client.request("OPEN d"), "OK")
      let room = 2 << 20
      let fits = "\"\(String(repeating: "v", count: room - 2))\""
      expect(try client.request("PUT d k \(fits)", within: .seconds(20)), "OK")
      #expect(try client.request("TAKE d k", within: .seconds(20)).raw.count > room)
      let long = "\"\(String(repeating: "v", count: room - 1))\""
      expect(try client.request("PUT d k \(long)", within: .seconds(20)), "ERR", "too_large")
      let message = String(repeating: "m", count: room - 8)
      expect(try client.request("SAY d {\"m\":\"\(message)\"}", within: .seconds(20)), "OK")
    }

    @Test func `documents of random requests are those of a model`() throws {
      var random = Seeded("documents against a model")
      let (client, device) = try opened()
      var model: [String: (rev: Int, value: String)] = [:]
      let names = (0..<60).map { "\"\($0 % 3 == 0 ? "p" : "k") \($0)\"" }
      for step in 0..<1_500 {
        let name = names.randomElement(using: &random) ?? "k"
        let there = model[name]
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<5:
          let size = Bool.random(using: &random) ? 4 : 3_000
          let value = "\"\(step)\(String(repeating: "v", count: size))\""
          let rest =
            ["", " if=absent", " if=present", " rev=\(there?.rev ?? 0)", " rev=1"]
            .randomElement(using: &random) ?? ""
          let reply = try client.request("PUT \(device) \(name)\(rest) \(value)")
          let stale = there.map { "STALE {\"rev\":\($0.rev)}" }
          switch (rest, there) {
          case (" if=absent", .some), (" rev=1", .some): #expect(reply.raw == stale, "\(rest)")
          case (" if=present", nil), (" rev=1", nil): expect(reply, "NONE")
          case (_, nil) where model.count == 40: expect(reply, "ERR", "quota")
          default:
            #expect(try reply.json()["created"] == .bool(there == nil), "\(rest)")
            model[name] = (try reply.int("rev"), value)
          }
        case 5:
          let wanted = there.map {
            "{\"key\":\(name),\"rev\":\($0.rev),\"at\":T,\"value\":\($0.value)}"
          }
          let reply = try client.request("TAKE \(device) \(name)").raw
            .replacing(/"at":[0-9]{13}/, with: "\"at\":T")
          #expect(reply == "OK {\"documents\":[\(wanted ?? "null")]}")
        case 6..<8:
          let reply = try client.request("DROP \(device) \(name)")
          #expect(try reply.int("removed") == (model.removeValue(forKey: name) == nil ? 0 : 1))
        case 8 where step % 20 == 0:
          let gone = model.keys.filter { $0.hasPrefix("\"p") }
          for name in gone { model[name] = nil }
          #expect(try client.request("DROP \(device) prefix=p").int("removed") == gone.count)
        default:
          let reply = try client.request("KEYS \(device) values=yes")
          let wanted = model.keys.sorted {
            Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8))
          }
          #expect(try keys(reply).compactMap(\.self).map { "\"\($0)\"" } == wanted)
        }
      }
    }
  }
}
