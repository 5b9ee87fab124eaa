// Owns: how a caller sees a reply line. A value; any thread.

/// The first word of a reply.
public enum ReplyWord: String, Sendable, CaseIterable {
  /// Done; the body has the result.
  case ok = "OK"
  /// Another agent holds the device; nothing changed.
  case held = "HELD"
  /// Another turn is running; nothing changed.
  case busy = "BUSY"
  /// There is no such lock, session, chat or message: a fact, not a failure.
  case none = "NONE"
  /// The token or revision that was sent is no longer current; nothing changed.
  case stale = "STALE"
  /// Refused or failed; `errorCode` says which.
  case error = "ERR"
  /// Something that happened, on a connection that watches.
  case event = "EVENT"
}

/// One reply line.
public struct LatchkeyReply: Sendable, Equatable {
  /// The line without its end.
  public let line: String
  /// Its first word.
  public let word: ReplyWord

  /// Reads a line; nil if it begins with no word of the protocol.
  public init?(line: String) {
    let first = line.prefix { $0 != " " }
    guard let word = ReplyWord(rawValue: String(first)) else { return nil }
    self.line = line
    self.word = word
  }

  /// The rest of the line: JSON, or code and text of an error; empty if there is nothing.
  public var body: Substring { line.dropFirst(word.rawValue.count + 1) }

  /// The code of an `ERR`, such as `unavailable`.
  public var errorCode: Substring? {
    word == .error ? body.prefix { $0 != " " } : nil
  }
}
