// Owns: lines that answer no request, and the room for them: less for those that may be left out,
// as changes may, than for what must not be lost, so that a slow reader of changes is not
// disconnected. Runs on the loop's thread.

internal import Loop
internal import Metrics

extension Connection {
  /// Sends a line that answers no request, after the reply of that slot.
  ///
  /// A caller that does not read them is disconnected: the events are in the log, and other callers
  /// must not pay for them. Returns whether it was disconnected because of memory pressure.
  func push(after slot: UInt64, _ line: [UInt8]) -> Bool {
    guard !machine.isClosed, !machine.isLingering else { return false }
    // Much may come within one turn: what the socket takes is no sign of a slow reader.
    let most =
      owner.hasMemoryPressure ? min(unreadBytesMax, Connection.littleBytes) : unreadBytesMax
    if unreadBytes >= most { sendOutput() }
    guard !machine.isClosed, unreadBytes < most else {
      abort(.slow)
      return most < unreadBytesMax
    }
    if output.isEmpty { output = owner.takeBuffer() }
    let line = http?.event(line, nowMs: MonotonicTime.nowMs()) ?? line
    if replies.push(after: slot, line, into: &output) { owner.hasOutput(self) } else { account() }
    outputChanged()
    // Under memory pressure no line, however long, is kept for a caller that does not read.
    guard unreadBytes >= Connection.littleBytes, owner.hasMemoryPressure else { return false }
    sendOutput()
    guard !machine.isClosed, unreadBytes >= Connection.littleBytes else { return false }
    abort(.slow)
    return true
  }

  /// Whether a push that may be left out is to be kept for the caller: it reads what it is sent.
  func hasRoom() -> Bool {
    guard !machine.isClosed, !machine.isLingering else { return false }
    let most = owner.hasMemoryPressure ? Connection.littleBytes : unreadBytesMax / 2
    // Much may come within one turn: what the socket takes is no sign of a slow reader.
    if unreadBytes >= most { sendOutput() }
    return !machine.isClosed && unreadBytes < most
  }
}
