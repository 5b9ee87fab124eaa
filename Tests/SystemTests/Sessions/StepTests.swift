// Requests that may take several steps: the first steps of several share a script call, later
// requests see what they did, and no partition is reaped for a change that leaves nothing due.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--threads", "1"]])) struct Steps {
    /// Opens a session on each of so many devices.
    private func opened(
      _ count: Int, _ client: LineClient, _ options: String = ""
    ) throws -> [(device: String, session: String)] {
      try (0..<count).map { number in
        let device = Lab.device("step")
        let reply = try client.request("OPEN \(device)\(options.isEmpty ? "" : " ")\(options) {}")
        return (device, try reply.string("session"))
      }
    }

    private func exchange(_ lines: [String], _ client: LineClient) throws -> [String] {
      let bytes = Array(lines.map { "\($0)\n" }.joined().utf8)
      return try client.exchange(bytes, lines: lines.count, within: .seconds(20))
    }

    @Test func `the RECOVERs that a caller pipelines share script calls`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let devices = try opened(48, client).map { $0.device }
      // Long replies are expected at first, and keep requests apart.
      for _ in 0..<80 { expect(try client.request("RECOVER \(devices[0])"), "OK") }
      let before = try lab.worker.metric("latchkey_script_calls_total")
      let replies = try exchange(devices.map { "RECOVER \($0)" }, client)
      let calls = try lab.worker.metric("latchkey_script_calls_total") - before
      #expect(replies.count == devices.count && replies.allSatisfy { $0.hasPrefix("OK ") })
      for (reply, device) in zip(replies, devices) {
        #expect(reply.contains("\"device\":\"\(device)\""), "replies come in order")
      }
      #expect(calls <= 12, "\(calls) calls for \(devices.count) requests")
    }

    @Test func `requests see what the RECOVERs before them did, though those took more steps`()
      throws
    {
      let client = try Lab.current.connect()
      let user = Lab.device("ada")
      // Each session has a user, who has to have room for it again.
      let sessions = try opened(8, client, "user=\(user)")
      for (device, _) in sessions { expect(try client.request("ARCHIVE \(device)"), "OK") }
      let recover = sessions.map { "RECOVER \($0.device)/\($0.session) archived=yes" }
      let get = sessions.map { "GET \($0.device)/\($0.session)" }
      let pause = sessions.map { "PAUSE \($0.device)" }
      let replies = try exchange(recover + get + recover.map { "\($0)" } + pause + get, client)
      #expect(replies.allSatisfy { $0.hasPrefix("OK ") })
      let count = sessions.count
      for reply in replies[..<(3 * count)] { #expect(reply.contains("\"state\":\"active\"")) }
      for reply in replies[(3 * count)...] { #expect(reply.contains("\"state\":\"paused\"")) }
    }

    @Test func `one device's requests wait for each other, whatever its address looks like`() throws
    {
      let client = try Lab.current.connect()
      let (device, session) = try opened(1, client, "user=\(Lab.device("bob"))")[0]
      expect(try client.request("ARCHIVE \(device)"), "OK")
      let replies = try exchange(
        [
          "RECOVER \(device)/\(session) archived=yes", "RECOVER \"\(device)/\(session)\"",
          "recover \(device)", "PAUSE \(device)/current", "GET \(device)",
        ], client)
      #expect(replies.allSatisfy { $0.hasPrefix("OK ") }, "\(replies)")
      #expect(replies.last?.contains("\"state\":\"paused\"") == true)
    }

    @Test func `changes that leave nothing due have no partition reaped`() throws {
      let lab = try Lab(workers: [["--sweep", "10m"]])
      defer { lab.stop() }
      let client = try lab.connect()
      let devices = try opened(20, client, "idle=1h abandon=1h life=0 keep=1h").map { $0.device }
      try eventually("the first look at all partitions") {
        try lab.worker.metric("latchkey_reaps_total", "cause=\"reconnect\"") >= 256
      }
      let before = try lab.worker.metric("latchkey_reaps_total", "cause=\"deadline\"")
      for verb in ["RECOVER", "PAUSE", "RECOVER", "PAUSE", "RESUME", "RECOVER", "CLOSE"] {
        for device in devices { expect(try client.request("\(verb) \(device)"), "OK") }
      }
      let after = try lab.worker.metric("latchkey_reaps_total", "cause=\"deadline\"")
      #expect(after == before, "\(after - before) reaps")
    }
  }
}
