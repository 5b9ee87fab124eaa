// Owns: the tests that callers do not notice a Redis that has lost the scripts.

import Foundation
import Testing

extension SystemSuites.Deadlines {
  @Suite struct ForgottenScripts {
    @Test(arguments: Engine.ways)
    func `pipelined requests keep their order when scripts were lost`(way: String) throws {
      let lab = try Lab(workers: [["--lua", way], ["--lua", way]])
      defer { lab.stop() }
      let (client, other) = (try lab.connect(0), try lab.connect(1))
      var rounds = Rounds(20)
      while rounds.next() {
        let device = Lab.device()
        try lab.redis.command("SCRIPT", "FLUSH")
        if Engine.hasFunctions { try lab.redis.command("FUNCTION", "FLUSH") }
        // Now Redis knows UNLOCK's script again, and not LOCK's.
        expect(try other.request("UNLOCK \(Lab.device()) a"), "NONE")
        try client.sendLine("LOCK \(device) a ttl=1h\nUNLOCK \(device) a\nHOLDER \(device)")
        #expect(try client.replies(3).map(\.word) == ["OK", "OK", "NONE"])
      }
    }

    /// Requests of a device, and what each reply has, if all before it are done and none behind it.
    private static let requests: [(line: String, has: String)] = [
      ("LOCK DEV a", #""agent":"a""#), ("SEIZE DEV b", #""seized_from":"a""#),
      ("HOLDER DEV", #""agent":"b""#), ("OPEN DEV", #""state":"active""#),
      (#"SET DEV {"n":1}"#, "OK {"), ("GET DEV", #""n":1"#), (#"SET DEV {"n":2}"#, "OK {"),
      ("GET DEV", #""n":2"#), (#"SAY DEV {"t":1}"#, #""seq":1"#),
      (#"SAY DEV {"t":2}"#, #""seq":2"#),
      ("HISTORY DEV last=1", #""message":{"t":2}"#), ("POP DEV", #"{"t":2}"#),
      ("PUT DEV k {}", #""created":true"#), ("KEYS DEV", #""key":"k""#),
      ("PAUSE DEV", #""state":"paused""#), ("GET DEV", #""state":"paused""#),
      ("RESUME DEV", #""state":"active""#), ("CLOSE DEV", #""state":"completed""#),
      ("SAY DEV {}", "ERR illegal_state"), ("UNLOCK DEV b", "held_ms"), ("HOLDER DEV", "NONE"),
      ("EVENTS DEV", "session.closed"),
    ]

    /// Reads, changes and what reads the log share no script, and are sent at once; Redis forgets
    /// all scripts at any moment between them.
    @Test(arguments: Engine.ways)
    func `requests of all kinds keep their order whenever scripts are lost`(way: String) throws {
      let flags = ["--lua", way, "--request-timeout", "10s"]
      let lab = try Lab(workers: [flags, flags])
      defer { lab.stop() }
      let clients = try (0..<4).map { try lab.connect($0 % 2) }
      var rounds = Rounds(20)
      var round: UInt32 = 0
      while rounds.next() {
        round += 1
        let devices = clients.map { _ in Lab.device() }
        for (client, device) in zip(clients, devices) {
          let lines = Self.requests.map { $0.line.replacingOccurrences(of: "DEV", with: device) }
          try client.sendLine(lines.joined(separator: "\n"))
        }
        pause(ms: round % 3)
        try lab.redis.command("SCRIPT", "FLUSH")
        if Engine.hasFunctions { try lab.redis.command("FUNCTION", "FLUSH") }
        for client in clients {
          for (reply, request) in zip(try client.replies(Self.requests.count), Self.requests) {
            #expect(reply.raw.contains(request.has), "\(request.line): \(reply)")
          }
        }
      }
      let reloaded = try lab.workers.reduce(0) {
        try $0 + $1.metric("latchkey_scripts_reloaded_total")
      }
      #expect(reloaded > 0, "no script was missed")
    }
  }
}
