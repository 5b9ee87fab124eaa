// Owns: a worker that is broken on purpose: a proxy before Redis that plants a bug in the text of
// the scripts which the worker loads. The binary under test knows nothing of it.

import Foundation
import Testing

/// A bug to be planted in the scripts.
struct PlantedBug: Sendable, CustomTestStringConvertible {
  /// Text to find in a script, and what to put in its place.
  struct Change: Sendable {
    /// Only scripts that have this in them, too, are changed; empty for all.
    var within: String
    var find: String
    var replacement: String
  }

  let name: String
  let changes: [Change]

  var testDescription: String { name }

  init(_ name: String, _ changes: [Change]) {
    self.name = name
    self.changes = changes
  }

  /// The script with the bug in it; nil if it is none of those to change.
  func planted(in script: String) -> String? {
    var text = script
    for change in changes where change.within.isEmpty || script.contains(change.within) {
      text = text.replacingOccurrences(of: change.find, with: change.replacement)
    }
    return text == script ? nil : text
  }
}

/// A link to a real Redis that rewrites scripts on their way.
///
/// A script has the hash that Redis gives its text, and a worker uses the hash that SCRIPT LOAD
/// has answered. So what was loaded through the proxy is called by the changed text's own hash.
final class ScriptProxy: Sendable {
  let path: String
  private let relay: Relay
  private let planted = Shared(0)

  var url: String { RedisServer.url(path) }

  /// In how many scripts the bug has been planted; none means that it was not found there.
  var plantedCount: Int { planted.value }

  init(before redis: RedisServer, _ bug: PlantedBug) throws {
    path = "\(try Scratch.folder("proxy"))/proxy.sock"
    let planted = planted
    relay = Relay(
      try TestSocket.listen(path: path),
      to: { [upstream = redis.path] in try TestSocket(path: upstream) }
    ) { worker, redis, _ in
      let link = ScriptLink(worker, redis, bug) { planted.update { $0 += 1 } }
      return { try link.turn() }
    }
  }

  func stop() { relay.stop() }
}

/// The two ends of one connection through the proxy; belongs to its thread.
private final class ScriptLink {
  private let worker: TestSocket
  private let redis: TestSocket
  private let bug: PlantedBug
  private let planted: () -> Void
  private var requests: [UInt8] = []

  init(
    _ worker: TestSocket, _ redis: TestSocket, _ bug: PlantedBug, _ planted: @escaping () -> Void
  ) {
    self.worker = worker
    self.redis = redis
    self.bug = bug
    self.planted = planted
  }

  /// Moves the received bytes; false when the connection is over.
  func turn() throws -> Bool {
    let readable = TestSocket.readable([worker, redis], within: .milliseconds(20))
    if readable[1], let bytes = try redis.receiveSome() {
      guard !bytes.isEmpty else { return false }
      try worker.send(bytes)
    }
    if readable[0], let bytes = try worker.receiveSome() {
      guard !bytes.isEmpty else { return false }
      requests += bytes
      try passOn()
    }
    return true
  }

  /// Passes on all whole commands that have come.
  private func passOn() throws {
    var at = 0
    var out: [UInt8] = []
    while let command = Command(requests, from: at) {
      if let index = command.scriptWord,
        let text = bug.planted(in: String(decoding: requests[command.words[index]], as: UTF8.self))
      {
        planted()
        out += command.replacing(index, with: Array(text.utf8), in: requests)
      } else {
        out += requests[at..<command.end]
      }
      at = command.end
    }
    requests.removeFirst(at)
    if !out.isEmpty { try redis.send(out) }
  }
}

/// One command of the Redis protocol within a buffer.
private struct Command {
  let words: [Range<Int>]
  let end: Int
  /// Which word is the text of a script; nil if none is.
  let scriptWord: Int?

  /// Nil if it is not all there yet.
  init?(_ bytes: [UInt8], from start: Int) {
    var at = start
    guard let count = Command.number(bytes, &at, after: UInt8(ascii: "*")) else { return nil }
    var words: [Range<Int>] = []
    for _ in 0..<count {
      guard let size = Command.number(bytes, &at, after: UInt8(ascii: "$")),
        at + size + 2 <= bytes.count
      else { return nil }
      words.append(at..<(at + size))
      at += size + 2
    }
    self.words = words
    end = at
    let names = words.prefix(2).map { String(decoding: bytes[$0], as: UTF8.self).uppercased() }
    switch names.first {
    case "EVAL" where words.count > 1: scriptWord = 1
    case "SCRIPT" where names.last == "LOAD" && words.count > 2: scriptWord = 2
    case "FUNCTION" where names.last == "LOAD" && words.count > 2: scriptWord = 2
    default: scriptWord = nil
    }
  }

  /// Reads a sign, a number and a line's end.
  private static func number(_ bytes: [UInt8], _ at: inout Int, after sign: UInt8) -> Int? {
    guard at < bytes.count, bytes[at] == sign else { return nil }
    var value = 0
    var next = at + 1
    while next + 1 < bytes.count {
      if bytes[next] == UInt8(ascii: "\r") {
        at = next + 2
        return value
      }
      value = value * 10 + Int(bytes[next] - UInt8(ascii: "0"))
      next += 1
    }
    return nil
  }

  /// The command with another text for one of its words, and the length that this has.
  func replacing(_ index: Int, with text: [UInt8], in bytes: [UInt8]) -> [UInt8] {
    var out = Array("*\(words.count)\r\n".utf8)
    for (number, word) in words.enumerated() {
      let content = number == index ? text : Array(bytes[word])
      out += Array("$\(content.count)\r\n".utf8) + content + Array("\r\n".utf8)
    }
    return out
  }
}
