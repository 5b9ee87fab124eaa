// Owns: the tests of WATCH with changes=yes: which changes come, to which watches, and that what is
// lost is said.

import Foundation
import TestSupport
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--threads", "2"], []])) struct ChangeWatches {
    /// A connection that watches.
    private func watching(_ line: String, _ lab: Lab, _ index: Int = 0) throws -> LineClient {
      let client = try lab.connect(index)
      #expect(try client.request("WATCH \(line)").raw == "OK")
      return client
    }

    /// The members of the next event.
    private func next(_ client: LineClient) throws -> (type: String, body: String) {
      let line = try #require(try client.readLine())
      let type = try #require(line.firstMatch(of: /^EVENT \{(?:"id":"[^"]+",)?"type":"([^"]+)"/))
      return (String(type.1), line)
    }

    /// What each request changes: the event's type, and what it shows; a second event of a request
    /// has none of its own.
    private static let changes: [(request: String, type: String, shows: String)] = [
      ("LOCK DEV a ttl=1h", "lock.acquired", "\"agent\":\"a\",\"ttl_ms\":3600000}"),
      ("UNLOCK DEV a", "lock.released", "\"agent\":\"a\",\"held_ms\":"),
      ("SAY DEV {\"n\":1}", "chat.said", "\"chat\":1,\"seq\":1,\"messages\":[{\"seq\":1,\"at\":"),
      ("SAY DEV [{\"n\":2},{\"n\":3}]", "chat.said", "\"seq\":3,\"messages\":[{\"seq\":2,"),
      ("POP DEV", "chat.unsaid", "\"chat\":1,\"from\":3,\"to\":3}"),
      ("FORGET DEV", "chat.unsaid", "\"chat\":1,\"from\":1,\"to\":2}"),
      (
        "SET DEV phase=p {\"k\\\"\":1}", "session.changed",
        "\"rev\":2,\"members\":[\"phase\",\"k\\\"\"]"
      ),
      ("LINK DEV tag t", "link.added", "\"kind\":\"tag\",\"ref\":\"t\",\"rev\":3}"),
      ("UNLINK DEV tag t", "link.removed", "\"kind\":\"tag\",\"ref\":\"t\",\"rev\":4}"),
      (
        "CHAT DEV name=second", "chat.added",
        "\"chat\":2,\"name\":\"second\",\"current\":true,\"rev\":5}"
      ),
      ("SET DEV/current/2 name=two", "chat.changed", "\"chat\":2,\"name\":\"two\",\"rev\":6}"),
      ("SWITCH DEV/current/1", "session.changed", "\"rev\":7,\"members\":[\"chat\"]}"),
      ("DELETE DEV/current/2", "chat.removed", "\"chat\":2,\"rev\":8}"),
      ("SET DEV idle=1h keep=9d", "session.changed", "\"rev\":9,\"members\":[\"idle\",\"keep\"]}"),
      ("PUT DEV k {}", "session.changed", "\"rev\":10,\"members\":[\"documents\"]}"),
      ("DROP DEV k", "session.changed", "\"rev\":11,\"members\":[\"documents\"]}"),
      ("SAY DEV/current/@side {\"n\":4}", "chat.added", "\"name\":\"side\",\"current\":false,"),
      ("", "chat.said", "\"seq\":1,\"messages\":[{"),
      (
        "AMEND DEV/current/@side seq=1 {\"n\":5}", "chat.amended",
        "\"seq\":1,\"message\":{\"n\":5}}"
      ),
      ("APPLY DEV {\"phase\":\"q\"}", "session.changed", "\"members\":[\"phase\"]}"),
      (
        "SHARE DEV user=bob", "share.added",
        "\"user\":\"bob\",\"role\":\"read\",\"until\":null,\"rev\":"
      ), ("UNSHARE DEV user=bob", "share.removed", "\"user\":\"bob\",\"rev\":"),
      ("PAUSE DEV", "session.paused", "\"id\":"),
      ("RESUME DEV", "session.resumed", "\"id\":"),
      ("SEIZE DEV b", "lock.acquired", "\"agent\":\"b\""),
    ]

    @Test func `each change comes once, with what it is about`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let maker = try lab.connect(1)
      expect(try maker.request("OPEN \(device)"), "OK")
      let watcher = try watching("\(device) changes=yes", lab)
      for (request, type, shows) in Self.changes {
        if !request.isEmpty {
          expect(try maker.request(request.replacing("DEV", with: device)), "OK")
        }
        let event = try next(watcher)
        #expect(event.type == type, "\(request)")
        #expect(event.body.contains(shows), "\(event.body)")
        #expect(event.body.contains("\"device\":\"\(device)\",\"at\":"))
      }
      #expect(try watcher.request("PING").raw == "OK", "nothing else has come")
    }

    @Test func `turns begin and end, and a rollback takes messages back`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let maker = try lab.connect(1)
      let watcher = try watching(
        "\(device) changes=yes types=turn.began,turn.ended,chat.said,chat.unsaid", lab)
      let first = try maker.request("TURN \(device) agent=a {\"n\":1}").int("turn")
      let second = try maker.request("TURN \(device) agent=a policy=rollback {\"n\":2}").int("turn")
      expect(try maker.request("DONE \(device) turn=\(second) {\"say\":{\"n\":3}}"), "OK")
      let events = try (0..<8).map { _ in try next(watcher) }
      #expect(
        events.map(\.type) == [
          "turn.began", "chat.said", "chat.unsaid", "turn.ended", "turn.began", "chat.said",
          "chat.said", "turn.ended",
        ])
      #expect(events[0].body.contains("\"turn\":\(first),\"agent\":\"a\",\"ttl_ms\":60000}"))
      #expect(events[2].body.contains("\"from\":1,\"to\":1}"))
      #expect(events[3].body.contains("\"turn\":\(first),\"agent\":\"a\",\"how\":\"interrupted\"}"))
      #expect(events[7].body.contains("\"turn\":\(second),\"agent\":\"a\",\"how\":\"done\"}"))
    }

    @Test func `a watch of a session or a chat has what names it and no other`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let maker = try lab.connect(1)
      let first = try maker.request("OPEN \(device)").string("session")
      expect(try maker.request("CHAT \(device)"), "OK")
      let session = try watching("\(device)/current changes=yes", lab)
      let chat = try watching("\(device)/\(first)/1 changes=yes", lab)
      let plain = try watching("\(device)/\(first)", lab)
      expect(try maker.request("OPEN \(device)"), "OK")
      let address = "\(device)/\(first)"
      for line in [
        "SAY \(device) {\"n\":9}", "LOCK \(device) a", "SAY \(address)/2 {\"n\":1}",
        "SAY \(address)/1 {\"n\":2}", "SET \(address) {\"a\":1}", "PAUSE \(address)",
        "PAUSE \(device)",
      ] {
        expect(try maker.request(line), "OK")
      }
      #expect(
        try (0..<4).map { _ in try next(session).type }.sorted()
          == ["chat.said", "chat.said", "session.changed", "session.paused"])
      #expect(
        try (0..<3).map { _ in try next(chat).type }.sorted()
          == ["chat.said", "session.changed", "session.paused"])
      #expect(try next(plain).type == "session.paused")
      for watcher in [session, chat, plain] { #expect(try watcher.request("PING").raw == "OK") }
      for none in [Lab.device() + "/current", "\(device)/\(first)/7"] {
        #expect(try maker.request("WATCH \(none) changes=yes").raw == "NONE")
      }
      #expect(try watching("\(Lab.device()) changes=yes", lab).request("PING").raw == "OK")
    }

    @Test func `types= chooses among events and changes, and needs changes=yes for these`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let maker = try lab.connect(1)
      expect(try maker.request("OPEN \(device)"), "OK")
      let watcher = try watching("\(device) changes=yes types=session.paused,chat.said", lab)
      let without = try watching("\(device) changes=no", lab)
      for line in ["SET \(device) {\"a\":1}", "SAY \(device) {}", "PAUSE \(device)"] {
        expect(try maker.request(line), "OK")
      }
      #expect(
        try [next(watcher).type, next(watcher).type].sorted() == ["chat.said", "session.paused"])
      #expect(try next(without).type == "session.paused")
      let named = try maker.request("WATCH \(device) types=chat.said")
      expectBadRequest(named, naming: "changes=yes")
      expectBadRequest(
        try maker.request("WATCH \(device) changes=yes types=chat.eaten"), naming: "chat.said")
      expectBadRequest(try maker.request("WATCH \(device) changes=maybe"), naming: "changes")
    }

    @Test func `a connection that watches twice has each change once`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let maker = try lab.connect(1)
      expect(try maker.request("OPEN \(device)"), "OK")
      let watcher = try watching("\(device) changes=yes", lab)
      #expect(try watcher.request("WATCH \(device)/current changes=yes").raw == "OK")
      #expect(try watcher.request("WATCH \(device)").raw == "OK")
      expect(try maker.request("SAY \(device) {}"), "OK")
      #expect(try next(watcher).type == "chat.said")
      #expect(try watcher.request("UNWATCH").raw == "OK")
      expect(try maker.request("SAY \(device) {}"), "OK")
      #expect(try watcher.readLine(within: .milliseconds(100)) == nil)
    }

    @Test func `long messages and many names are cut, and the event says so`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let maker = try lab.connect(1)
      expect(try maker.request("OPEN \(device)"), "OK")
      let watcher = try watching("\(device) changes=yes", lab)
      let long = String(repeating: "x", count: 3_000)
      expect(try maker.request("SAY \(device) [{\"t\":\"\(long)\"},{\"t\":\"\(long)\"}]"), "OK")
      let said = try next(watcher).body
      #expect(
        said.contains("\"seq\":2,\"messages\":[{\"seq\":1,") && said.contains("],\"more\":true}"))
      #expect(!said.contains("{\"seq\":2,"))
      let fields = (0..<100).map { "\"\(String(repeating: "n", count: 60))\($0)\":1" }
      expect(try maker.request("SET \(device) {\(fields.joined(separator: ","))}"), "OK")
      let changed = try next(watcher).body
      #expect(changed.contains("],\"more\":true}") && changed.utf8.count < 4_400)
    }

    @Test func `a thousand watchers of one device have each change`() throws {
      let lab = try Lab.current
      let device = Lab.device()
      let maker = try lab.connect(1)
      expect(try maker.request("OPEN \(device)"), "OK")
      let watchers = try (0..<1_000).map { try lab.connect($0 % 2) }
      for watcher in watchers { try watcher.sendLine("WATCH \(device) changes=yes") }
      for watcher in watchers { #expect(try watcher.reply().raw == "OK") }
      let lines = (0..<5).map { "SAY \(device) {\"n\":\($0)}" }
      for line in lines { expect(try maker.request(line), "OK") }
      for watcher in watchers {
        for number in 0..<5 { #expect(try next(watcher).body.contains("{\"n\":\(number)}")) }
      }
    }
  }
}

// MARK: Losses

extension SystemSuites {
  @Suite struct ChangeLosses {
    private static let lost = "EVENT {\"type\":\"changes.lost\"}"

    @Test func `a subscription that was cut is said before the next change`() throws {
      let lab = try Lab(workers: [[], []])
      defer { lab.stop() }
      let device = Lab.device()
      let (watcher, narrow, maker) = (try lab.connect(), try lab.connect(), try lab.connect(1))
      expect(try maker.request("OPEN \(device)"), "OK")
      #expect(try watcher.request("WATCH \(device) changes=yes").raw == "OK")
      #expect(
        try narrow.request("WATCH \(device) changes=yes types=session.changed").raw == "OK")
      for round in 0..<3 {
        try lab.redis.command("CLIENT", "KILL", "TYPE", "pubsub")
        #expect(try watcher.readLine() == Self.lost)
        #expect(try narrow.readLine() == Self.lost)
        expect(try maker.request("SAY \(device) {\"n\":\(round)}"), "OK")
        #expect(try watcher.reply().raw.contains("{\"n\":\(round)}"))
      }
      #expect(try narrow.request("PING").raw == "OK")
    }

    @Test func `a watcher that does not read loses changes, learns it, and goes on`() throws {
      let lab = try Lab(workers: [["--max-unread", "65536"], []])
      defer { lab.stop() }
      let device = Lab.device()
      let (watcher, maker) = (try lab.connect(), try lab.connect(1))
      expect(try maker.request("OPEN \(device)"), "OK")
      #expect(try watcher.request("WATCH \(device) changes=yes").raw == "OK")
      let text = String(repeating: "x", count: 3_500)
      var said = 0
      try eventually("changes are dropped", within: .seconds(30), every: 0) {
        let lines = (0..<50).map { "SAY \(device) {\"n\":\(said + $0),\"t\":\"\(text)\"}\n" }
        _ = try maker.exchange(Array(lines.joined().utf8), lines: 50, within: .seconds(10))
        said += 50
        let dropped: Int = try lab.worker.metric("latchkey_changes_dropped_total")
        return dropped == 1
      }
      var (seen, isLost) = (0, false)
      while let line = try watcher.readLine(within: .seconds(2)) {
        guard line != Self.lost else {
          isLost = true
          break
        }
        #expect(line.contains("\"message\":{\"n\":\(seen),"))
        seen += 1
      }
      #expect(isLost && seen < said)
      expect(try maker.request("SAY \(device) {\"n\":-1}"), "OK")
      #expect(try watcher.reply().raw.contains("{\"n\":-1}"))
    }

    /// A copy of a chat that is kept by its changes.
    private struct Copy {
      var messages: [Int: String] = [:]
      var isOver = false

      mutating func apply(_ line: String) throws {
        let body = try JSON(String(line.dropFirst(6)))
        switch body["type"]?.string {
        case "chat.said": try take(body)
        case "chat.unsaid":
          let (from, to) = (try #require(body["from"]?.int), try #require(body["to"]?.int))
          for seq in messages.keys where from...to ~= seq { messages[seq] = nil }
        default: break
        }
      }

      mutating func read(_ page: Reply) throws {
        messages = [:]
        try take(page.json())
      }

      private mutating func take(_ body: JSON) throws {
        for message in try #require(body["messages"]?.items) {
          let text = try #require(message["message"]?["t"]?.string)
          messages[try #require(message["seq"]?.int)] = text
          if text == "over" { isOver = true }
        }
      }
    }

    @Test(arguments: [false, true])
    func `what a watcher sees adds up to what HISTORY shows`(cuts: Bool) throws {
      let lab = try Lab(workers: [[], []])
      defer { lab.stop() }
      let device = Lab.device()
      let (watcher, reader, maker) = (try lab.connect(), try lab.connect(), try lab.connect(1))
      expect(try maker.request("OPEN \(device)"), "OK")
      #expect(
        try watcher.request("WATCH \(device)/current/1 changes=yes").raw == "OK")
      let isOver = Shared(false)
      let cutter = Background {
        while cuts, !isOver.value {
          try lab.redis.command("CLIENT", "KILL", "TYPE", "pubsub")
          pause(ms: 40)
        }
      }
      let writers = (0..<3).map { index in
        Background {
          let client = try lab.connect(index % 2)
          var dice = Seeded("writer \(index)")
          for number in 0..<250 {
            let line =
              switch UInt64.random(in: 0..<40, using: &dice) {
              case 0: "FORGET \(device)"
              case 1..<10: "POP \(device)"
              case 10..<15: "SAY \(device) [{\"t\":\"\(index).\(number)\"},{\"t\":\"\(index)\"}]"
              default: "SAY \(device) {\"t\":\"\(index).\(number)\"}"
              }
            let word = try client.request(line).word
            #expect(word == "OK" || word == "NONE")
          }
        }
      }
      let ender = Background {
        for writer in writers { try writer.join() }
        expect(try lab.connect(1).request("SAY \(device) {\"t\":\"over\"}"), "OK")
      }
      var (copy, losses) = (Copy(), 0)
      while !copy.isOver {
        let line = try #require(try watcher.readLine(within: .seconds(20)))
        if line == Self.lost {
          losses += 1
          try copy.read(reader.request("HISTORY \(device) last=1000"))
        } else {
          try copy.apply(line)
        }
      }
      isOver.value = true
      try ender.join()
      try cutter.join()
      var shown = Copy()
      try shown.read(reader.request("HISTORY \(device) last=1000"))
      #expect(copy.messages == shown.messages)
      #expect(cuts ? losses > 0 : losses == 0)
    }
  }
}
