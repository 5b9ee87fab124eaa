// Owns: the tests of WATCH with after=: what the log has since an event comes first, at the pace of
// its reader, and then what happens; and of changes of all devices.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--max-unread", "65536", "--threads", "2"], []])) struct WatchAfter {
    /// Passes the device's lock on so many times; returns the events' ids.
    private func handOff(
      _ device: String, _ count: Int, _ client: LineClient, _ note: String = ""
    ) throws {
      for _ in 0..<count {
        expect(try client.request("HANDOFF \(device) a a\(note)"), "OK")
      }
    }

    private func event(_ client: LineClient) throws -> (id: String, type: String, device: String) {
      let line = try #require(try client.readLine())
      let form = /^EVENT \{"id":"([^"]+)","type":"([^"]+)","device":"([^"]+)"/
      let found = try #require(line.firstMatch(of: form))
      return (String(found.1), String(found.2), String(found.3))
    }

    private func ids(_ client: LineClient, _ device: String) throws -> [String] {
      try client.eventLog(of: [device]).map(\.id)
    }

    @Test func `a device's events since an id come first, then those that happen`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let (watcher, maker) = (try lab.connect(0), try lab.connect(1))
      expect(try maker.request("LOCK \(device) a"), "OK")
      try handOff(device, 5, maker)
      let first = try ids(maker, device)
      #expect(try watcher.request("WATCH \(device) after=\(first[1])").raw == "OK")
      try handOff(device, 3, maker)
      let seen = try (0..<6).map { _ in try event(watcher).id }
      #expect(try seen == Array(ids(maker, device).dropFirst(2)))
      #expect(try watcher.request("PING").raw == "OK")
    }

    @Test func `with types= and with a session only what is watched comes`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let (watcher, maker) = (try lab.connect(0), try lab.connect(1))
      expect(try maker.request("LOCK \(device) a"), "OK")
      try handOff(device, 1, maker)
      let start = try #require(ids(maker, device).last)
      let session = try maker.request("OPEN \(device)").string("session")
      for line in ["OPEN \(device)", "PAUSE \(device)/\(session)", "SEIZE \(device) b"] {
        expect(try maker.request(line), "OK")
      }
      #expect(try watcher.request("WATCH \(device)/\(session) after=\(start)").raw == "OK")
      #expect(
        try (0..<2).map { _ in try event(watcher).type }
          == ["session.opened", "session.paused"])
      #expect(try watcher.request("UNWATCH").raw == "OK")
      let typed = "WATCH \(device) types=lock.seized after=\(start)"
      #expect(try watcher.request(typed).raw == "OK")
      #expect(try event(watcher).type == "lock.seized")
      #expect(try watcher.request("PING").raw == "OK")
    }

    @Test func `an id of another log is refused, and one that is too old is answered so`() throws {
      let lab = try Lab.current
      let (device, other) = (Lab.device(), Lab.device())
      let client = try lab.connect()
      expect(try client.request("LOCK \(device) a"), "OK")
      try handOff(device, 3, client)
      let ids = try ids(client, device)
      let tag = ids[0].prefix(3)
      expectBadRequest(
        try client.request("WATCH \(other) after=\(tag == "000" ? "001" : "000")-1-0"),
        naming: "after")
      expectBadRequest(try client.request("WATCH \(device) after=x"), naming: "after")
      expectBadRequest(try client.request("WATCH * after=x"), naming: "after")
      let ahead = try client.request("WATCH \(device) after=\(tag)-9999999999999-0")
      #expect(ahead.raw == "STALE {\"id\":\"\(ids[2])\"}")
      // The log says up to where it was trimmed.
      let gone = String(ids[1].dropFirst(4))
      try lab.redis.command("HSET", "lk:{\(tag)}:ledger", "log_gone", gone)
      #expect(try client.request("WATCH \(device) after=\(ids[0])").raw == "OK {\"lost\":true}")
      #expect(try event(client).id == ids[1])
      #expect(try event(client).id == ids[2])
      #expect(try client.request("UNWATCH").raw == "OK")
      #expect(try client.request("WATCH \(device) after=\(ids[1])").raw == "OK")
      #expect(try event(client).id == ids[2])
      #expect(try client.request("UNWATCH").raw == "OK")
      #expect(try client.request("WATCH * after=\(ids[0])").raw == "OK {\"lost\":true}")
      try lab.redis.command("HDEL", "lk:{\(tag)}:ledger", "log_gone")
    }

    @Test func `a watch of all devices begins a moment before the id, and misses none`() throws {
      let lab = try Lab.current
      let devices = (0..<20).map { _ in Lab.device() }
      let (watcher, maker) = (try lab.connect(0), try lab.connect(1))
      for device in devices {
        expect(try maker.request("LOCK \(device) a"), "OK")
        try handOff(device, 1, maker)
      }
      let after = try #require(ids(maker, devices[10]).first)
      #expect(try watcher.request("WATCH * types=lock.handed_off after=\(after)").raw == "OK")
      for device in devices { try handOff(device, 1, maker) }
      var seen: [String: [String]] = [:]
      for _ in 0..<40 {
        var next = try event(watcher)
        while !devices.contains(next.device) { next = try event(watcher) }
        seen[next.device, default: []].append(next.id)
      }
      for device in devices { #expect(try seen[device] == ids(maker, device)) }
    }

    @Test func `a long past is sent as its reader reads, who is not cut off`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let (watcher, maker) = (try lab.connect(0), try lab.connect(1))
      expect(try maker.request("LOCK \(device) a"), "OK")
      let note = " {\"n\":\"\(String(repeating: "x", count: 12_000))\"}"
      try handOff(device, 200, maker, note)
      let all = try ids(maker, device)
      #expect(try watcher.request("WATCH \(device) changes=yes after=\(all[0])").raw == "OK")
      #expect(try watcher.readLine() == "EVENT {\"type\":\"changes.lost\"}")
      try handOff(device, 5, maker)
      var seen: [String] = []
      while seen.count < 204 {
        let line = try #require(try watcher.readLine(within: .seconds(5)))
        guard line.contains("\"id\":") else { continue }
        let id = try #require(line.firstMatch(of: /"id":"([^"]+)"/)).1
        seen.append(String(id))
      }
      #expect(try seen == Array(ids(maker, device).dropFirst()))
    }

    @Test func `a watch of all devices has their changes, each once`() throws {
      let lab = try Lab.current
      let devices = (0..<10).map { _ in Lab.device() }
      let (watcher, maker) = (try lab.connect(0), try lab.connect(1))
      #expect(try watcher.request("WATCH * changes=yes types=chat.said").raw == "OK")
      #expect(try watcher.request("WATCH \(devices[0]) changes=yes").raw == "OK")
      for device in devices {
        expect(try maker.request("OPEN \(device)"), "OK")
        expect(try maker.request("SAY \(device) {\"d\":\"\(device)\"}"), "OK")
      }
      var seen: [String] = []
      while seen.count < 10 {
        let line = try #require(try watcher.readLine())
        guard line.contains("\"chat.said\"") else { continue }
        seen.append(try #require(devices.first { line.contains("{\"d\":\"\($0)\"}") }))
      }
      #expect(seen.sorted() == devices.sorted())
      try lab.redis.command("CLIENT", "KILL", "TYPE", "pubsub")
      var line = try watcher.readLine()
      while line?.contains("changes.lost") == false { line = try watcher.readLine() }
      expect(try maker.request("SAY \(devices[3]) {\"d\":1}"), "OK")
      while line?.contains("{\"d\":1}") == false { line = try watcher.readLine() }
      #expect(line != nil)
    }
  }
}
