// RECOVER of a user: the session that was active last and can be recovered, on whatever device, or
// one new session for all who ask at once.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [[], []])) struct UserRecoveryTests {
    private let client: LineClient
    private let other: LineClient
    private let user = Lab.device("user")
    private let devices = [Lab.device(), Lab.device()]

    init() throws {
      client = try Lab.current.connect(0)
      other = try Lab.current.connect(1)
    }

    private func recover(_ options: String = "", on device: Int = 0) throws -> Reply {
      let reply = try other.request("RECOVER user=\(user) on=\(devices[device])\(options)")
      expect(reply, "OK")
      return reply
    }

    /// Checks that it is this session, recovered.
    private func expectLatest(_ reply: Reply, _ session: String) throws {
      #expect(try reply.string("session") == session && reply.string("how") == "latest", "\(reply)")
      #expect(try reply.string("state") == "active", "\(reply)")
    }

    @Test func `the latest that can be recovered on any device, else a new one`() throws {
      let new = try recover(" name=n link.tag=t {\"a\":1}")
      #expect(try new.string("how") == "new" && new.string("device") == devices[0])
      for part in ["\"name\":\"n\"", "{\"user\":[\"\(user)\"],\"tag\":[\"t\"]}", "{\"a\":1}"] {
        #expect(new.raw.contains(part), "\(new)")
      }
      let first = try new.string("session")
      let again = try recover(" name=m {\"a\":2}", on: 1)
      try expectLatest(again, first)
      #expect(again.raw.contains("\"ignored\":[\"name\",\"payload\"]"), "\(again)")
      #expect(try again.string("device") == devices[0])
      // Another session of the user; another user's counts for nothing.
      let second = try client.request("OPEN \(devices[1]) user=\(user)").string("session")
      try expectLatest(try recover(), second)
      expect(try client.request("OPEN \(devices[0]) user=\(user)-2"), "OK")
      try eventually("the first one was active last") {
        expect(try client.request("TOUCH \(devices[0])/\(first)"), "OK")
        return try client.request("GET user=\(user)").string("session") == first
      }
      expect(try client.request("PAUSE \(devices[0])/\(first)"), "OK")
      try expectLatest(try recover(on: 1), first)
      expect(try client.request("CLOSE \(devices[0])/\(first)"), "OK")
      try expectLatest(try recover(), second)
      // One that is archived, or was removed, is not recovered.
      expect(try client.request("ARCHIVE \(devices[1])/\(second)"), "OK")
      let third = try recover(on: 1)
      #expect(try third.string("how") == "new" && third.string("device") == devices[1])
      expect(try client.request("DELETE \(devices[1])/\(third.string("session"))"), "OK")
      #expect(try recover().string("how") == "new")
    }

    @Test func `an abandoned session, and one of a thread alone`() throws {
      let thread = Lab.device("thread")
      let session = try recover(" thread=\(thread) abandon=30ms").string("session")
      let address = "\(devices[0])/\(session)"
      try eventually("the session is abandoned") {
        try client.request("GET \(address)").string("state") == "abandoned"
      }
      let newer = try client.request("OPEN \(devices[1]) user=\(user)").string("session")
      let found = try recover(" thread=\(thread)")
      try expectLatest(found, session)
      #expect(found.raw.contains("\"ignored\"") == false)
      expect(try client.request("CLOSE \(address)"), "OK")
      try expectLatest(try recover(), newer)
    }

    @Test func `a retry shows the session of the first request`() throws {
      let line = "RECOVER user=\(user) on=\(devices[0]) req=r {\"a\":1}"
      let first = try client.request(line)
      #expect(try first.string("how") == "new")
      expect(try client.request("OPEN \(devices[1]) user=\(user)"), "OK")
      #expect(try other.request(line).raw == first.raw)
      let session = try first.string("session")
      expect(try client.request("CLOSE \(devices[0])/\(session)"), "OK")
      let closed = try other.request(line)
      #expect(try closed.string("session") == session && closed.string("state") == "completed")
      expect(try client.request(line.replacing(":1", with: ":2")), "ERR", "conflict")
      expect(try client.request("DELETE \(devices[0])/\(session)"), "OK")
      expect(try other.request(line), "NONE")
    }

    @Test func `all who ask at once through two workers get the same session`() throws {
      let lab = try Lab.current
      for round in 0..<5 {
        let user = Lab.device("crowd")
        let replies = try inParallel(12) { number in
          let options = number % 3 == 0 ? " req=r\(number)" : ""
          return try lab.connect(number % 2)
            .request("RECOVER user=\(user) on=\(Lab.device())\(options) {\"n\":\(number)}")
        }
        #expect(
          Set(try replies.map { try $0.string("session") }).count == 1, "\(round): \(replies)")
        #expect(try replies.count { try $0.string("how") == "new" } == 1, "\(round): \(replies)")
        let report = try client.request("REPORT user=\(user)")
        #expect(try report.int("sessions") == 1 && report.int("live") == 1, "\(report)")
      }
    }

    @Test func `a session that has ended since it was found is not taken`() throws {
      let lab = try Lab.current
      let (user, devices) = (self.user, self.devices)
      let replies = try inParallel(8) { (number) -> [Reply] in
        let client = try lab.connect(number % 2)
        var found: [Reply] = []
        for _ in 0..<10 {
          let reply = try client.request("RECOVER user=\(user) on=\(devices[number % 2])")
          found.append(reply)
          guard reply.word == "OK" else { continue }
          let address = try "\(reply.string("device"))/\(reply.string("session"))"
          _ = try client.request("CLOSE \(address)")
        }
        return found
      }.flatMap(\.self)
      // Retries are bounded: under such a storm a request may have lost each time.
      for reply in replies { #expect(reply.word == "OK" || reply.code == "overloaded", "\(reply)") }
      #expect(replies.contains { $0.word == "OK" })
    }

    @Test func `a device without room for a new session is the asker's own alone`() throws {
      for _ in 0..<50 { expect(try client.request("OPEN \(devices[0])"), "OK") }
      expect(
        try client.request("RECOVER user=\(user) on=\(devices[0])"), "ERR", "quota")
      #expect(try recover(on: 1).string("device") == devices[1])
    }

    @Test func `what goes with a device or an address alone is refused`() throws {
      let (user, device) = (self.user, devices[0])
      for (line, naming) in [
        ("RECOVER user=\(user)", "on="), ("RECOVER user=\(user) on=\(device) hint=x", "hint="),
        ("RECOVER user=\(user) on=\(device) archived=yes", "archived="),
        ("RECOVER \(device) on=\(device)", "on="), ("RECOVER on=\(device)", "address"),
        ("RECOVER user=\(user) on=a/b", "on"),
        ("RECOVER user=\(user) on=\(device) as=x", "two users"),
        ("RECOVER user=\(user) on=\(device) link.user=x", "link.user="),
      ] { expectBadRequest(try client.request(line), naming: naming) }
      expect(try client.request("GET user=\(user)"), "NONE")
      expect(try client.request("RECOVER user=\(user) on=\(device) token=7"), "STALE")
      expect(try client.request("RECOVER user=\(user) on=\(device) as=\(user)"), "OK")
    }
  }
}
