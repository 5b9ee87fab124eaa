// Owns: the replay of the transcripts that all clients share: the lines arrive as they are sent,
// and each reply is what the transcript says that it is.

import Foundation
import Glibc
import Synchronization
import Testing

@testable import LatchkeyClient
@testable import Loop

/// One case of the transcripts, as far as this client knows it: the lines and their replies.
///
/// Building a line, and reading the JSON of a reply, is left to this client's callers.
private struct Transcript: Decodable, CustomTestStringConvertible {
  struct Failure: Decodable {
    let code: String
  }

  let name: String
  let wire: [[String?]]
  let error: Failure?

  var testDescription: String { name }

  static let all: [Transcript] = {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "clients/transcripts/transcripts.jsonl")
    guard let text = try? String(contentsOf: file, encoding: .utf8) else { return [] }
    // U+2028 is no end of a line. A lone surrogate, which an argument may have, is no text here.
    return text.replacing(#""a\ud800b""#, with: #""a""#).split(separator: "\n").compactMap {
      try? JSONDecoder().decode(Transcript.self, from: Data($0.utf8))
    }
  }()

  static let count = 113
}

/// A worker that answers each line with the next reply; nil ends the connection.
private final class ReplayWorker: Sendable {
  let port: UInt16
  private let listener: Loop.Socket
  private let asked = Mutex<[String]>([])

  init(_ replies: [String?]) throws {
    let place = try SocketAddress.resolve(.tcp(host: "127.0.0.1", port: 0))
    listener = try place.bind(sharingPort: false)
    try listener.listen(backlog: 16)
    port = try listener.localPort()
    let listener = listener
    try LoopThread(name: "worker") { [self] in
      var left = replies[...]
      while !left.isEmpty { serve(listener, &left) }
    }.detach()
  }

  deinit { listener.close() }

  var lines: [String] { asked.withLock { $0 } }

  private func serve(_ listener: Loop.Socket, _ replies: inout ArraySlice<String?>) {
    guard wait(listener.descriptor), let caller = try? listener.accept() else {
      replies = []
      return
    }
    defer { caller.close() }
    while !replies.isEmpty, let line = read(caller) {
      asked.withLock { $0.append(line) }
      guard let reply = replies.removeFirst() else { return }
      _ = Array("\(reply)\n".utf8).withUnsafeBytes { caller.write($0) }
    }
  }

  private func wait(_ descriptor: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 10_000) == 1
  }

  private func read(_ caller: Loop.Socket) -> String? {
    var line: [UInt8] = []
    while wait(caller.descriptor) {
      var byte: UInt8 = 0
      let outcome = withUnsafeMutableBytes(of: &byte) { caller.read(into: $0) }
      guard outcome == .moved(1) else { return nil }
      if byte == 10 { return String(decoding: line, as: UTF8.self) }
      line.append(byte)
    }
    return nil
  }
}

struct TranscriptTests {
  @Test func `all transcripts are read`() {
    #expect(Transcript.all.count >= Transcript.count)
  }

  @Test(arguments: Transcript.all)
  fileprivate func `a client sends the lines and shows the replies`(_ transcript: Transcript) throws
  {
    let pairs = transcript.wire.map { pair in
      (line: (pair[0] ?? "").replacing("<req>", with: "key"), reply: pair[1])
    }
    let worker = try ReplayWorker(pairs.map(\.reply))
    var last: LatchkeyReply?
    // This client repeats a line by itself only after `draining`.
    var repeats = pairs[...]
    while let (line, reply) = repeats.popFirst() {
      let connection = try LatchkeyConnection(host: "127.0.0.1", port: worker.port)
      guard let reply else {
        #expect(throws: LatchkeyError.self) { try connection.request(line) }
        continue
      }
      last = try connection.request(line)
      if reply.hasPrefix("ERR draining") { repeats.removeFirst() }
    }
    #expect(worker.lines == pairs.map(\.line))
    let reply = try #require(last)
    #expect(reply.line == pairs.last?.reply)
    #expect(reply.body == reply.line.dropFirst(reply.word.rawValue.count).drop { $0 == " " })
    let code = reply.errorCode.map(String.init) ?? reply.word.rawValue
    if let error = transcript.error { #expect(code == error.code) }
  }
}
