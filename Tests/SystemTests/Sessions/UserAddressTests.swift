// A user in place of an address: the live session that was active last, on whatever device.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [[], []])) struct UserAddressTests {
    private let client: LineClient
    private let user = Lab.device("user")
    private let devices = [Lab.device(), Lab.device()]

    init() throws { client = try Lab.current.connect() }

    /// A session of the user on each device, the latest one last.
    private func open() throws -> [String] {
      try devices.map { try client.request("OPEN \($0) user=\(user)").string("session") }
    }

    private func current() throws -> String {
      try client.request("GET user=\(user)").string("session")
    }

    /// Makes a session the one that was active last: of two in the same ms the newer one counts.
    private func touch(_ device: String, _ session: String) throws {
      try eventually("\(session) was active last") {
        expect(try client.request("TOUCH \(device)"), "OK")
        return try current() == session
      }
    }

    @Test func `each verb is of the session that was active last`() throws {
      for request in [
        "GET user=\(user)", "HISTORY user=\(user)", "SET user=\(user) {\"a\":1}",
        "SAY user=\(user) req=none {}", "TOUCH user=\(user)", "CLOSE user=\(user)",
        "EVENTS user=\(user)",
      ] {
        #expect(try client.request(request).raw == "NONE", "\(request)")
      }
      let sessions = try open()
      #expect(try current() == sessions[1])
      try touch(devices[0], sessions[0])
      expect(try client.request("SET user=\(user) phase=\"a b\" link.tag=x,y {\"n\":[1, 2]}"), "OK")
      expect(try client.request("SAY user=\(user) {\"m\":1}"), "OK")
      expect(try client.request("TOUCH user=\(user)"), "OK")
      let record = try client.request("GET user=\(user) fields=n last=1")
      for part in ["\"a b\"", "[1, 2]", "[\"x\",\"y\"]", "{\"m\":1}", sessions[0]] {
        #expect(record.raw.contains(part), "\(record)")
      }
      #expect(try client.request("HISTORY user=\(user) last=1").raw.contains("{\"m\":1}"))
      #expect(try client.request("EVENTS user=\(user)").raw.contains(sessions[0]))
      // Beside an address it is the option that it was.
      expect(try client.request("SET \(devices[0]) user=\(user)-2"), "OK")
      #expect(try current() == sessions[1])
      let closed = try client.request("CLOSE failed user=\(user) reason=late")
      #expect(try closed.string("session") == sessions[1] && closed.string("state") == "failed")
      expect(try client.request("GET user=\(user)"), "NONE")
      // Words may follow the user, which stands in place of the first one.
      _ = try open()
      let second = try client.request("CLOSE user=\(user) failed reason=late")
      #expect(try second.string("state") == "failed")
      #expect(try client.request("close USER=\(user) completed").string("state") == "completed")
      for line in [
        "CLOSE reason=x user=\(user) failed", "CLOSE user=\(user) reason=x failed",
        "OPEN user=\(user) d", "SET user=\(user) d", "LIST user=\(user) d", "PING user=x y",
      ] { expectBadRequest(try client.request(line), naming: "comes after an option") }
      expectBadRequest(try client.request("CLOSE user=\(user) failed x"), naming: "extra word")
      expectBadRequest(
        try client.request("GET \(devices[0]) user=\(user)"), naming: "address|user=ID")
      expectBadRequest(try client.request("GET user=\(user) as=x"), naming: "two users")
      expectBadRequest(try client.request("GET fields=none"), naming: "address")
    }

    @Test func `a retry goes to the session of the first request`() throws {
      let sessions = try open()
      let line = "SAY user=\(user) req=r {\"m\":1}"
      let first = try client.request(line)
      expect(first, "OK")
      try touch(devices[0], sessions[0])
      #expect(try Lab.current.connect(1).request(line).raw == first.raw)
      #expect(try client.request("HISTORY \(devices[0])").raw.contains("\"messages\":[]"))
      expect(try client.request("SAY user=\(user) req=r {\"m\":2}"), "ERR", "conflict")
    }

    @Test func `pipelined requests keep their order`() throws {
      let sessions = try open()
      try touch(devices[0], sessions[0])
      let lines = [
        "TOUCH \(devices[0])", "SAY user=\(user) {\"m\":1}", "SAY \(devices[0]) {\"m\":2}",
        "SAY user=\(user) {\"m\":3}", "HISTORY user=\(user)", "GET user=\(user)",
      ]
      try client.send(Array(lines.map { $0 + "\n" }.joined().utf8))
      let replies = try client.replies(lines.count)
      #expect(try replies[1...3].map { try $0.int("seq") } == [1, 2, 3])
      #expect(replies[4].raw.contains("{\"m\":3}"))
      #expect(try replies[5].string("session") == sessions[0])
    }

    @Test func `a watch of a user has that user's sessions on all devices, and nothing else`()
      throws
    {
      let watcher = try Lab.current.connect(1)
      expect(try watcher.request("WATCH user=\(user) changes=yes"), "OK")
      expect(try client.request("SEIZE \(devices[0]) a"), "OK")
      expect(try client.request("SEIZE \(devices[0]) b"), "OK")
      expect(try client.request("OPEN \(devices[0]) user=\(user)-2"), "OK")
      let sessions = try open()
      let opened = try sessions.map { _ in try watcher.reply() }
      #expect(try Set(opened.map { try $0.string("session") }) == Set(sessions))
      #expect(try opened.allSatisfy { try $0.string("type") == "session.opened" })
      expect(try client.request("SAY user=\(user) {\"m\":1}"), "OK")
      let said = try watcher.reply()
      #expect(try said.string("type") == "chat.said" && said.string("session") == sessions[1])
      expect(try client.request("CLOSE user=\(user)"), "OK")
      let closed = try watcher.reply()
      #expect(try closed.string("type") == "session.closed", "\(closed)")
      // What was before comes again, from a little before the event on.
      let again = try Lab.current.connect()
      expect(try again.request("WATCH user=\(user) after=\(closed.string("id"))"), "OK")
      var seen: [String] = []
      while seen.count < 3 { seen.append(try again.reply().string("session")) }
      #expect(Set(seen) == Set(sessions))
    }
  }
}
