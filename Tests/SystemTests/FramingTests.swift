// Section 1 over raw sockets: the form of a line, its greatest length, and pipelining.

import Foundation
import Glibc
import Testing
import struct TestSupport.Seeded

/// Expects that nothing has gone out of step: on this connection and for a bystander.
private func expectInSync(
  _ client: LineClient, _ bystander: LineClient? = nil, _ comment: Comment? = nil,
  at place: SourceLocation = #_sourceLocation
) throws {
  for client in [client, bystander].compactMap({ $0 }) {
    #expect(try client.request("PING").raw == "OK", comment, sourceLocation: place)
  }
}

/// How many replies these bytes want: one for each line that is not empty.
private func repliesWanted(_ bytes: [UInt8]) -> Int {
  bytes.split(separator: 0x0a, omittingEmptySubsequences: true).filter { $0 != [0x0d] }.count
}

extension SystemSuites {
  // A long deadline: these tests are about bytes, also on a slow machine.
  @Suite(.lab(workers: [["--request-timeout", "10s"], ["--max-line", "1KiB"]])) struct Framing {
    // MARK: ends of lines

    @Test func `LF and CRLF end a line and empty lines are ignored`() throws {
      let client = try Lab.current.connect()
      try client.send(Array("\n\r\nPING\r\n\n\nPING\n\r\n".utf8))
      #expect(try client.replies(2).map(\.raw) == ["OK", "OK"])
      try expectInSync(client)
    }

    @Test(arguments: ["\n", "\r\n"]) func `a line may come byte by byte`(end: String) throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      for line in ["LOCK \(device) a", "HANDOFF \(device) a b {\"é\":[1]}", "CLEAR \(device)"] {
        for byte in Array((line + end).utf8) {
          #expect(try client.readLine(within: .zero) == nil, "a reply before the end of the line")
          try client.send([byte])
        }
        expect(try client.reply(), "OK")
      }
    }

    @Test func `lines may be cut anywhere`() throws {
      var random = Seeded("cuts in a stream of lines")
      let client = try Lab.current.connect()
      let device = Lab.device()
      let lines = ["PING", "HOLDER \(device)", "FROB", "LOCK \(device) a [", "LOCK", "PING\r", ""]
      let stream = Array(repeating: lines, count: 40).flatMap { $0 }.joined(separator: "\n") + "\n"
      var rest = Array(stream.utf8)[...]
      while !rest.isEmpty {
        let piece = rest.prefix(Int.random(in: 1...30, using: &random))
        try client.send(Array(piece))
        rest = rest.dropFirst(piece.count)
      }
      let words = try client.replies(6 * 40).map { $0.code.isEmpty ? $0.word : $0.code }
      let wanted = ["OK", "NONE", "unknown_verb", "bad_request", "bad_request", "OK"]
      #expect(words == Array(repeating: wanted, count: 40).flatMap { $0 })
    }

    @Test func `after a half-close every request is answered, then the stream ends`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let lines = (0..<1_000).map { "LOCK \(device)-\($0) a\($0)\n" }.joined()
      try client.send(Array(lines.utf8))
      client.socket.halfClose()
      let replies = try client.replies(1_000)
      #expect(replies.indices.allSatisfy { replies[$0].shows("agent", as: "\"a\($0)\"") })
      #expect(client.isClosed())
    }

    @Test func `a half-close with nothing asked ends the stream`() throws {
      let client = try Lab.current.connect()
      client.socket.halfClose()
      #expect(client.isClosed())
    }

    // MARK: over-long lines

    /// A line of `count` bytes that says five messages.
    private func line(of count: Int, _ device: String) -> String {
      let (start, empty) = ("SAY \(device) [", #"{"text":""}"#)
      let room = count - start.utf8.count - 1 - 5 * (empty.utf8.count + 1) + 1
      let messages = (0..<5).map { index in
        let text = String(repeating: "x", count: index == 0 ? room - room / 5 * 4 : room / 5)
        return #"{"text":"\#(text)"}"#
      }
      return start + messages.joined(separator: ",") + "]"
    }

    @Test(arguments: [(1, 1 << 10), (0, 1 << 20)])
    func `the longest line is accepted and one byte more is too_large`(
      worker: Int, bytesMax: Int
    ) throws {
      let lab = try Lab.current
      let client = try lab.connect(worker)
      let bystander = try lab.connect(worker)
      let device = Lab.device()
      expect(try client.request("OPEN \(device)"), "OK")
      expect(try client.request(line(of: bytesMax, device)), "OK")
      expect(try client.request(line(of: bytesMax, device) + "\r"), "OK")
      expect(try client.request(line(of: bytesMax + 1, device)), "ERR", "too_large")
      try expectInSync(client, bystander)
      let tooLong = line(of: bytesMax + 1, device)
      try client.send(
        Array("PING\n\(tooLong)\nPING\n\(tooLong)\r\nHISTORY \(device) last=1\n".utf8))
      let words = try client.replies(5).map { $0.code.isEmpty ? $0.word : $0.code }
      #expect(words == ["OK", "too_large", "OK", "too_large", "OK"])
    }

    @Test func `a line of 32 MiB is one error and is not kept in memory`() throws {
      let lab = try Lab.current
      let client = try lab.connect(1)
      let bystander = try lab.connect(1)
      try expectInSync(client, bystander)
      let before = lab.workers[1].residentKiB
      let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
      for _ in 0..<32 { try client.send(piece) }
      try expectInSync(bystander)
      #expect(lab.workers[1].residentKiB - before < 8 * 1024)
      try client.send([0x0a])
      expect(try client.reply(), "ERR", "too_large")
      try expectInSync(client, bystander)
    }

    // MARK: bytes that no line may have

    @Test func `a control character is a bad request`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let bystander = try lab.connect()
      let device = Array(Lab.device().utf8)
      for byte in (0..<32).map({ UInt8($0) }) + [0x7f] where byte != 0x0a {
        let lines: [[UInt8]] = [
          Array("PI".utf8) + [byte] + Array("NG".utf8), [byte] + Array("PING".utf8),
          Array("LOCK ".utf8) + device + [byte] + Array(" a".utf8),
          Array("LOCK ".utf8) + device + Array(" a req=".utf8) + [byte, 0x31],
          Array("HANDOFF ".utf8) + device + Array(" a b [\"".utf8) + [byte] + Array("\"]".utf8),
          Array("HANDOFF ".utf8) + device + Array(" a b [".utf8) + [byte] + Array("1]".utf8),
        ]
        for line in lines {
          try client.send(line + [0x0a])
          // A JSON string may have this one.
          if byte == 0x7f, line.contains(UInt8(ascii: "\"")) {
            expect(try client.reply(), "NONE", "", "byte \(byte) in \(line)")
            continue
          }
          expectBadRequest(try client.reply(), naming: "", "byte \(byte) in \(line)")
        }
        try expectInSync(client, bystander, "byte \(byte)")
      }
    }

    @Test func `a byte sequence that is not UTF-8 is a bad request`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let bystander = try lab.connect()
      let bad: [[UInt8]] = [
        [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xc3], [0xc3, 0x28], [0xe0, 0x80, 0x80],
        [0xe0, 0x9f, 0xbf], [0xe2, 0x82], [0xe2, 0x28, 0xa1], [0xed, 0xa0, 0x80],
        [0xed, 0xbf, 0xbf],
        [0xf0, 0x80, 0x80, 0x80], [0xf0, 0x8f, 0xbf, 0xbf], [0xf0, 0x9f, 0x98],
        [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xfe],
        [0xff], [0xff, 0xfe],
      ]
      let device = Lab.device()
      for bytes in bad {
        for (before, after) in [
          ("HANDOFF \(device) a b [\"", "\"]"), ("LOCK \(device) a", ""), ("LOCK \"", "\" a"),
          ("P", ""),
        ] {
          try client.send(Array(before.utf8) + bytes + Array((after + "\n").utf8))
          expectBadRequest(try client.reply(), naming: "", "\(bytes) after \(before)")
        }
        try expectInSync(client, bystander, "\(bytes)")
      }
    }

    @Test func `random bytes get an error for each line`() throws {
      var random = Seeded("random bytes")
      let lab = try Lab.current
      let bystander = try lab.connect()
      for round in 0..<60 {
        let client = try lab.connect(round % 2)
        let alphabet =
          round % 3 == 0 ? Array("LOCK PING a1={}[]\",:\\\r\n\0\u{e9}".utf8) : Array(0...255)
        let count = Int.random(in: 1...3_000, using: &random)
        let bytes = (0..<count).map { _ in alphabet.randomElement(using: &random) ?? 0 }
        // Behind a first line of this protocol all lines are lines, whatever they look like.
        #expect(try client.request("PING").raw == "OK")
        try client.send(bytes + Array("\nQUIT\n".utf8))
        let replies = try client.replies(repliesWanted(bytes) + 1)
        for reply in replies.dropLast() {
          #expect(["ERR", "OK", "NONE", "HELD", "STALE"].contains(reply.word), "\(reply)")
          #expect(reply.code != "internal", "\(reply)")
        }
        #expect(replies.last?.raw == "OK")
        #expect(client.isClosed())
        try expectInSync(bystander)
      }
    }

    // MARK: many at once

    @Test func `100,000 pipelined PINGs are all answered`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let bystander = try lab.connect()
      let bytes = Array(repeating: Array("PING\n".utf8), count: 100_000).flatMap { $0 }
      let lines = try client.exchange(bytes, lines: 100_000, within: .seconds(20))
      #expect(lines.allSatisfy { $0 == "OK" })
      try expectInSync(client, bystander)
    }

    @Test func `20,000 pipelined LOCKs are answered in order`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let bytes = (0..<20_000).flatMap { Array("LOCK \(device)-\($0) a\($0) ttl=1h\n".utf8) }
      let lines = try client.exchange(bytes, lines: 20_000, within: .seconds(20))
      let wrong = lines.indices.filter { !Reply(raw: lines[$0]).shows("agent", as: "\"a\($0)\"") }
      #expect(wrong.isEmpty, "\(wrong.count) wrong, first: \(wrong.first.map { lines[$0] } ?? "")")
      try expectInSync(client)
    }

    @Test func `replies of different kinds keep the order of their requests`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let lines = (0..<2_000).flatMap { number in
        [
          "LOCK \(device)-\(number) a", "PING", "FROB", "HOLDER \(device)-\(number)", "LOCK x",
          "HELP",
        ]
      }
      let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
      let replies = try client.exchange(bytes, lines: lines.count, within: .seconds(20))
      for (line, raw) in zip(lines, replies) {
        let reply = Reply(raw: raw)
        switch line {
        case "PING": #expect(raw == "OK")
        case "FROB": #expect(reply.code == "unknown_verb", "\(reply)")
        case "LOCK x": #expect(reply.code == "bad_request", "\(reply)")
        case "HELP": #expect(reply.isOK, "\(reply)")
        default: #expect(try reply.string("agent") == "a", "\(line): \(reply)")
        }
      }
    }

    @Test func `a client that does not read is waited for, not dropped, and fills no memory`()
      throws
    {
      let lab = try Lab.current
      let client = try lab.connect()
      let before = lab.worker.residentKiB
      let request = Array(repeating: Array("HELP\n".utf8), count: 10_000).flatMap { $0 }
      var sent = 0
      // Until nothing more is taken for a while, or 16 MiB are.
      while sent < 16 << 20,
        try client.socket.wait(for: Int16(POLLOUT), Deadline(within: .milliseconds(300))) != 0
      {
        sent += try client.socket.sendSome(request[(sent % request.count)...])
      }
      #expect(lab.worker.residentKiB - before < 32 * 1024)
      try expectInSync(lab.connect())
      let whole = Array(request[(sent % request.count)...].prefix { $0 != 0x0a }) + [0x0a]
      let rest = sent % 5 == 0 ? [] : whole
      let count = min((sent + 4) / 5, 10_000)
      let lines = try client.exchange(rest, lines: count, within: .seconds(20))
      #expect(Set(lines).count == 1 && lines[0].hasPrefix("OK "))
    }

    @Test func `connections that are reset in the middle do not harm others`() throws {
      let lab = try Lab.current
      let bystander = try lab.connect()
      let device = Lab.device()
      let lines = Array((0..<300).map { "LOCK \(device)-\($0) a\n" }.joined().utf8)
      for _ in 0..<50 {
        let client = try lab.connect()
        try client.send(lines)
        client.socket.reset()
      }
      try expectInSync(bystander, lab.connect())
      #expect(lab.worker.isRunning)
    }
  }
}
