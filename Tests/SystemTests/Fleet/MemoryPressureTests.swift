// Owns: the tests of memory pressure: large requests and replies are rejected, small ones are
// served, and nothing is buffered when the callers are gone.

import Foundation
import Testing

/// A line of `count` bytes that hands a lock from `a` to `a`.
private func handoff(_ device: String, bytes count: Int) -> String {
  let start = "HANDOFF \(device) a a [\""
  return start + String(repeating: "x", count: count - start.utf8.count - 2) + "\"]"
}

/// A line of `count` bytes that says a message.
private func say(_ device: String, bytes count: Int) -> String {
  let start = "SAY \(device) {\"text\":\""
  return start + String(repeating: "x", count: count - start.utf8.count - 2) + "\"}"
}

extension SystemSuites.Fleet {
  @Suite(
    .lab(workers: [
      [
        "--max-buffered", "1MiB", "--max-line", "256KiB", "--max-record", "256KiB",
        "--max-unread", "4MiB", "--threads", "2", "--request-timeout", "20s",
        "--unread-timeout", "60s", "--line-timeout", "60s",
      ],
      [
        "--max-buffered", "1MiB", "--max-line", "256KiB", "--max-record", "256KiB",
        "--threads", "2", "--request-timeout", "20s", "--unread-timeout", "1s",
        "--line-timeout", "1s",
      ],
    ])
  ) struct MemoryPressure {
    private static let most = 1 << 20
    private static let little = 4_096

    private func buffered(_ worker: WorkerProcess) throws -> Int {
      try worker.metric("latchkey_buffered_bytes")
    }

    private func refused(_ what: String, _ worker: WorkerProcess) throws -> Int {
      try worker.metric("latchkey_buffer_refusals_total{what=\"\(what)\"}")
    }

    private func closed(_ reason: String, _ worker: WorkerProcess) throws -> Int {
      try worker.metric("latchkey_connections_closed_total{reason=\"\(reason)\"}")
    }

    /// Expects that nothing is buffered any more, and that long requests have room again.
    private func expectRoom(_ worker: WorkerProcess) throws {
      try eventually("nothing being buffered", within: .seconds(20)) { try buffered(worker) == 0 }
      let (client, device) = (try worker.connect(), Lab.device())
      expect(try client.request("OPEN \(device)"), "OK")
      expect(try client.request(say(device, bytes: 250_000)), "OK")
      #expect(try client.request("HISTORY \(device) last=1").raw.utf8.count > 249_000)
    }

    /// A caller that asks for long replies and does not read them, until the limit is reached.
    private final class Deaf {
      let client: LineClient
      let device = Lab.device()
      private(set) var asked = 0

      init(_ worker: WorkerProcess) throws {
        client = try worker.connect()
        expect(try client.request("OPEN \(device)"), "OK")
        expect(try client.request(say(device, bytes: 200_000)), "OK")
      }

      func ask() throws {
        try client.sendLine("HISTORY \(device) last=1")
        asked += 1
      }
    }

    @Test func `small requests are served while others have filled all room`() throws {
      let worker = try Lab.current.workers[0]
      let deaf = try Deaf(worker)
      let calm = CalmCaller { try worker.connect() }
      try eventually("too much being kept", within: .seconds(20), every: 1) {
        try deaf.ask()
        return try buffered(worker) > Self.most
      }
      try calm.awaitServed(20)
      let (client, device) = (try worker.connect(), Lab.device())
      expect(try client.request("OPEN \(device)"), "OK")

      // A request, whole and in parts, at the most and one byte more.
      let before = try refused("request", worker)
      for (count, isServed) in [(Self.little, true), (Self.little + 1, false)] {
        let line = say(device, bytes: count)
        for split in [0, 100, count - 1] {
          try client.send(Array(line.utf8.prefix(split)))
          if split > 0 { #expect(try worker.connect().request("PING").raw == "OK") }
          try client.send(Array(line.utf8.dropFirst(split)) + [10])
          let reply = try client.reply()
          if isServed { expect(reply, "OK") } else { expect(reply, "ERR", "overloaded") }
        }
      }
      try client.send([UInt8](repeating: 0x78, count: 100_000))
      expect(try client.reply(), "ERR", "overloaded")
      try client.send([UInt8](repeating: 0x78, count: 100_000) + Array("\nPING\n".utf8))
      #expect(try client.reply().raw == "OK")
      #expect(try refused("request", worker) == before + 4)

      // A reply: it is a little longer than the line that said the message.
      let unread = try refused("reply", worker)
      expect(try client.request("HISTORY \(deaf.device) last=1"), "ERR", "overloaded")
      #expect(try refused("reply", worker) > unread)
      expect(try client.request(say(device, bytes: Self.little - 200)), "OK")
      expect(try client.request("HISTORY \(device) last=1"), "OK")
      #expect(try client.request("HELP").isOK)

      // Accepted requests are answered, however much was buffered meanwhile.
      try calm.awaitServed(20)
      try calm.stop()
      #expect(try buffered(worker) > Self.most)
      let replies = try deaf.client.replies(deaf.asked, within: .seconds(20))
      #expect(replies.count { $0.isOK } > 5)
      for reply in replies where !reply.isOK { expect(reply, "ERR", "overloaded") }
      try expectRoom(worker)
    }

    @Test func `a watch that does not read is cut off as soon as room is needed`() throws {
      let worker = try Lab.current.workers[0]
      let (deaf, watcher, client) = (try Deaf(worker), try worker.connect(), try worker.connect())
      let device = Lab.device()
      expect(try client.request("LOCK \(device) a"), "OK")
      #expect(try watcher.request("WATCH \(device)").raw == "OK")
      try eventually("too much being kept", within: .seconds(20), every: 1) {
        try deaf.ask()
        return try buffered(worker) > Self.most
      }
      let (cutOff, before) = (try refused("watch", worker), try closed("slow", worker))
      try eventually("the end of the watch", within: .seconds(20), every: 1) {
        let lines = Array((handoff(device, bytes: 4_000) + "\n").utf8)
        _ = try client.exchange(
          Array(repeating: lines, count: 50).flatMap { $0 }, lines: 50, within: .seconds(10))
        return try refused("watch", worker) == cutOff + 1
      }
      #expect(try closed("slow", worker) == before + 1)
      _ = try deaf.client.replies(deaf.asked, within: .seconds(20))
      try expectRoom(worker)
    }

    @Test func `a request that waits does not keep room for hours`() throws {
      let worker = try Lab.current.workers[0]
      let (deaf, client) = (try Deaf(worker), try worker.connect())
      try client.sendLine("EVENTS \(Lab.device()) wait=10d")
      let small = try worker.connect()
      try small.sendLine("EVENTS \(Lab.device()) wait=10d\nPING")
      let behind = Array(String(repeating: "PING\n", count: 2_000).utf8)
      try client.send(behind)
      #expect(try client.readLine(within: .milliseconds(100)) == nil, "it did not wait")
      try eventually("too much being kept", within: .seconds(20), every: 1) {
        try deaf.ask()
        return try buffered(worker) > Self.most
      }
      #expect(try client.reply(within: .seconds(10)).raw == "OK {\"events\":[]}")
      let replies = try client.replies(2_000)
      #expect(replies.allSatisfy { $0.raw == "OK" })
      #expect(try small.readLine(within: .milliseconds(100)) == nil, "it waits no more")
      _ = try deaf.client.replies(deaf.asked, within: .seconds(20))
      small.socket.reset()
      try expectRoom(worker)
    }

    @Test func `many parts of lines fill the room and no more`() throws {
      let worker = try Lab.current.workers[1]
      let (stalled, before) = (try closed("stalled", worker), try refused("request", worker))
      let calm = CalmCaller { try worker.connect() }
      try calm.awaitServed(1)
      let greedy = try (0..<40).map { _ in try worker.connect() }
      for client in greedy { try client.send([UInt8](repeating: 0x78, count: 200_000)) }
      try eventually("most of them being refused") {
        try refused("request", worker) >= before + 30
      }
      #expect(try buffered(worker) <= 2 * Self.most)
      try calm.awaitServed(20)
      try eventually("the end of all of them", within: .seconds(10)) {
        try closed("stalled", worker) == stalled + 40
      }
      try calm.stop()
      for client in greedy { client.socket.close() }
      try expectRoom(worker)
    }

    @Test func `many unread replies fill the room and no more`() throws {
      let worker = try Lab.current.workers[1]
      let (slow, before) = (try closed("slow", worker), try refused("reading", worker))
      let calm = CalmCaller { try worker.connect() }
      try calm.awaitServed(1)
      // The kernel's room for each has to be full before the worker keeps anything: with little of
      // it on this side, the worker's is filled sooner.
      let deaf = try (0..<40).map { _ in
        try LineClient(port: worker.listenPort, receiveBytes: 4_096)
      }
      let asked = Array(repeating: Array("HELP\n".utf8), count: 20_000).flatMap { $0 }
      var most = 0
      try eventually("all of them being cut off", within: .seconds(30), every: 20) {
        for client in deaf { _ = try? client.socket.sendSome(asked[...]) }
        most = max(most, try buffered(worker))
        return try closed("slow", worker) == slow + deaf.count
      }
      #expect(try refused("reading", worker) > before)
      #expect(most > Self.most && most < 4 * Self.most, "\(most) bytes were kept")
      try calm.awaitServed(20)
      try calm.stop()
      try expectRoom(worker)
    }

    @Test func `a long event is not buffered for many watches that do not read`() throws {
      let worker = try Lab.current.workers[0]
      let (client, device, cutOff) = (
        try worker.connect(), Lab.device(), try refused("watch", worker)
      )
      expect(try client.request("LOCK \(device) a"), "OK")
      let deaf = try (0..<60).map { _ in
        try LineClient(port: worker.listenPort, receiveBytes: 4_096)
      }
      for watcher in deaf { #expect(try watcher.request("WATCH \(device)").raw == "OK") }
      var most = 0
      try eventually("one being cut off for whom there is no room", within: .seconds(20), every: 5)
      {
        let handed = try client.request(handoff(device, bytes: 60_000))
        #expect(handed.isOK || handed.code == "overloaded", "\(handed)")
        // When there is no room for a long one any more, a short one shows which watch does not
        // read.
        expect(try client.request(handoff(device, bytes: 100)), "OK")
        most = max(most, try buffered(worker))
        return try refused("watch", worker) > cutOff
      }
      #expect(most < 6 * Self.most, "\(most) bytes were kept")
      for watcher in deaf { watcher.socket.close() }
      try expectRoom(worker)
    }
  }
}
