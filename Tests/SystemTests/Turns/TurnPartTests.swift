// Section 6 of the contract: PART, the pieces of an answer that a turn is writing.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab()) struct TurnParts {
    /// What HISTORY shows of the draft; nil if it shows none.
    private func draft(_ address: String, _ client: LineClient, _ rest: String = "") throws
      -> String?
    {
      let reply = try client.request("HISTORY \(address)\(rest)")
      expect(reply, "OK")
      return reply.raw.firstMatch(of: /,"draft":(.*),"draft_turn":(\d+)[,}]/).map {
        "\($0.1) \($0.2)"
      }
    }

    private func turn(_ device: String, _ rest: String, _ client: LineClient) throws -> Int {
      try BegunTurn(client.request("TURN \(device)\(rest) {\"t\":\"one\"}")).number
    }

    @Test func `a piece is pushed at once, and in the draft of its chat until the turn ends`()
      throws
    {
      let lab = try Lab.current
      let (client, watcher, device) = (try lab.connect(), try lab.connect(), Lab.device())
      expect(try client.request("OPEN \(device)"), "OK")
      expect(try client.request("CHAT \(device)"), "OK")
      #expect(
        try watcher.request("WATCH \(device)/current/2 changes=yes types=chat.part").raw == "OK")
      let turn = try turn(device, "", client)
      #expect(try draft(device, client) == nil)
      for piece in ["{\"d\": \"Hel\"}", "[1.50]"] {
        #expect(try client.request("PART \(device) turn=\(turn) \(piece)").raw == "OK")
      }
      for (number, piece) in [(1, "{\"d\": \"Hel\"}"), (2, "[1.50]")] {
        let event = try watcher.reply().raw
        #expect(event.hasPrefix("EVENT {\"type\":\"chat.part\",\"device\":\"\(device)\",\"at\":"))
        #expect(
          event.hasSuffix(
            ",\"chat\":2,\"turn\":\(turn),\"part\":\(number),\"payload\":\(piece)}"))
      }
      let whole = "[{\"d\": \"Hel\"},[1.50]] \(turn)"
      for rest in ["", " last=0", " after=1", " after=1 wait=10ms", " role=user"] {
        #expect(try draft(device, client, rest) == whole, "\(rest)")
      }
      #expect(try draft("\(device)/current/1", client) == nil)
      expect(try client.request("OPEN \(device)"), "OK")
      #expect(try draft(device, client) == nil)
      expect(try client.request("DONE \(device) turn=\(turn) {\"say\":{\"t\":\"Hello\"}}"), "OK")
      let session =
        try client.request("LIST \(device)").raw
        .matches(of: /"session":"(\w+)"/).map { String($0.1) }.min() ?? ""
      #expect(try draft("\(device)/\(session)", client) == nil)
      #expect(
        try client.request("PART \(device) turn=\(turn) {}").raw == "STALE {\"interrupted\":false}")
    }

    @Test(arguments: ["interrupt", "rollback"])
    func `the draft of an interrupted turn goes with it, and its next piece is STALE`(
      policy: String
    ) throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let first = try turn(device, "", client)
      expect(try client.request("PART \(device) turn=\(first) {\"d\":1}"), "OK")
      let second = try turn(device, " policy=\(policy)", client)
      #expect(
        try client.request("PART \(device) turn=\(first) {\"d\":2}").raw
          == "STALE {\"interrupted\":true}")
      #expect(try draft(device, client) == nil)
      expect(try client.request("PART \(device) turn=\(second) {\"d\":3}"), "OK")
      #expect(try draft(device, client) == "[{\"d\":3}] \(second)")
    }

    @Test func `the draft of an expired turn goes, and TOUCH keeps it`() throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let turn = try turn(device, " ttl=400ms", client)
      let began = ContinuousClock.now
      expect(try client.request("PART \(device) turn=\(turn) {\"d\":1}"), "OK")
      try eventually("its first TTL is over", every: 50) {
        expect(try client.request("TOUCH \(device) turn=\(turn)"), "OK")
        return elapsedMs(since: began) > 500
      }
      #expect(try draft(device, client) == "[{\"d\":1}] \(turn)")
      try eventually("it goes") { try draft(device, client) == nil }
      expect(try client.request("PART \(device) turn=\(turn) {\"d\":2}"), "STALE")
    }

    @Test func `a piece is activity of its session, and needs one that is live`() throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let turn = try turn(device, "", client)
      let before = try client.request("GET \(device)").int("active_at")
      try eventually("the time goes on", every: 1) {
        expect(try client.request("PART \(device) turn=\(turn) {}"), "OK")
        return try client.request("GET \(device)").int("active_at") > before
      }
      expect(try client.request("CLOSE \(device)"), "OK")
      expect(try client.request("PART \(device) turn=\(turn) {}"), "ERR", "illegal_state")
      expect(try client.request("DELETE \(device)"), "OK")
      expect(try client.request("PART \(device) turn=\(turn) {}"), "NONE")
      expectBadRequest(try client.request("PART \(device) {}"), naming: "turn=")
      expectBadRequest(try client.request("PART \(device) turn=\(turn)"), naming: "payload")
    }

    @Test func `a turn's pieces have 256 KiB in all, and a retry adds none`() throws {
      let (client, device) = (try Lab.current.connect(), Lab.device())
      let turn = try turn(device, "", client)
      let piece = "{\"d\":\"\(String(repeating: "x", count: (64 << 10) - 8))\"}"
      for number in 0..<3 {
        expect(try client.request("PART \(device) turn=\(turn) req=p\(number) \(piece)"), "OK")
      }
      expect(try client.request("PART \(device) turn=\(turn) req=p2 \(piece)"), "OK")
      let tooLong = try client.request("PART \(device) turn=\(turn) \(piece.dropLast(2))x\"}")
      expect(tooLong, "ERR", "quota")
      expect(try client.request("PART \(device) turn=\(turn) \(piece)"), "OK")
      let refused = try client.request("PART \(device) turn=\(turn) {}")
      expect(refused, "ERR", "quota")
      #expect(refused.raw.contains("quota exceeded: 262144 of 262144"), "\(refused.raw)")
      let all = try #require(try draft(device, client))
      #expect(all.utf8.count == (256 << 10) + 3 + 2 + 1 + "\(turn)".utf8.count)
    }
  }
}
