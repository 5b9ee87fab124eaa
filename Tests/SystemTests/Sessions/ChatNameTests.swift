// Owns: the tests of chats that are addressed by their names, of chats with limits of their own,
// and of sessions that begin without one.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--max-messages", "10", "--max-chats", "4"], ["--max-chats", "4"]]))
  struct ChatNames {
    private func opened(_ rest: String = "") throws -> (LineClient, String) {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)\(rest)"), "OK")
      return (client, device)
    }

    @Test func `a chat is made by the first message to its name, and is not the current one`()
      throws
    {
      let (client, device) = try opened()
      let say = "SAY \(device)/current/@sub%20agent%2F1 "
      #expect(try client.request(say + "{\"n\":1}").raw == "OK {\"seq\":1,\"chat\":2}")
      #expect(try client.request(say + "{\"n\":2}").raw == "OK {\"seq\":2,\"chat\":2}")
      #expect(try client.request("SAY \(device) {\"n\":3}").raw == "OK {\"seq\":1,\"chat\":1}")
      #expect(try client.request("GET \(device)/current/2").string("name") == "sub agent/1")
      #expect(try client.request("GET \(device)").int("chat") == 1)
      for verb in ["HISTORY", "GET", "REPORT", "POP"] {
        expect(
          try client.request("\(verb) \(device)/current/@sub%20agent%2F1"), "OK", "", "\(verb)")
        expect(try client.request("\(verb) \(device)/current/@other"), "NONE", "", "\(verb)")
      }
      #expect(try client.request("SWITCH \(device)/current/@sub%20agent%2F1").int("chat") == 2)
      expect(
        try client.request("SET \(device)/current/@sub%20agent%2F1 name=\"sub 2\" {\"k\":1}"), "OK")
      expect(try client.request("HISTORY \(device)/current/@sub%20agent%2F1"), "NONE")
      expect(try client.request("AMEND \(device)/current/@sub%202 seq=1 {}"), "OK")
      expect(try client.request("DELETE \(device)/current/@sub%202"), "OK")
      expect(try client.request("FORGET \(device)/current/@sub%202"), "NONE")
    }

    @Test func `one of two who race makes the chat, and both say in it`() throws {
      let (_, device) = try opened()
      let lab = try Lab.current
      let replies = try inParallel(4) { index in
        try lab.connect(index % 2).request("SAY \(device)/current/@team {\"by\":\(index)}")
      }
      #expect(Set(try replies.map { try $0.int("chat") }) == [2])
      #expect(Set(try replies.map { try $0.int("seq") }) == [1, 2, 3, 4])
    }

    @Test func `a name in an address is percent-encoded text, and counts as a chat`() throws {
      let (client, device) = try opened()
      for name in ["@", "@%", "@%4", "@%zz", "@a%", "@%ff", "@a b", "x"] {
        expectBadRequest(try client.request("SAY \"\(device)/current/\(name)\" {}"))
      }
      #expect(
        try client.request("SAY \(device)/current/@nothing []").raw
          == "OK {\"seq\":0,\"chat\":null}")
      #expect(try client.request("SAY \(device)/current/@x seq=1 {}").raw == "STALE {\"seq\":0}")
      for name in ["@%C3%A9", "@b", "@c"] {
        expect(try client.request("SAY \(device)/current/\(name) {}"), "OK")
      }
      #expect(try client.request("SAY \(device)/current/@%c3%a9 {}").int("seq") == 2)
      expect(try client.request("SAY \(device)/current/@d {}"), "ERR", "quota")
      expect(try client.request("SET \(device)/current/1 name=b"), "ERR", "conflict")
    }

    @Test func `a session begins with a named chat, or with none`() throws {
      let (client, device) = try opened(" chat=main")
      #expect(try client.request("GET \(device)/current/@main").int("chat") == 1)
      expect(try client.request("OPEN \(device) chat=none"), "OK")
      let record = try client.request("GET \(device)")
      #expect(try record.json()["chat"] == .null && record.int("chats") == 0)
      expect(try client.request("HISTORY \(device)"), "NONE")
      #expect(try client.request("SAY \(device)/current/@a {}").int("chat") == 1)
      expect(try client.request("HISTORY \(device)"), "NONE")
      let exported = try client.request("EXPORT \(device)").raw.dropFirst(3)
      expect(try client.request("IMPORT replace=yes \(exported)"), "OK")
      #expect(try client.request("EXPORT \(device)").raw.dropFirst(3) == exported)
      #expect(try client.request("SAY \(device) {}").int("chat") == 2)
      #expect(try client.request("RECOVER \(device) chat=x").raw.contains("\"ignored\":[\"chat\"]"))
      expectBadRequest(try client.request("TURN \(device) chat=none {}"), naming: "chat=none")
      let other = Lab.device()
      #expect(try client.request("TURN \(other) chat=main {\"n\":1}").int("chat") == 1)
      expect(try client.request("HISTORY \(other)/current/@main"), "OK")
    }

    @Test func `a chat keeps as many messages as it was made for, or refuses more`() throws {
      let (client, device) = try opened()
      expect(try client.request("CHAT \(device) max-messages=3"), "OK")
      #expect(try client.request("SAY \(device) [{},{},{},{},{}]").int("trimmed") == 2)
      #expect(try client.request("HISTORY \(device)").int("first_seq") == 3)
      expect(try client.request("CHAT \(device) name=r max-messages=3 full=refuse"), "OK")
      #expect(try client.request("SAY \(device) [{},{}]").int("seq") == 2)
      let full = try client.request("SAY \(device) [{},{}]")
      expect(full, "ERR", "quota")
      #expect(full.text.contains("2 of 3 messages"), "\(full)")
      #expect(try client.request("SAY \(device) {}").int("seq") == 3)
      for line in [
        "SAY \(device)/current/@r {}", "TURN \(device) {}", "APPLY \(device) {\"say\":{}}",
      ] {
        expect(try client.request(line), "ERR", "quota", "\(line)")
      }
      #expect(try client.request("TURN \(device)").int("seq") == 3)
      expect(try client.request("TURN \(device) policy=join {}"), "ERR", "quota")
      #expect(try client.request("SAY \(device) after=1 [{},{}]").int("seq") == 5)
      #expect(try client.request("HISTORY \(device)").int("first_seq") == 1)
      let exported = try client.request("EXPORT \(device)").raw.dropFirst(3)
      #expect(exported.contains("\"max_messages\":3,\"full\":\"refuse\""), "\(exported)")
      expect(try client.request("IMPORT replace=yes \(exported)"), "OK")
      expect(try client.request("SAY \(device)/current/@r {}"), "ERR", "quota")
      expect(try client.request("CHAT \(device) full=refuse"), "OK")
      for _ in 0..<10 { expect(try client.request("SAY \(device) {}"), "OK") }
      expect(try client.request("SAY \(device) {}"), "ERR", "quota")
      expectBadRequest(try client.request("CHAT \(device) max-messages=11"), naming: "max-messages")
      expectBadRequest(try client.request("CHAT \(device) full=drop"), naming: "full")
    }
  }
}
