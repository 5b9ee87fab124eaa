// Owns: the tests of LIST by activity, by time, by two links, with some of the fields and with the
// number of all; and of the index by activity, which comes right by itself.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--max-sessions", "10000", "--max-user-sessions", "400"]]))
  struct ListLooks {
    private func names(_ reply: Reply) throws -> [String] {
      guard case .array(let sessions) = try reply.json()["sessions"] else {
        throw Failure("no list: \(reply)")
      }
      return sessions.compactMap { $0["device"]?.string }
    }

    private func pages(_ client: LineClient, _ list: String, limit: Int) throws -> [String] {
      var (found, cursor) = ([String](), "")
      for _ in 0..<1_000 {
        let reply = try client.request("LIST \(list) limit=\(limit)\(cursor)")
        found += try names(reply)
        #expect(try names(reply).count <= limit)
        guard let next = reply.cursor else { return found }
        cursor = " cursor=\(next)"
      }
      throw Failure("the list has no end")
    }

    /// Sessions of a tag, each of its own device, in the order of their activity, the last first.
    private func tagged(_ client: LineClient, _ count: Int) throws -> (tag: String, order: [String])
    {
      let tag = Lab.device("tag")
      let devices = (0..<count).map { _ in Lab.device() }
      for device in devices {
        expect(try client.request("OPEN \(device) name=x {\"a\":1,\"b\":[2]}"), "OK")
        expect(try client.request("LINK \(device) tag \(tag)"), "OK")
      }
      // Out of the order in which they were made, and each in a millisecond of its own.
      let order = devices.enumerated().sorted { $0.offset % 3 < $1.offset % 3 }.map(\.element)
      try use(client, order.reversed())
      return (tag, order)
    }

    /// Uses sessions one after another, each in a later millisecond than the one before.
    private func use(_ client: LineClient, _ addresses: [String]) throws {
      var last = 0
      for address in addresses {
        try eventually("a later activity", within: .seconds(5)) {
          expect(try client.request("TOUCH \(address)"), "OK")
          let active = try client.request("GET \(address)").int("active_at")
          defer { last = max(last, active) }
          return active > last
        }
      }
    }

    @Test func `the session that was active last comes first, however the list is paged`() throws {
      let client = try Lab.current.connect()
      let (tag, order) = try tagged(client, 7)
      for limit in [1, 3, 7, 100] {
        let list = "tag=\(tag) order=active"
        #expect(try pages(client, list, limit: limit) == order, "limit \(limit)")
      }
      #expect(try pages(client, "tag=\(tag) order=created", limit: 3) != order)
      // One device's, and all.
      let device = Lab.device()
      let ids = try (0..<5).map { _ in try client.request("OPEN \(device)").string("session") }
      try use(client, [ids[3], ids[0], ids[4]].map { "\(device)/\($0)" })
      let reply = try client.request("LIST \(device) order=active limit=3")
      guard case .array(let shown) = try reply.json()["sessions"] else { throw Failure("\(reply)") }
      #expect(shown.compactMap { $0["session"]?.string } == [ids[4], ids[0], ids[3]])
    }

    @Test func `a page of many sessions is the same as smaller ones together`() throws {
      let client = try Lab.current.connect()
      let (device, user) = (Lab.device(), Lab.device("user"))
      func ask(_ lines: [String]) throws -> [Reply] {
        let bytes = Array(lines.map { "\($0)\n" }.joined().utf8)
        return try client.exchange(bytes, lines: lines.count, within: .seconds(20))
          .map { Reply(raw: $0) }
      }
      let opened = try ask((0..<450).map { "OPEN \(device) {\"n\":\($0)}" })
      let ids = try opened.map { try $0.string("session") }.sorted(by: >)
      let closed = ids.indices.filter { $0 % 3 == 0 }
      let linked = ids.indices.filter { $0 % 5 != 0 }
      let changes =
        linked.map { "LINK \(device)/\(ids[$0]) user \(user)" }
        + closed.map { "CLOSE \(device)/\(ids[$0])" }
      for reply in try ask(changes) { expect(reply, "OK") }
      let lists = [
        ("", Array(ids.indices)), (" state=completed", closed), (" as=\(user)", linked),
        (" state=paused", []),
      ]
      for (rest, wanted) in lists {
        for limit in [100, 200, 201, 399, 400, 401, 449, 450, 1_000] {
          let reply = try client.request("LIST \(device)\(rest) limit=\(limit)")
          let shown = try reply.json()["sessions"]?.items.compactMap { $0["session"]?.string }
          #expect(shown == wanted.prefix(limit).map { ids[$0] }, "\(rest) limit=\(limit)")
          let last = limit < wanted.count ? ids[wanted[limit - 1]] : nil
          #expect(reply.cursor == last, "\(rest) limit=\(limit)")
        }
        let counted = try client.request("LIST \(device)\(rest) count=yes limit=300")
        #expect(try counted.int("total") == wanted.count)
        #expect(try counted.json()["sessions"]?.items.count == min(300, wanted.count))
      }
      #expect(try client.request("RECOVER \(device) user=none").string("how") == "new")
      let found = try client.request("RECOVER \(device) user=\(user)")
      let live = try #require(linked.first { $0 % 3 != 0 })
      #expect(try found.string("session") == ids[live] && found.string("how") == "latest")
      // Of the 240 that a user has, the one that was active last, whichever it is.
      for place in [449, 251, 134, 82, 4] {
        try eventually("\(place) was active last", within: .seconds(5)) {
          expect(try client.request("TOUCH \(device)/\(ids[place])"), "OK")
          let latest = try client.request("RECOVER user=\(user) on=\(device)")
          return try latest.string("session") == ids[place]
            && client.request("GET user=\(user)").string("session") == ids[place]
        }
      }
    }

    @Test func `the list of all comes from the index, which is less than a minute behind`() throws {
      let lab = try Lab(workers: [["--idle", "0", "--abandon", "0"]])
      defer { lab.stop() }
      let client = try lab.connect()
      let devices = (0..<40).map { _ in Lab.device() }
      for device in devices { expect(try client.request("OPEN \(device)"), "OK") }
      for limit in [1, 7, 40, 1_000] {
        let found = try pages(client, "* order=active", limit: limit)
        #expect(found.sorted() == devices.sorted(), "limit \(limit)")
      }
      let scores = try lab.scores()
      #expect(scores.count == 40)
      // As if they had been active long ago, in another order: a TOUCH notes a new minute.
      for (n, device) in devices.enumerated() {
        try lab.makeActive(device, atMs: 1_700_000_000_000 + (n * 7 % 40) * 60_000)
      }
      let wanted = devices.indices.sorted { $0 * 7 % 40 > $1 * 7 % 40 }.map { devices[$0] }
      #expect(try pages(client, "* order=active", limit: 9) == wanted)
      let since = 1_700_000_000_000 + 20 * 60_000
      #expect(
        try pages(client, "* order=active since=\(since)", limit: 9) == Array(wanted.prefix(20)))
      #expect(
        try pages(client, "* order=active before=\(since)", limit: 9) == Array(wanted.suffix(20)))
      expect(try client.request("SET \(wanted[39]) {\"a\":1}"), "OK")
      expect(try client.request("SAY \(wanted[38]) {}"), "OK")
      #expect(
        try names(client.request("LIST * order=active limit=2")).sorted()
          == [wanted[39], wanted[38]].sorted())
      expect(try client.request("DELETE \(wanted[0])"), "OK")
      #expect(try lab.scores().count == 39)
    }

    @Test func `an index that others have damaged comes right, and fails nothing meanwhile`() throws
    {
      let lab = try Lab(workers: [["--sweep", "100ms"]])
      defer { lab.stop() }
      let client = try lab.connect()
      let devices = (0..<12).map { _ in Lab.device() }
      for device in devices { expect(try client.request("OPEN \(device)"), "OK") }
      for damage in ["DEL", "SET", "ZREM", "ZADD"] {
        for key in try lab.keys(of: "activity") {
          switch damage {
          case "DEL": try lab.redis.command("DEL", key)
          case "SET": try lab.redis.command("SET", key, "x")
          case "ZREM": try lab.redis.command("ZREMRANGEBYRANK", key, "0", "0")
          default: try lab.redis.command("ZADD", key, "5", "none/01BX5ZZKBKACTAV9WEVGEMMVRZ")
          }
        }
        expect(try client.request("OPEN \(devices[0])"), "OK", "", "\(damage)")
        expect(try client.request("CLOSE \(devices[0])"), "OK", "", "\(damage)")
        expect(try client.request("DELETE \(devices[0])"), "OK", "", "\(damage)")
        try eventually("the index is whole after \(damage)", within: .seconds(10)) {
          try pages(client, "* order=active", limit: 100).sorted() == devices.sorted()
            && lab.scores().count == devices.count
        }
      }
    }

    @Test func `two links, states, times and fields can be asked for at once, and be counted`()
      throws
    {
      let client = try Lab.current.connect()
      let (tag, order) = try tagged(client, 6)
      let user = Lab.device("user")
      for device in order.prefix(4) {
        expect(try client.request("LINK \(device) user \(user)"), "OK")
      }
      expect(try client.request("PAUSE \(order[1])"), "OK")
      expect(try client.request("CLOSE \(order[2])"), "OK")
      let both = "and.user=\(user)"
      for list in [
        "tag=\(tag) \(both)", "user=\(user) and.tag=\(tag)", "* \(both)",
        "user=\(user) AND.tag=\(tag)",
      ] {
        let reply = try client.request("LIST \(list) order=active count=yes")
        #expect(try names(reply) == Array(order.prefix(4)), "\(list)")
        #expect(try reply.int("total") == 4 && reply.cursor == nil, "\(list)")
      }
      let some = try client.request(
        "LIST tag=\(tag) \(both) state=paused,completed order=active fields=b limit=1 count=yes")
      #expect(try names(some) == [order[1]] && some.int("total") == 2 && some.cursor != nil)
      #expect(some.raw.contains("\"fields\":{\"b\":[2]}"))
      let none = try client.request("LIST \(order[0]) fields=none count=yes")
      #expect(
        none.raw.contains("\"fields\":{}") && none.raw.hasSuffix("\"cursor\":null,\"total\":1}"))
      #expect(try client.request("LIST \(order[0]) and.user=none count=yes").int("total") == 0)
      #expect(try names(client.request("LIST \(order[0]) \(both) fields=a")) == [order[0]])
      let made = try client.request("GET \(order[3])").int("created_at")
      for (rest, holds) in [("since=\(made)", true), ("before=\(made)", false)] {
        for list in ["tag=\(tag)", order[3], "*", "tag=\(tag) count=yes"] {
          let found = try pages(client, "\(list) \(rest)", limit: 1_000)
          #expect(found.contains(order[3]) == holds, "\(list) \(rest)")
        }
      }
      for bad in [
        "* and.user", "* and.=x", "tag=\(tag) and.agent=x", "tag=\(tag) and.a=1 and.b=2",
        "tag=\(tag) order=name", "\(order[0]) count=1", "tag=\(tag) order=active cursor=x",
        "tag=\(tag) order=active cursor=5.\(user)", "* and.a=1 and.A=2", "tag=\(tag) since=x",
      ] { expectBadRequest(try client.request("LIST \(bad)"), "\(bad)") }
      expectBadRequest(try client.request("GET \(order[0]) and.user=x"), naming: "and.user")
    }
  }
}

extension Lab {
  /// The keys of all partitions with a name, such as `activity`.
  fileprivate func keys(of name: String) throws -> [String] {
    guard case .array(let keys) = try redis.command("KEYS", "lk:{???}:\(name)") else { return [] }
    return keys.compactMap(\.string)
  }

  /// The entries of the index by activity.
  fileprivate func scores() throws -> [String] {
    try keys(of: "activity").flatMap { key -> [String] in
      guard case .array(let entries) = try redis.command("ZRANGE", key, "0", "-1") else {
        return []
      }
      return entries.compactMap(\.string)
    }
  }

  /// Has a session as if its last activity had been then, in its record and in the index.
  fileprivate func makeActive(_ device: String, atMs ms: Int) throws {
    guard case .array(let found) = try redis.command("KEYS", "lk:*:session:\(device)/*"),
      let key = found.first?.string, let base = key.range(of: ":session:")
    else { throw Failure("no record of \(device)") }
    try redis.command("HSET", key, "active", "\(ms)")
    let member = String(key[base.upperBound...])
    try redis.command("ZADD", "\(key[..<base.lowerBound]):activity", "\(ms)", member)
  }
}
