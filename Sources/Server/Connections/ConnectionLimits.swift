// Owns: the limits of a client connection that no setting has, and its states by name. Constants
// and pure functions; its loop's thread.

extension Connection {
  /// The bytes of a line of an unauthenticated caller.
  static let unknownBytesMax = 4_096
  /// The bytes of a line, and of replies, that are kept for a connection under memory pressure.
  static let littleBytes = Backlog.littleBytes
  /// Longer lines are not read on the loop's thread, which they would hold up for more than a few
  /// milliseconds.
  static let largeLineBytes = 256 << 10
  /// Lines that are taken of one connection before the others have their turn: with more, fifty
  /// callers that send without end would hold up all others for seconds.
  static let linesPerTurn = 128

  var isClosed: Bool { machine.isClosed }
  var takesRequests: Bool { machine.takesRequests }
  /// Whether it takes no more requests, for good.
  var isEnding: Bool { machine.isEnding }
}
