// Owns: the tests of a drain: no request is rejected too early, and no accepted one is lost.

import Foundation
import Glibc
import Testing

extension SystemSuites.Fleet {
  @Suite(.lab()) struct Drains {
    /// A worker that has time to answer, however busy the machine is.
    private func start(_ flags: [String] = []) throws -> WorkerProcess {
      try WorkerProcess(on: Lab.current.redis, ["--request-timeout", "10s"] + flags)
    }

    @Test func `during the delay readyz is 503 and all callers are served as before`() throws {
      let worker = try start(["--drain-delay", "1m"])
      defer { worker.kill() }
      let watcher = try worker.connect()
      #expect(try watcher.request("WATCH *").raw == "OK")
      worker.signal(SIGTERM)
      try eventually("readyz saying no") { try worker.get("/readyz").status == 503 }
      #expect(try worker.get("/readyz").body == "draining\n")
      #expect(try worker.get("/acceptz").status == 503)
      #expect(try worker.get("/healthz").status == 200)
      for _ in 0..<20 {
        let late = try worker.connect()
        expect(try late.request("LOCK \(Lab.device()) a"), "OK")
        #expect(try late.request("INFO").raw.contains("\"draining\":true"))
        #expect(try late.request("EVENTS \(Lab.device()) wait=10ms").raw == "OK {\"events\":[]}")
      }
      #expect(try watcher.request("PING").raw == "OK", "a watcher was notified too early")
      worker.signal(SIGTERM)
      #expect(try worker.wait(within: .seconds(5)) == .exited(1))
    }

    @Test func `when the delay is over the worker ends by itself`() throws {
      let worker = try start(["--drain-delay", "100ms"])
      defer { worker.kill() }
      let idle = try worker.connect()
      #expect(try idle.request("PING").raw == "OK")
      #expect(try worker.terminate() == .exited(0))
      #expect(idle.isClosed())
      #expect(throws: Failure.self) { try worker.connect() }
    }

    @Test func `a watch gets its end, and a waiting request its reply`() throws {
      let worker = try start()
      defer { worker.kill() }
      let device = Lab.device()
      let (watcher, both, waiter) = (
        try worker.connect(), try worker.connect(), try worker.connect()
      )
      for request in ["WATCH \(device)", "WATCH * types=lock.seized"] {
        #expect(try both.request(request).raw == "OK")
      }
      #expect(try watcher.request("WATCH \(device)").raw == "OK")
      try waiter.sendLine("EVENTS \(device) wait=1h")
      try both.sendLine("EVENTS * group=g wait=1h")
      try eventually("both waiting") {
        try worker.get("/metrics").body.contains("latchkey_event_waiters 2\n")
      }
      worker.signal(SIGTERM)
      #expect(try waiter.reply().raw == "OK {\"events\":[]}")
      let name = /EVENT \{"type":"worker\.draining","worker":"[^"]+"\}/
      #expect(try watcher.reply().raw.wholeMatch(of: name) != nil)
      let lines = try both.replies(2).map(\.raw)
      #expect(lines.contains("OK {\"events\":[]}"))
      #expect(lines.contains { $0.wholeMatch(of: name) != nil }, "\(lines)")
      for client in [watcher, both, waiter] { #expect(client.isClosed(), "another line came") }
      #expect(try worker.wait(within: .seconds(10)) == .exited(0))
    }

    @Test func `connections and requests that were accepted before the stop are served`() throws {
      let worker = try start()
      defer { worker.kill() }
      let idle = try (0..<50).map { _ in try worker.connect() }
      for client in idle { #expect(try client.request("PING").raw == "OK") }
      try worker.freeze()
      // The kernel accepts these, and buffers their requests.
      let late = try (0..<50).map { _ in try worker.connect() }
      let device = Lab.device()
      for (number, client) in (idle + late).enumerated() {
        try client.sendLine("LOCK \(device)-\(number) a\(number)")
      }
      worker.signal(SIGTERM)
      worker.thaw()
      for (number, client) in (idle + late).enumerated() {
        #expect(try client.reply().string("agent") == "a\(number)")
        #expect(client.isClosed())
      }
      #expect(try worker.wait(within: .seconds(10)) == .exited(0))
    }

    @Test func `a caller that goes on asking is served, then sent elsewhere`() throws {
      // A test that pauses for 100 ms counts as quiet, and gets the end of the stream instead.
      for _ in 0..<5 {
        let worker = try start(["--drain-grace", "1s"])
        defer { worker.kill() }
        let client = try worker.connect()
        expect(try client.request("LOCK \(Lab.device()) a"), "OK")
        worker.signal(SIGTERM)
        let served = try serve(client)
        #expect(try worker.wait(within: .seconds(10)) == .exited(0))
        guard let served else { continue }
        #expect(served > 0)
        #expect(client.isClosed())
        return
      }
      Issue.record("no caller ever got 'draining'")
    }

    @Test func `a request that crosses the end of its connection has its answer`() throws {
      let lab = try Lab.current
      let worker = try start(["--drain-delay", "300ms", "--drain-grace", "10s"])
      defer { worker.kill() }
      let client = try worker.connect()
      let device = Lab.device()
      expect(try client.request("LOCK \(device) a"), "OK")
      worker.signal(SIGTERM)
      try eventually("the signal") { try client.request("INFO").raw.contains("\"draining\":true") }
      for _ in 0..<3 { expect(try client.request("LOCK \(device) a"), "OK") }
      // It pauses, and the worker ends the connection; its request is under way.
      let events = try client.socket.wait(for: Int16(POLLIN), Deadline(within: .seconds(10)))
      #expect(events != 0, "the connection was not ended")
      let other = Lab.device()
      try client.sendLine("LOCK \(other) a")
      expect(try client.reply(), "ERR", "draining")
      #expect(client.isClosed())
      #expect(try worker.wait(within: .seconds(10)) == .exited(0))
      expect(try lab.connect().request("HOLDER \(other)"), "NONE")
    }

    @Test func `a connection that is asked for while the worker stops is served or refused`() throws
    {
      let worker = try start(["--drain-grace", "1s"])
      defer { worker.kill() }
      let port = worker.listenPort
      let isOver = Shared(false)
      defer { isOver.value = true }
      let callers = (0..<4).map { _ in
        Background { () throws -> (served: Int, lost: Int) in
          var (served, lost) = (0, 0)
          while !isOver.value {
            guard let client = try? LineClient(port: port) else { break }
            let reply = try? client.request("PING")
            if reply?.isOK == true { served += 1 } else { lost += 1 }
          }
          return (served, lost)
        }
      }
      try eventually("callers") { try worker.metric("latchkey_connections_opened_total") > 50 }
      #expect(try worker.terminate() == .exited(0))
      for caller in callers {
        let (served, lost) = try caller.join()
        #expect(served > 0 && lost == 0, "\(lost) lost")
      }
    }

    /// How many requests were served before the first 'draining'; nil if none came.
    private func serve(_ client: LineClient) throws -> Int? {
      let device = Lab.device()
      var served = 0
      while let reply = try? client.request("LOCK \(device) a") {
        if reply.code == "draining" { return served }
        expect(reply, "OK")
        served += 1
      }
      return nil
    }

    @Test func `half a line and unread replies do not outlast the grace`() throws {
      let worker = try start(["--drain-grace", "300ms"])
      defer { worker.kill() }
      let (half, deaf) = (try worker.connect(), try worker.connect())
      try half.send(Array("LOCK half-a-li".utf8))
      let asked = Array(repeating: Array("HELP\n".utf8), count: 20_000).flatMap { $0 }
      // Unread replies stop the worker's reading, so not all of it can be sent.
      var sent = 0
      while sent < asked.count {
        let count = try deaf.socket.sendSome(asked[sent..<min(sent + 65_536, asked.count)])
        sent += count
        if count == 0, try deaf.socket.wait(for: Int16(POLLOUT), Deadline(within: .seconds(1))) == 0
        {
          break
        }
      }
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
      #expect(try worker.terminate() == .exited(0))
      #expect(half.isClosed())
    }

    @Test func `input after QUIT is discarded and costs no reply`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let device = Lab.device()
      try client.sendLine("QUIT")
      let more = Array(repeating: Array("LOCK \(device) a\n".utf8), count: 100).flatMap { $0 }
      for _ in 0..<10 { _ = try? client.send(more) }
      // A reset connection drops the replies that its caller has not read.
      #expect(try client.reply().raw == "OK")
      #expect(client.isClosed())
      expect(try lab.connect().request("HOLDER \(device)"), "NONE")
    }
  }
}
