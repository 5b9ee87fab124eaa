// Owns: the room for pushes that may be left out, as changes may: less than for what must not be
// lost, so that a slow reader of changes is not disconnected. Runs on the loop's thread.

extension Connection {
  /// Whether a push that may be left out is to be kept for the caller: it reads what it is sent.
  func hasRoom() -> Bool {
    guard !machine.isClosed, !machine.isLingering else { return false }
    let most = owner.hasMemoryPressure ? Connection.littleBytes : unreadBytesMax / 2
    // Much may come within one turn: what the socket takes is no sign of a slow reader.
    if unreadBytes >= most { sendOutput() }
    return !machine.isClosed && unreadBytes < most
  }
}
