// A session of a user that ends between the two steps of a request with `user=ID`: when it was
// looked up, and before it is addressed.

import Foundation
import Testing

extension SystemSuites {
  @Suite struct UserAddressRaces {
    /// A worker that can be stopped between its steps, and one beside it.
    private final class Pair {
      let redis: RedisServer
      let proxy: StepProxy
      let workers: [WorkerProcess]
      let client: LineClient
      let other: LineClient

      init() throws {
        redis = try RedisServer()
        proxy = try StepProxy(before: redis)
        workers = [try WorkerProcess(["--redis", proxy.url]), try WorkerProcess(on: redis)]
        (client, other) = (try workers[0].connect(), try workers[1].connect())
      }

      deinit {
        workers.forEach { $0.kill() }
        proxy.end()
        redis.stop()
      }

      /// The addresses of so many sessions of a user, the one that was active last at the end; each
      /// has a message and a field that say which one it is.
      func open(_ count: Int, _ user: String) throws -> [String] {
        try (1...count).map { number in
          let device = Lab.device()
          let reply = try other.request("OPEN \(device) user=\(user) {\"n\":\(number)}")
          let address = "\(device)/\(try reply.string("session"))"
          try eventually("\(address) was active last") {
            expect(try other.request("TOUCH \(address)"), "OK")
            return try other.request("GET user=\(user)").shows("n", as: "\(number)")
          }
          expect(try other.request("SAY \(address) {\"said\":\(number)}"), "OK")
          return address
        }
      }

      /// Has the session that is found end before it is addressed, the next so many times.
      func end(_ user: String, by verb: String, _ count: Int = 1) {
        let worker = workers[1]
        // What addresses a session for a user has that user behind the session.
        proxy.stop(at: "=\(user)", count) {
          let client = try worker.connect()
          let found = try client.request("GET user=\(user)")
          let address = try "\(found.string("device"))/\(found.string("session"))"
          let rest = verb == "UNLINK" ? " user \(user)" : ""
          expect(try client.request("\(verb) \(address)\(rest)"), "OK")
        }
      }
    }

    private static let requests: [(line: String, shows: String)] = [
      ("GET USER", #""n":1"#), ("GET USER last=5", #""said":1"#),
      ("GET USER fields=n", #""state":"active""#), ("GET USER rev=99 wait=5s", #""n":1"#),
      ("HISTORY USER", #""said":1"#), ("HISTORY USER after=0 wait=5s", #""said":1"#),
      ("SAY USER {\"said\":2}", #""seq":2"#), ("SAY USER id=said [{\"said\":1}]", #""known":1"#),
      ("SET USER link.tag=t {\"a\":1}", #""rev""#), ("TOUCH USER", #""idle_at""#),
      ("CLOSE USER", #""n":1"#), ("CLOSE USER failed req=r", #""n":1"#),
      ("SAY USER req=r {\"said\":2}", #""seq":2"#),
    ]

    @Test func `the request goes to another session of the user`() throws {
      let pair = try Pair()
      for (number, request) in Self.requests.enumerated() {
        for verb in ["CLOSE", "DELETE", "UNLINK"] {
          // What a wait is for may be the session's end; and to close it again changes nothing.
          let takesEnded = ["HISTORY", "CLOSE USER", "GET USER rev="]
          let isTaken = takesEnded.contains { request.line.hasPrefix($0) }
          if verb == "CLOSE", isTaken, !request.line.contains("failed") { continue }
          let user = "\(verb)-\(number)"
          let sessions = try pair.open(2, user)
          let line = request.line.replacing("USER", with: "user=\(user)")
          pair.end(user, by: verb)
          let reply = try pair.client.request(line)
          let what = "\(line), and \(verb): \(reply)"
          #expect(reply.isOK && reply.raw.contains(request.shows), "\(what)")
          #expect(pair.proxy.stopsLeft == 0, "\(what)")
          if request.line.hasPrefix("GET") || request.line.hasPrefix("CLOSE") {
            #expect(try reply.string("session") == sessions[0].split(separator: "/")[1], "\(what)")
          }
          guard line.contains("req=") else { continue }
          // The same request goes where the first one went, at whatever worker.
          #expect(try pair.other.request(line).raw == reply.raw, "\(what)")
          #expect(try pair.client.request(line).raw == reply.raw, "\(what)")
        }
      }
    }

    @Test func `without another one there is none, and the tries are bounded`() throws {
      let pair = try Pair()
      for line in ["GET", "SAY", "HISTORY", "CLOSE"] {
        let (user, payload) = ("user-\(line)", line == "SAY" ? " {}" : "")
        _ = try pair.open(1, user)
        pair.end(user, by: "DELETE")
        expect(try pair.client.request("\(line) user=\(user)\(payload)"), "NONE")
        let sessions = try pair.open(4, user)
        pair.end(user, by: "DELETE", 3)
        let refused = try pair.client.request("\(line) user=\(user)\(payload)")
        expect(refused, "ERR", "overloaded", "\(line)")
        #expect(refused.text.hasSuffix("nothing was done, retry") && pair.proxy.stopsLeft == 0)
        #expect(try pair.other.request("HISTORY \(sessions[0])").raw.contains("\"more\":false"))
        // A session that has nothing to show is not one that has ended.
        guard line == "HISTORY" else { continue }
        expect(try pair.other.request("OPEN \(user) user=\(user) chat=none"), "OK")
        expect(try pair.client.request("HISTORY user=\(user)"), "NONE")
      }
    }

    @Test func `requests that are sent together keep their order`() throws {
      let pair = try Pair()
      let user = "ada"
      let device = try pair.open(2, user)[0].split(separator: "/")[0]
      pair.end(user, by: "CLOSE")
      let lines = [
        "SAY user=\(user) {\"said\":2}", "SAY \(device) {\"said\":3}",
        "SAY user=\(user) {\"said\":4}", "HISTORY user=\(user) after=1", "TOUCH \(device)",
      ]
      try pair.client.send(Array(lines.map { $0 + "\n" }.joined().utf8))
      let replies = try pair.client.replies(lines.count)
      #expect(try replies[0...2].map { try $0.int("seq") } == [2, 3, 4], "\(replies)")
      let said = replies[3].raw.matches(of: /"said":(\d)/).compactMap { Int($0.1) }
      #expect(said == [2, 3, 4] && pair.proxy.stopsLeft == 0, "\(replies[3])")
      expect(replies[4], "OK")
    }

    @Test func `a kept choice whose session has ended is made anew`() throws {
      let pair = try Pair()
      let user = "ada"
      let sessions = try pair.open(2, user)
      expect(try pair.other.request("SAY \(sessions[0]) {\"said\":0}"), "OK")
      try eventually("the second one was active last") {
        expect(try pair.other.request("TOUCH \(sessions[1])"), "OK")
        return try pair.other.request("GET user=\(user)").shows("n", as: "2")
      }
      // The first ask finds the second session, and does nothing there.
      let line = "SAY user=\(user) req=r seq=2 {\"said\":3}"
      expect(try pair.client.request(line), "STALE")
      expect(try pair.other.request("CLOSE \(sessions[1])"), "OK")
      let said = try pair.other.request(line)
      #expect(try said.int("seq") == 3)
      #expect(try pair.client.request(line).raw == said.raw)
    }
  }
}
